"""What the three verifiers of programs share: finding the program, its limits, and the verdict on its tests.

The program is the last fenced block of the answer that is labelled python, or where none is, the last without a label;
a block that nobody closed is no answer. Without any block the whole answer (or what its last answer tags hold) is the
program, and no answer where it is no Python. It runs behind `sandbox.walls`; what is expected never goes in there with
it. A verdict is `correct` only when every test passed; `score` is the share that did. Tests stop at the first that
fails, unless the data say `partial`; those that were not run count as not passed.

| how a test ended | is |
|---|---|
| a result as expected | passed |
| another result, an exception, an exit code, a crash, too much time, memory or output | failed: `wrong` |
| the machine did not let it run | `timeout` |
| the sandbox could not be made | `error` |

Left out on purpose: languages other than Python, and looking at a program instead of running it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.extract import find_answer
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import How, Limits, Wall

MAX_REASON = 200
MAX_SECONDS, MIN_MEMORY_MB, MAX_MEMORY_MB = 60.0, 64, 16_384
PYTHON = frozenset({"python", "python3", "py"})
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*")
_FUTURE = re.compile(r"^from __future__ import [\w ,]+$", re.MULTILINE)
_SYNTAX = ("SyntaxError", "IndentationError", "TabError")


class NoWall(UserError):
    """No sandbox can be put up here, so that no program can be judged at all."""


@dataclass(frozen=True)
class Program:
    """Somebody's Python. Example: `Program("print(42)", fenced=True)`"""

    source: str
    fenced: bool
    """It was marked as a program; else only that it is Python can tell."""

    @property
    def name(self) -> str:
        """The same for the same text: what votes are counted on."""
        lines = "\n".join(line.rstrip() for line in self.source.splitlines()).strip()
        return f"program {hashlib.sha256(lines.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"

    def after(self, prelude: str) -> str:
        """The program with other text before it, in one module."""
        if not prelude.strip():
            return self.source
        source = self.source.replace("\r\n", "\n")
        first = "\n".join(_FUTURE.findall(source))  # these must open a module
        return f"{first}\n{prelude}\n\n{_FUTURE.sub('', source) if first else source}"


@dataclass(frozen=True)
class Outcome:
    """How one test went. Example: `Outcome(How.DONE, "gives 3, not 4")`; done without a `why` is passed."""

    how: How
    why: str = ""

    @property
    def passed(self) -> bool:
        return self.how is How.DONE and not self.why


def find_program(data: Mapping[str, Any], text: str) -> Program | None:
    """The program of an answer, or None. With `raw` in the data the answer is the program as it is."""
    if data.get("raw") is True:
        return Program(text, fenced=True)
    blocks = _blocks(text)
    if blocks is not None:
        chosen = [block for label, block in blocks if label in PYTHON] or [
            block for label, block in blocks if not label
        ]
        return Program(chosen[-1], fenced=True) if chosen and not chosen[-1].isspace() and chosen[-1] else None
    found = find_answer(text, ("answer_tag", "bare"))
    return Program(found.text, fenced=False) if found else None


def _blocks(text: str) -> list[tuple[str, str]] | None:
    """(label, content) of each fenced block; None where there is no fence, [] where the last was never closed."""
    blocks: list[tuple[str, str]] = []
    fence, label, content = "", "", []
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _FENCE.match(line)
        if fence:
            if match and match[1][0] == fence[0] and len(match[1]) >= len(fence) and not match[2]:
                blocks.append((label, "\n".join(content) + "\n"))
                fence = ""
            else:
                content.append(line)
        elif match and match.end() == len(line):
            fence, label, content = match[1], match[2].lower(), []
    if fence:
        return []
    return blocks or None


def wall() -> Wall:
    """The sandbox of this process.

    Raises:
        NoWall: none can be put up here.
    """
    try:
        return walls.current()
    except UserError as error:
        raise NoWall(str(error)) from None


