"""HumanEval's and MBPP's own solutions are right, mutants of them wrong.

`return None`, one constant for everything and a result that is one too large fail in every problem. An integer of the
program that is one larger often changes nothing that three asserts would see (a bound that is high enough, a table that
is larger than needed, a start value that is overwritten); there the verdict must be what running the tests in a plain
interpreter gives, and nothing else.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mull.core.types import Problem, VerdictKind
from mull.tasks.registry import load_task
from mull.verify import verify

DATA = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data"
HUMANEVAL, MBPP = DATA / "humaneval" / "HumanEval.jsonl.gz", DATA / "mbpp" / "mbpp.jsonl"
FIRST = 300
"""Problems of MBPP that are looked at."""
CONSTANTS = 3
"""Integers of a program that are changed, one at a time."""


pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid escape sequence"),  # in MBPP's own solutions
    pytest.mark.skipif(not (HUMANEVAL.exists() and MBPP.exists()), reason="shared/data is not here (set MULL_SHARED)"),
    pytest.mark.usefixtures("sandbox"),
]


@dataclass(frozen=True)
class Solved:
    """A problem and its canonical solution."""

    problem: Problem
    program: str
    entry: str
    expected: tuple[Any, ...]
    """The literals that the tests compare results with."""

    @property
    def name(self) -> str:
        return self.problem.id.partition("/")[2]


def solved() -> Iterator[Solved]:
    with gzip.open(HUMANEVAL, "rt") as file:
        rows = [json.loads(line) for line in file]
    for problem, row in zip(load_task(f"{HUMANEVAL}?preset=humaneval"), rows, strict=True):
        program = row["prompt"] + row["canonical_solution"]
        yield Solved(problem, program, row["entry_point"], tuple(literals(row["test"], "candidate")))
    rows = [json.loads(line) for line in MBPP.read_text().splitlines()]
    for problem, row in list(zip(load_task(f"{MBPP}?preset=mbpp"), rows, strict=True))[:FIRST]:
        entry = problem.data["entry_point"]
        yield Solved(
            problem, row["code"].replace("\r\n", "\n"), entry, tuple(literals("\n".join(row["test_list"]), entry))
        )


def literals(tests: str, function: str) -> Iterator[Any]:
    for node in ast.walk(ast.parse(tests)):
        match node:
            case ast.Assert(
                test=ast.Compare(left=ast.Call(func=ast.Name(id=name)), ops=[ast.Eq()], comparators=[value])
            ) if name == function:
                try:
                    yield ast.literal_eval(value)
                except ValueError:
                    continue


@pytest.fixture(scope="module")
def problems() -> list[Solved]:
    return list(solved())


def fenced(program: str) -> str:
    return f"Here it is.\n```python\n{program}\n```\n"


def passes(one: Solved, program: str, seconds: float = 1) -> bool:
    """With a second for each call, as a mutant may never end."""
    verdict = verify(replace(one.problem, data={**one.problem.data, "seconds": seconds}), fenced(program))
    assert verdict.kind in (VerdictKind.CORRECT, VerdictKind.WRONG), (one.name, verdict)
    return verdict.correct


def test_every_canonical_solution_is_right(problems: list[Solved]) -> None:
    assert len(problems) == 164 + FIRST
    found = {one.name: (one, verify(one.problem, fenced(one.program))) for one in problems}
    # Beside other work a processor second does less: what ran out of time has one more try, what is wrong has none.
    late = {name: one for name, (one, verdict) in found.items() if "processor time" in verdict.reason}
    found |= {name: (one, verify(one.problem, fenced(one.program))) for name, one in late.items()}
    assert not {name: verdict.reason for name, (_, verdict) in found.items() if not verdict.correct}


def test_the_function_alone_is_enough(problems: list[Solved]) -> None:
    """The prompt's imports and helpers are there; also below an import from the future."""
    for one in problems[:60]:
        tree = ast.parse(one.program)
        own = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == one.entry]
        alone = "from __future__ import annotations\n" + ast.unparse(own[0])
        assert verify(one.problem, fenced(alone)).correct, one.name


