"""Programs that read standard input and print: the verifier `code-io`.

`data`: `tests` of `input` and `output` (or another shape of `code_tests`); optional `seconds` and `memory_mb` of one
test, `tolerance`, `partial`, `prelude` (text that stands before the program). Each test is a new process. Nothing but
its standard output counts, and only when it ends by itself with exit code 0.

What it printed and what is expected are compared line by line, without spaces at the ends of lines and empty lines at
the end. Within a line the words must be the same, or two numbers of the same worth of which one has a point or an
exponent (`5` and `5.0`, never `5` and `05`), with `tolerance` within it, relative or absolute. NaN and infinity are
words like others. Left out on purpose: several right outputs, and checkers that are programs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from mull.core.types import Verdict
from mull.verify import code
from mull.verify.code_call import judge as judge_calls
from mull.verify.code_tests import CallTest, IoTest, read_tests
from mull.verify.sandbox.base import How, Ran, Wall

METHOD = "code-io"
_DECIMAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
MAX_DECIMAL = 100


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on the program in `text`."""
    tests = read_tests(data)
    calls = [test for test in tests if isinstance(test, CallTest)]
    if calls:
        return judge_calls(data, text, calls, METHOD)
    typed = [test for test in tests if isinstance(test, IoTest)]
    wall = code.wall()
    method = f"{METHOD}/{wall.name}"
    program = code.find_program(data, text)
    if program is None:
        return code.nothing(method)
    outcomes = _outcomes(wall, program.after(data.get("prelude") or ""), typed, data)
    with contextlib.closing(outcomes):
        note = code.weak([" ".join(test.output.split()) for test in typed])
        return code.weigh(outcomes, len(typed), data, program, method, note)


def _outcomes(
    wall: Wall, source: str, tests: Sequence[IoTest], data: Mapping[str, Any]
) -> Generator[code.Outcome, None, None]:
    limits, tolerance = code.limits_of(data), code.tolerance_of(data)
    runs = wall.runs(source, [test.input for test in tests], limits)
    with contextlib.closing(runs):
        for ran, test in zip(runs, tests, strict=True):
            yield code.Outcome(ran.how, _difference(test, ran.out, tolerance) if ran.how is How.DONE else _why(ran))


def _why(ran: Ran) -> str:
    said = ran.why.strip().rpartition("\n")[2]
    return said if ran.how in (How.RAISED, How.REFUSED) and said != "error" else ""


def _difference(test: IoTest, out: str, tolerance: float | None) -> str:
    """Where the output differs from what is expected; "" where it does not."""
    found, wanted = _lines(out), _lines(test.output)
    for number, (line, other) in enumerate(zip(found, wanted, strict=False), 1):
        if not _same_line(line, other, tolerance):
            return f"line {number} is {line[:60]!r}, not {other[:60]!r}"
    if len(found) != len(wanted):
        return f"lines of output: {len(found)}, not {len(wanted)}"
    return ""


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_line(line: str, other: str, tolerance: float | None) -> bool:
    if line == other:
        return True
    found, wanted = line.split(), other.split()
    return len(found) == len(wanted) and all(
        one == two or _same_number(one, two, tolerance) for one, two in zip(found, wanted, strict=True)
    )


def _same_number(found: str, wanted: str, tolerance: float | None) -> bool:
    if max(len(found), len(wanted)) > MAX_DECIMAL or not (_DECIMAL.fullmatch(found) and _DECIMAL.fullmatch(wanted)):
        return False
    if not any(mark in found + wanted for mark in ".eE"):
        return False  # two integers are equal when their digits are
    one, two = Decimal(found), Decimal(wanted)
    return one == two or (tolerance is not None and abs(one - two) <= Decimal(tolerance) * max(Decimal(1), abs(two)))


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: no tests, tests of an unknown shape, or a setting out of bounds.
    """
    code.check_shared(data, where)
    read_tests(data, where)
