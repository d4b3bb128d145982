"""Tests of a function that its near misses fail: chosen by running changed copies of the reference against each other.

Each copy has one constant one larger or smaller, one comparison with its border moved, or one step left out; others
return the same for everything, or their argument. From a pool of inputs come first those that tell the reference from
a copy that no chosen input tells from it yet. A copy that agrees with the reference on the whole pool is taken for the
same function. All of it is source that this package has written itself. Left out on purpose: changed control flow.
"""

from __future__ import annotations

import ast
import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mull.tasks.functions.levels import Draw, Input

POOL = 48
TESTS = 8
EXAMPLES = 3
_MOVED = {ast.Gt: ast.GtE, ast.Lt: ast.LtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
_FAILED = "raised"


@dataclass(frozen=True)
class Chosen:
    """Cases of (arguments, result): those that are shown and those that are not. No input is in both."""

    examples: tuple[tuple[Input, Any], ...]
    tests: tuple[tuple[Input, Any], ...]


def choose(source: str, draw: Draw, rng: random.Random) -> Chosen | None:
    """Examples and tests of a function; None where its results are all the same or its argument."""
    pool: dict[str, Input] = {}
    for _ in range(4 * POOL):
        given = draw(rng)
        pool.setdefault(json.dumps(given), given)
        if len(pool) == POOL:
            break
    inputs = sorted(pool.values(), key=lambda given: len(json.dumps(given)))
    results = _results(_function(ast.parse(source)), inputs)
    changed = [_results(_function(tree), inputs) for tree in mutants(source)]
    changed += [[results[0]] * len(inputs), [given[0] for given in inputs]]
    alive = [other for other in changed if other != results]
    if len(inputs) < TESTS + EXAMPLES or results[0] is None or len(alive) < 2 or changed[-1] == results:
        return None
    if all(result == results[0] for result in results):
        return None
    chosen = _covering(results, alive, rng)
    rest = [index for index in range(len(inputs)) if index not in chosen]
    shown = _shown(results, rest)
    rest = [index for index in rest if index not in shown]
    rng.shuffle(rest)
    rest.sort(key=lambda index: any(results[index] == results[other] for other in chosen))  # other results first
    chosen += rest[: max(0, TESTS - len(chosen))]
    return Chosen(*(tuple((inputs[i], results[i]) for i in sorted(part)) for part in (shown, chosen)))


def _covering(results: Sequence[Any], alive: list[list[Any]], rng: random.Random) -> list[int]:
    """Inputs, as few as a greedy choice finds, that tell the reference from every copy."""
    order = list(range(len(results)))
    rng.shuffle(order)
    chosen: list[int] = []
    while alive:
        best = max(order, key=lambda index: sum(other[index] != results[index] for other in alive))
        chosen.append(best)
        alive = [other for other in alive if other[best] == results[best]]
    return chosen


def _shown(results: Sequence[Any], rest: Sequence[int]) -> list[int]:
    """Rather short inputs with different results, to be read."""
    shown: list[int] = []
    for index in rest[len(rest) // 4 :]:
        if all(results[index] != results[other] for other in shown) and len(shown) < EXAMPLES:
            shown.append(index)
    return shown or list(rest[:1])


def _function(tree: ast.Module) -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(compile(tree, "reference", "exec"), names)
    return names["solve"]


def _results(function: Callable[..., Any], inputs: Sequence[Input]) -> list[Any]:
    found = []
    for given in inputs:
        try:
            found.append(function(*copy.deepcopy(given)))
        except (ArithmeticError, ValueError, LookupError, TypeError, NameError):
            found.append(_FAILED)
    return found


def mutants(source: str) -> Iterator[ast.Module]:
    """Copies of a source with one change each."""
    nodes = [type(node) for node in ast.walk(ast.parse(source))]
    for place, kind in enumerate(nodes):
        if kind not in (ast.Constant, ast.Compare):
            continue
        for change in (1, -1):
            tree = ast.parse(source)
            node = list(ast.walk(tree))[place]
            if isinstance(node, ast.Constant) and type(node.value) is int:
                node.value += change
            elif isinstance(node, ast.Compare) and type(node.ops[0]) in _MOVED and change == 1:
                node.ops[0] = _MOVED[type(node.ops[0])]()
            else:
                continue
            yield tree
    for place, step in enumerate(ast.parse(source).body[0].body):  # type: ignore[attr-defined]
        if isinstance(step, ast.Assign):
            tree = ast.parse(source)
            function = tree.body[0]
            assert isinstance(function, ast.FunctionDef)
            del function.body[place]
            argument = function.args.args[0].arg
            function.body.insert(0, ast.parse(f"t = ys = {argument}").body[0])  # the step before it, or the argument
            yield tree


def operations(source: str) -> int:
    """How many things a function does: operators, comparisons, calls, loops, cases, assignments, subscripts."""
    counted = (
        ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Call, ast.For, ast.comprehension, ast.If, ast.IfExp,
        ast.Assign, ast.AugAssign, ast.Subscript,
    )  # fmt: skip
    return sum(isinstance(node, counted) for node in ast.walk(ast.parse(source)))