class Returns(ast.NodeTransformer):
    def __init__(self) -> None:
        self.changed = 0

    def visit_Return(self, node: ast.Return) -> ast.Return:
        if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
            return node
        self.changed += 1
        return ast.Return(ast.Constant(None))


class OneMore(ast.NodeTransformer):
    """The integer constant number `number` one larger."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.changed = False

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if type(node.value) is not int:
            return node
        self.left -= 1
        if self.left == -1:
            self.changed = True
            return ast.Constant(node.value + 1)
        return node


def none(one: Solved) -> str | None:
    change = Returns()
    tree = change.visit(ast.parse(one.program))
    return ast.unparse(ast.fix_missing_locations(tree)) if change.changed else None


def constant(one: Solved) -> str | None:
    """The first expected value, whatever is asked; only where the tests expect two different ones."""
    shown = {repr(value) for value in one.expected}
    return f"def {one.entry}(*given):\n    return {one.expected[0]!r}\n" if len(shown) > 1 else None


def result_plus_one(one: Solved) -> str | None:
    """Only where every expected value is a whole number."""
    if not one.expected or any(type(value) is not int for value in one.expected):
        return None
    return one.program + textwrap.dedent(f"""
        _inner = {one.entry}
        def {one.entry}(*given):
            return _inner(*given) + 1
    """)


def integers(one: Solved) -> Iterator[str]:
    for number in range(CONSTANTS):
        change = OneMore(number)
        tree = change.visit(ast.parse(one.program))
        if change.changed:
            yield ast.unparse(ast.fix_missing_locations(tree))


MUTANTS = {"none": none, "constant": constant, "result plus one": result_plus_one}


def survivors(problems: list[Solved]) -> tuple[list[str], dict[str, int]]:
    alive, counts = [], dict.fromkeys(MUTANTS, 0)
    for one in problems:
        for kind, make in MUTANTS.items():
            program = make(one)
            if program is not None:
                counts[kind] += 1
                if passes(one, program):
                    alive.append(f"{one.name} {kind}")
    return alive, counts


def test_mutants_of_a_sample_are_wrong(problems: list[Solved]) -> None:
    alive, counts = survivors(problems[::20])
    assert not alive
    assert counts["none"] > 20 and counts["constant"] > 15


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mutants_of_all_are_wrong(problems: list[Solved]) -> None:
    alive, counts = survivors(problems)
    assert not alive
    assert counts == {"none": 464, "constant": 450, "result plus one": 176}


TRUSTED = "HumanEval/HumanEval/50"
"""Its first two integers are those of a helper that stands in the prompt; the tests use the prompt's, unchanged, where
a plain interpreter would use the program's."""


def plainly(one: Solved, program: str) -> bool:
    """Do program and tests run through in one interpreter, without any sandbox?"""
    data = one.problem.data
    tests = data["tests"]
    whole = f"{tests}\ncheck({one.entry})" if isinstance(tests, str) else "\n".join(tests)
    text = "\n".join((data["prelude"], program, whole))
    try:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def disagreements(problems: list[Solved]) -> tuple[list[str], int, int]:
    """Integer mutants that are judged otherwise than by a plain interpreter; how many pass, of how many."""
    found, alive, total = [], 0, 0
    for one in problems:
        for number, program in enumerate(integers(one)):
            right = passes(one, program)
            if right != plainly(one, program):
                right = passes(one, program, seconds=10)  # slow on a busy machine, and right
                if not right or one.name == TRUSTED:
                    found.append(f"{one.name} {number}")
            total, alive = total + 1, alive + right
    return found, alive, total


def test_a_sample_of_changed_integers_is_judged_as_by_a_plain_interpreter(problems: list[Solved]) -> None:
    found, alive, total = disagreements(problems[::40])
    assert not found and alive < total


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_changed_integers_are_judged_as_by_a_plain_interpreter(problems: list[Solved]) -> None:
    found, alive, total = disagreements(problems)
    assert found == [f"{TRUSTED} 0", f"{TRUSTED} 1"]
    assert (alive, total) == (174, 797)  # but for these two, each of the 174 passes the published tests in plain Python
