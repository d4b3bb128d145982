"""Programs that define a function: the verifier `code-call`.

`data`: `tests` of `args` (and `kwargs`) and `expected`, with `function` in each or once beside them (`solve`, or
`Solution.solve` for a method of a new object); optional `seconds` and `memory_mb` of one test, `tolerance`, `partial`,
`prelude` (text that stands before the program). The program is loaded once, as a module that is not `__main__`, and
called for each test; where its process dies, the next call finds a new one. The arguments go in, the result comes out
as a tree and is compared here by `trees.same`: what is expected never is where the program is.

Left out on purpose: results that are objects of the program's own classes (wrong, with a reason), and tests of what a
function does to its arguments (`code-check` has these).
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict
from mull.verify import code, trees
from mull.verify.code_tests import CallTest, read_tests
from mull.verify.sandbox.base import Call, How, Wall

METHOD = "code-call"


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on the program in `text`."""
    return judge(data, text, [test for test in read_tests(data) if isinstance(test, CallTest)], METHOD)


def judge(data: Mapping[str, Any], text: str, tests: Sequence[CallTest], name: str) -> Verdict:
    """The verdict of the verifier `name` on the program in `text`."""
    wall = code.wall()
    method = f"{name}/{wall.name}"
    program = code.find_program(data, text)
    if program is None:
        return code.nothing(method)
    outcomes = _outcomes(wall, program.after(data.get("prelude") or ""), tests, data)
    with contextlib.closing(outcomes):
        note = code.weak([trees.shown(test.expected, 1000) for test in tests])
        return code.weigh(outcomes, len(tests), data, program, method, note)


def _outcomes(
    wall: Wall, source: str, tests: Sequence[CallTest], data: Mapping[str, Any]
) -> Generator[code.Outcome, None, None]:
    tolerance = code.tolerance_of(data)
    with wall.calls(source, code.limits_of(data)) as ask:
        for test in tests:
            returned = ask(Call(test.function, test.args, test.kwargs))
            if returned.how is not How.DONE:
                yield code.Outcome(returned.how, returned.why)
            elif trees.same(test.expected, returned.tree, tolerance):
                yield code.Outcome(How.DONE)
            else:
                yield code.Outcome(
                    How.DONE, f"{test.function} gives {trees.shown(returned.tree)}, not {trees.shown(test.expected)}"
                )


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: no tests, tests of an unknown shape, or a setting out of bounds.
    """
    code.check_shared(data, where)
    if not all(isinstance(test, CallTest) for test in read_tests(data, where)):
        raise UserError(
            f"{where}: tests of input and output are for the verifier code-io; a call has args and expected"
        )
