"""Built-in tasks: honest splits, reference answers that pass, problems that can be solved."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

import pytest

from mull.core.types import Message, Problem
from mull.tasks.arithmetic import ARITHMETIC, value_of
from mull.tasks.base import Task
from mull.tasks.countdown import COUNTDOWN
from mull.tasks.registry import known_tasks
from mull.verify.registry import check_gold, verify

TASKS = known_tasks()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_families_lie_in_one_split_and_held_out_splits_are_large_enough(task: Task) -> None:
    families = {split: {p.family for p in task.problems(split)} for split in task.splits}
    assert set(families) == {"train", "dev", "test"}
    for one, other in combinations(families, 2):
        assert not families[one] & families[other]
    assert len(families["dev"]) >= 40 and len(families["test"]) >= 40
    names = [p.id for split in task.splits for p in task.problems(split)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_problems_say_what_they_are(task: Task) -> None:
    for split in task.splits:
        for problem in task.problems(split):
            check_gold(problem)
            assert (problem.task, problem.split) == (task.name, split)
            assert problem.level >= 1 and problem.family
        assert list(task.problems(split)) == list(task.problems(split))


def solutions(numbers: list[Fraction], texts: list[str]) -> Iterator[tuple[Fraction, str]]:
    if len(numbers) == 1:
        yield numbers[0], texts[0]
    for i, j in combinations(range(len(numbers)), 2):
        rest = [k for k in range(len(numbers)) if k not in (i, j)]
        for a, b in ((i, j), (j, i)):
            for op in "+-*/":
                if op == "/" and numbers[b] == 0:
                    continue
                x, y = numbers[a], numbers[b]
                value = x + y if op == "+" else x - y if op == "-" else x * y if op == "*" else x / y
                yield from solutions(
                    [numbers[k] for k in rest] + [value], [texts[k] for k in rest] + [f"({texts[a]} {op} {texts[b]})"]
                )


def test_countdown_problems_can_be_solved_and_the_verifier_agrees() -> None:
    for problem in COUNTDOWN.problems("dev")[::4]:
        numbers = problem.data["numbers"]
        found = solutions(list(map(Fraction, numbers)), list(map(str, numbers)))
        text = next(text for value, text in found if value == problem.data["target"])
        assert verify(problem, text).correct, (problem.data, text)
        assert str(problem.data["target"]) in problem.messages[0].content


def test_arithmetic_answers_are_right() -> None:
    for problem in ARITHMETIC.problems("test"):
        chain = problem.messages[0].content.removeprefix("What is ").split("?")[0].split()
        value = value_of(list(map(int, chain[::2])), chain[1::2])
        assert value == int(problem.data["answer"]) >= 0
        assert verify(problem, f" {value} ").correct
        assert not verify(problem, str(value + 1)).correct
    assert value_of([2, 3, 4, 5], ["+", "*", "-"]) == 2 + 3 * 4 - 5


def test_level_one_of_arithmetic_is_one_digit_sums() -> None:
    easy = [p for p in ARITHMETIC.problems("train") if p.level == 1]
    assert len(easy) > 30
    assert all(max(map(int, p.family.split("-"))) <= 9 for p in easy)


def test_a_problem_of_the_embedded_world_is_checked_in_postfix() -> None:
    problem = Problem(
        "p",
        (Message("user", ""),),
        "countdown",
        {"numbers": [3, 5, 8], "target": 9, "modulus": 11, "notation": "postfix"},
    )
    assert verify(problem, " 3 5 + 8 *").answer == "3 5 + 8 *"
    assert verify(problem, " 3 5 + 8 *").correct
