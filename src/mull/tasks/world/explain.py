"""The embedded world's chains in plain sentences, for a reader who has never seen its tokens.

`3 5 + 8 8 * 9 4 - 5 no` becomes "(3 + 5) × 8 = 9", "checks: 9 − 4 = 5, not 0" and "so: no". What cannot be read as a
step is shown as it stands and marked broken; nothing a model wrote is corrected or left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mull.tasks.world.words import (
    ANSWER,
    END_ANSWER,
    END_THINK,
    ENGLISH,
    FRENCH,
    MODULUS,
    OPERATORS,
    TASKS,
    THINK,
    apply,
)  # fmt: skip

Kind = Literal["try", "check", "verdict", "step", "answer", "broken"]
_SIGNS = {"+": "+", "-": "−", "*": "×"}
_VERDICTS = {ENGLISH.yes: "yes", FRENCH.yes: "yes", ENGLISH.no: "no", FRENCH.no: "no"}
_AGAIN = (ENGLISH.again, FRENCH.again)
_SO = (ENGLISH.so, FRENCH.so)


@dataclass(frozen=True)
class Line:
    """One thing the model did. Example: `Line("tries (3 + 5) × 8 = 9", "try")`"""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Explanation:
    """A problem and a completion in plain sentences. Example: `explain("chain_mod", "3 5 + compute", text)`"""

    question: str
    lines: tuple[Line, ...]


def explain(task: str, prompt: str, text: str) -> Explanation:
    """The completion `text` of a problem of the embedded world, line by line.

    Raises:
        ValueError: `task` is none of the embedded world's.
    """
    if task not in TASKS:
        raise ValueError(f"{task} is no task of the embedded world: {', '.join(TASKS)}")
    words = prompt.split()
    countdown = task == "countdown_mod"
    target = words[-1] if countdown else None
    operations = sum(word.isdigit() for word in words) - (2 if countdown else 1)
    lines: list[Line] = []
    for part, tag in _parts(text):
        if tag == ANSWER:
            lines.append(_answer(part, countdown))
        elif tag == THINK and part:
            lines += _thought(part, target, operations)
        elif part:
            lines.append(Line(f"writes outside its thought and answer: {' '.join(part)}", "broken"))
    if THINK in text and END_THINK not in text:
        lines.append(Line("never ends its thought", "broken"))
    if ANSWER not in text:
        lines.append(Line("gives no marked answer", "broken"))
    elif END_ANSWER not in text:
        lines.append(Line("never closes its answer", "broken"))
    return Explanation(_question(words, countdown), tuple(lines))


def _question(words: list[str], countdown: bool) -> str:
    if countdown:
        numbers = ", ".join(words[:-3]) + f" and {words[-3]}"
        return f"Use {numbers} once each, with two of +, − and ×, to make {words[-1]}, counting modulo {MODULUS}."
    return f"Compute {_nested(words[:-1])} modulo {MODULUS}."


def _parts(text: str) -> list[tuple[list[str], str]]:
    """Runs of words with the tag they stand under ("" outside)."""
    found: list[tuple[list[str], str]] = []
    under, run = "", []
    for word in text.split():
        if word in (THINK, END_THINK, ANSWER, END_ANSWER):
            found.append((run, under))
            under, run = word if word in (THINK, ANSWER) else "", []
        else:
            run.append(word)
    return [*found, (run, under)]


def _answer(words: list[str], countdown: bool) -> Line:
    shown = _nested(words) if countdown else " ".join(words)
    return Line(f"answers {shown}" if words else "answers nothing", "answer")


def _nested(words: list[str]) -> str:
    """A running calculation as a formula: `3 5 + 8 *` → `(3 + 5) × 8`."""
    if not re.fullmatch(r"\d+( \d+ [-+*])+", " ".join(words)):
        return " ".join(words)
    shown = words[0]
    for i in range(1, len(words), 2):
        shown = f"{f'({shown})' if i > 1 else shown} {_SIGNS[words[i + 1]]} {words[i]}"
    return shown


def _thought(words: list[str], target: str | None, operations: int) -> list[Line]:
    """Attempts end at a verdict; within one, a value and then `number operator value` as often as it was written."""
    lines: list[Line] = []
    run: list[str] = []
    for word in words:
        if word in _VERDICTS:
            lines += _run(run, target, operations)
            lines.append(Line("so: " + ("yes, that is it" if _VERDICTS[word] == "yes" else "no"), "verdict"))
            run = []
        elif word in _AGAIN:
            lines += _run(run, target)
            lines.append(Line("computes it again, to check", "check"))
            run = []
        elif word not in _SO:
            run.append(word)
    return lines + _run(run, target)


def _run(words: list[str], target: str | None, operations: int | None = None) -> list[Line]:
    """One run of steps. Before a verdict, a difference beyond the problem's `operations` is a check."""
    if not words:
        return []
    if not re.fullmatch(r"\d+( \d+ [-+*] \d+)+", " ".join(words)):
        return [Line(f"loses the thread: {' '.join(words)}", "broken")]
    steps = [(words[i - 1], words[i + 1], words[i], words[i + 2]) for i in range(1, len(words), 3)]
    last = steps[-1]
    checks = operations is not None and len(steps) > max(1, operations) and last[1] == "-"
    checks = checks and target in (None, last[2])
    body = steps[:-1] if checks else steps
    if target is None:
        lines = [Line(_step(*step), "step") for step in body]
    else:
        formula = _nested([words[0], *(part for _, op, number, _ in body for part in (number, op))])
        slips = [_step(*step) for step in body if _slipped(*step)]
        lines = [Line(f"tries {formula} = {body[-1][3]}{' (slip: ' + slips[0] + ')' if slips else ''}", "try")]
    if checks:
        outcome = "no difference" if last[3] == "0" else "not the same"
        lines.append(Line(f"checks: {_step(*last)}, {outcome}", "check"))
    return lines


def _slipped(left: str, operator: str, right: str, result: str) -> bool:
    return operator in OPERATORS and apply(operator, int(left), int(right)) != int(result)


def _step(left: str, operator: str, right: str, result: str) -> str:
    slipped = _slipped(left, operator, right, result)
    note = f" (a slip: it is {apply(operator, int(left), int(right))})" if slipped else ""
    return f"{left} {_SIGNS[operator]} {right} = {result}{note}"
