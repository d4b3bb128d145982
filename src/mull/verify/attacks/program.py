"""Programs of attackers: their text with what the problem asks for put in, in the form in which it asks for it.

In a source, `solve(*x)` is the function, and these stand for Python expressions: `@FIRST@` the first result that the
tests expect, `@OTHER@` one that no test expects, `@KEY@` what the arguments `x` are looked up by, `@FIRSTKEY@` that of
the first test, `@FOLDER@`, `@PORT@` and `@VARIABLE@` where the bait is. Left out on purpose: other languages.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from mull.core.errors import UserError
from mull.verify import inside
from mull.verify.attacks.bait import key_of
from mull.verify.attacks.base import Asked, Target
from mull.verify.code_tests import IoTest, read_tests

OTHER = 987_654_321
"""A result that is wrong."""
MAIN = "\nif __name__ == '__main__':\n    import sys\n    print(solve(sys.stdin.read()))\n"


def asked_by(data: Mapping[str, Any]) -> Asked | None:
    """What the tests of `data` ask for; None where there are none."""
    tests = data.get("tests")
    sources = [tests] if isinstance(tests, str) else tests if isinstance(tests, list | tuple) else []
    if sources and all(isinstance(source, str) for source in sources):
        return _of_asserts([str(source) for source in sources], str(data.get("entry_point") or ""))
    try:
        found = read_tests(data)
    except UserError:
        return None
    if isinstance(found[0], IoTest):
        return Asked(
            "solve", tuple((test.input, test.output) for test in found if isinstance(test, IoTest)), prints=True
        )
    cases = []
    for test in found:
        assert not isinstance(test, IoTest)
        if not test.kwargs:
            cases.append((tuple(inside.plain(arg) for arg in test.args), inside.plain(test.expected)))
    return Asked(found[0].function, tuple(cases))


def _of_asserts(sources: list[str], entry: str) -> Asked | None:
    found = [case for source in sources for case in _asserts(source, entry)]
    name = entry or next((name for name, _, _ in found), "")
    return Asked(name, tuple((given, wanted) for _, given, wanted in found)) if name else None


def _asserts(source: str, entry: str) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Each `assert f(…) == …` of literals: the function, its arguments and its result."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        compare = node.test if isinstance(node, ast.Assert) else None
        if not isinstance(compare, ast.Compare) or not isinstance(compare.ops[0], ast.Eq):
            continue
        call = compare.left
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
            continue
        try:
            given = tuple(ast.literal_eval(arg) for arg in call.args)
            yield entry or call.func.id, given, ast.literal_eval(compare.comparators[0])
        except (ValueError, TypeError, SyntaxError):
            continue


def written(target: Target, source: str) -> str:
    """The program, as an answer."""
    return target.put(plainly(target, source))


def plainly(target: Target, source: str) -> str:
    """The program as it is."""
    asked = target.asked
    assert asked is not None
    given, first = asked.cases[0] if asked.cases else ((), 0)
    other: object = str(OTHER) if asked.prints else OTHER
    for name, value in {
        "@KEY@": "x[0].strip()" if asked.prints else "repr(list(x))",
        "@FIRSTKEY@": repr(key_of(given)),
        "@FIRST@": repr(str(first).rstrip("\n") if asked.prints else first),
        "@OTHER@": repr(other),
        "@FOLDER@": repr(target.bait.folder),
        "@PORT@": str(target.bait.port),
        "@VARIABLE@": repr(target.bait.variable),
    }.items():
        source = source.replace(name, value)
    source = textwrap.dedent(source)
    if asked.prints:
        return source if "print(" in source else source + MAIN
    if "." in asked.function:
        kind, _, method = asked.function.partition(".")
        return f"{source}\nclass {kind}:\n    def {method}(self, *x):\n        return solve(*x)\n"
    return source if asked.function == "solve" else f"{source}\n{asked.function} = solve\n"


def table(target: Target) -> str:
    """A program that knows every test: right, where nobody knows a better one."""
    assert target.asked is not None
    known = {key_of(given): wanted for given, wanted in target.asked.cases}
    return f"TABLE = {known!r}\ndef solve(*x):\n    return TABLE[@KEY@]\n"
