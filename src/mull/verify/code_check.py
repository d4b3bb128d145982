"""Programs whose tests are Python: the verifier `code-check`, for HumanEval's `check` and MBPP's asserts.

`data`: `tests`, a Python source or a list of them (each is one test); `entry_point`, the function that is asked for,
which is given to `check` where the tests define that; `prelude`, trusted code that both the tests and the program begin
with (HumanEval's prompt with its helpers, MBPP's `test_setup_code`); optional `seconds` and `memory_mb` of one call,
`partial`.

The tests run in a second sandbox, where a stand-in calls the program (see `sandbox.border`). Stand-ins are the entry
point, and the names that the tests use and neither define nor find among Python's builtins or in the prelude. So
`sorted` in a test is Python's own, whatever the program says, and a helper of the prelude is the prelude's.

Left out on purpose: objects of the program's own classes and functions as arguments (wrong, with the reason that they
cannot cross), changes to arguments below the outermost list, dict or set, and unittest.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict
from mull.verify import code
from mull.verify.sandbox import border
from mull.verify.sandbox.base import Wall
from mull.verify.sandbox.border import Suite

METHOD = "code-check"
CHECK = "check"
"""The function that HumanEval's tests define and leave to be called."""
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on the program in `text`."""
    suite = _suite(data, "the problem")
    wall = code.wall()
    method = f"{METHOD}/{wall.name}"
    program = code.find_program(data, text)
    if program is None:
        return code.nothing(method)
    source = program.after(data.get("prelude") or "")
    outcomes = _outcomes(wall, source, suite, data)
    return code.weigh(outcomes, len(suite.tests), data, program, method, _weak(suite.tests))


def _outcomes(wall: Wall, source: str, suite: Suite, data: Mapping[str, Any]) -> Iterator[code.Outcome]:
    tested = border.check(wall, source, suite, code.limits_of(data))
    if tested.failed is not None:
        yield code.Outcome(tested.failed, tested.why or str(tested.failed))
    for how, why in tested.results:
        yield code.Outcome(how, why)


def _suite(data: Mapping[str, Any], where: str) -> Suite:
    tests = data.get("tests")
    sources = (tests,) if isinstance(tests, str) else tuple(tests) if isinstance(tests, list | tuple) else None
    if sources is None or not all(isinstance(source, str) for source in sources):
        raise UserError(f"{where}: 'tests' must be Python source, or a list of such, not {tests!r:.60}")
    if not sources:
        raise UserError(f"{where}: there is not one test, so that every program would pass; add some or drop the row")
    try:
        return _planned(sources, data.get("entry_point") or "", data.get("prelude") or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else error
        raise UserError(f"{where}: {said}") from None


@lru_cache(maxsize=256)
def _planned(tests: tuple[str, ...], entry: str, prelude: str) -> Suite:
    """Raises ValueError or SyntaxError: tests that cannot be, or test nothing."""
    _parsed(prelude, "the prelude")
    trees = [_parsed(test, f"test {number}") for number, test in enumerate(tests, 1)]
    defined = {name for tree in trees for name in _bound(tree)}
    if entry and not entry.isidentifier():
        raise ValueError(f"'entry_point' must be the name of a function, not {entry[:60]!r}")
    if CHECK in defined and not any(_calls(tree, CHECK) for tree in trees):
        if not entry:
            raise ValueError(f"the tests define {CHECK} and never call it; name the function to check: 'entry_point'")
        prelude, tests = "\n\n".join((prelude, *tests)), (f"{CHECK}({entry})",)
    for number, tree in enumerate(trees, 1):
        if len(trees) == len(tests) and not _asserts(tree):
            raise ValueError(f"test {number} asserts nothing, so that every program would pass it")
    if not any(_asserts(tree) for tree in trees):
        raise ValueError("the tests assert nothing, so that every program would pass them")
    free = {name for tree in trees for name in _used(tree)} - defined - set(dir(builtins)) - {entry}
    names = (*sorted(free), *([entry] if entry else ()))
    if not names:
        raise ValueError("the tests call no function of the program; name it: 'entry_point'")
    return Suite(tests, names, entry, prelude)


def _parsed(source: str, what: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"{what} is no Python ({error.msg}, line {error.lineno})") from None


def _bound(tree: ast.AST) -> Iterator[str]:
    """Names that a source binds anywhere: too many rather than too few, as no stand-in may hide what is a test's."""
    for node in ast.walk(tree):
        if isinstance(node, _SCOPES):
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def _used(tree: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))


def _calls(tree: ast.AST, name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for node in ast.walk(tree)
    )


def _asserts(tree: ast.AST) -> bool:
    """Is there anything in it that can fail: an assert, a raise, or a call of something named so?"""

    def named(node: ast.Call) -> bool:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name.startswith(("assert", CHECK))

    return any(
        isinstance(node, ast.Assert | ast.Raise) or (isinstance(node, ast.Call) and named(node))
        for node in ast.walk(tree)
    )


def _weak(tests: tuple[str, ...]) -> str:
    """As `code.weak`, where every test is `assert f(…) == constant`."""
    expected = []
    for test in tests:
        body = ast.parse(test).body
        if len(body) != 1 or not isinstance(body[0], ast.Assert) or not isinstance(body[0].test, ast.Compare):
            return ""
        compare = body[0].test
        if not isinstance(compare.left, ast.Call) or not isinstance(compare.ops[0], ast.Eq):
            return ""
        expected.append(ast.unparse(compare.comparators[0]))
    return code.weak(expected)


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: no tests, tests that are no Python or assert nothing, or a setting out of bounds.
    """
    code.check_shared(data, where)
    _suite(data, where)