def limits_of(data: Mapping[str, Any], where: str = "the problem") -> Limits:
    """Limits of one test, from `seconds` and `memory_mb` of the data.

    Raises:
        UserError: out of bounds.
    """
    seconds, memory = data.get("seconds"), data.get("memory_mb")
    seconds = Limits.seconds if seconds is None else seconds
    memory = Limits.memory_mb if memory is None else memory
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        raise UserError(f"{where}: 'seconds' must be a number above 0, up to {MAX_SECONDS:g}, not {seconds!r:.40}")
    if isinstance(memory, bool) or not isinstance(memory, int) or not MIN_MEMORY_MB <= memory <= MAX_MEMORY_MB:
        raise UserError(
            f"{where}: 'memory_mb' must be a whole number from {MIN_MEMORY_MB} to {MAX_MEMORY_MB}, not {memory!r:.40}"
        )
    return Limits(seconds=float(seconds), memory_mb=memory)


def tolerance_of(data: Mapping[str, Any], where: str = "the problem") -> float | None:
    """Raises:
    UserError: no number from 0 to below 1.
    """
    value = data.get("tolerance")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1):
        raise UserError(f"{where}: 'tolerance' must be a number from 0 to below 1, not {value!r:.40}")
    return value


def check_shared(data: Mapping[str, Any], where: str) -> None:
    """What the data of all three verifiers may hold.

    Raises:
        UserError: a field of the wrong kind.
    """
    limits_of(data, where)
    tolerance_of(data, where)
    for key, kind in (("partial", bool), ("raw", bool), ("prelude", str), ("entry_point", str), ("function", str)):
        value = data.get(key)
        if value is not None and not isinstance(value, kind):
            raise UserError(
                f"{where}: {key!r} must be {'true or false' if kind is bool else 'text'}, not {value!r:.40}"
            )


def nothing(method: str, program: Program | None = None) -> Verdict:
    """The verdict where there is no program."""
    reason = "no fenced block, and the text is no Python" if program else "no closed block of Python in the text"
    return Verdict(VerdictKind.NO_ANSWER, reason, None, method, score=None)


def weigh(
    outcomes: Iterable[Outcome], total: int, data: Mapping[str, Any], program: Program, method: str, note: str = ""
) -> Verdict:
    """The verdict on `total` tests, whose outcomes are drawn one at a time for as long as they can matter."""
    passed, failed = 0, ""
    for number, outcome in enumerate(outcomes, 1):
        if outcome.passed:
            passed += 1
            continue
        if outcome.how.ours:
            if failed:
                break  # it is wrong already
            kind = VerdictKind.TIMEOUT if outcome.how is How.STARVED else VerdictKind.ERROR
            return Verdict(kind, line(f"test {number} of {total}: {_said(outcome)}"), program.name, method)
        if not program.fenced and number == 1 and outcome.how is How.RAISED and any(s in outcome.why for s in _SYNTAX):
            return nothing(method, program)
        failed = failed or f"test {number} of {total}: {_said(outcome)}"
        if data.get("partial") is not True or outcome.how in (How.CPU, How.IDLE):
            break  # one endless loop is paid for, not one a test
    if passed == total and not failed:
        return Verdict(
            VerdictKind.CORRECT, line(f"{total} test{'s' * (total > 1)} passed{note}"), program.name, method, score=1.0
        )
    reason = line(failed or f"only {passed} of {total} tests were run")
    return Verdict(VerdictKind.WRONG, reason, program.name, method, score=min(passed, total - 1) / total)


_SAID = {
    How.CPU: "took too much processor time",
    How.IDLE: "took too long without working",
    How.DIED: "its process ended in the middle",
    How.MEMORY: "took too much memory",
    How.OUTPUT: "printed or returned too much, or what cannot be read",
    How.STARVED: "the machine did not let it run in time",
    How.REFUSED: "could not be run",
}


def _said(outcome: Outcome) -> str:
    said = _SAID.get(outcome.how, "")
    return f"{said} ({outcome.why})" if said and outcome.why else said or outcome.why or "an exit code other than 0"


def line(text: str) -> str:
    """One line of printable text, bounded: it may quote a program."""
    text = " ".join(text[: 4 * MAX_REASON].split())
    return "".join(char if char.isprintable() else "�" for char in text)[:MAX_REASON]


def weak(expected: list[str]) -> str:
    """A word on tests that one and the same result passes; "" where they differ."""
    return "; all of them expect the same, so that a constant passes too" if len(set(expected)) == 1 else ""
