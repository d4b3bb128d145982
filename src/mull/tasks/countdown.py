"""Classic countdown in plain text: make a target from three or four numbers (the task of TinyZero).

A family is the multiset of numbers; it lies in one split whatever its target or level. Targets are the value of a
random expression over all the numbers, so every problem can be solved. Levels: 1 three small numbers with + and - in
the expression that made the target, 2 three numbers to 99 with all four operators, 3 four of them. The verifier takes
any expression that uses each number once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from mull.core.types import Message, Problem
from mull.tasks.base import SPLITS, split_of

PROMPT = (
    "Using the numbers {numbers}, create an equation that equals {target}. You can use basic arithmetic operations "
    "(+, -, *, /) and each number must be used exactly once. Show your work in <think> </think> tags. And return the "
    "final answer in <answer> </answer> tags, for example <answer> (1 + 2) / 3 </answer>."
)
PER_LEVEL = {"train": 800, "dev": 40, "test": 40}
"""Problems (each of another family) of every level in a split."""
_LEVELS = {1: (3, 20, "+-"), 2: (3, 99, "+-*/"), 3: (4, 99, "+-*/")}
"""Level → (how many numbers, up to what, operators)."""


def family_of(numbers: Sequence[int]) -> str:
    """The name of a multiset of numbers. Example: `family_of([8, 3, 5]) == "3-5-8"`"""
    return "-".join(map(str, sorted(numbers)))


def _random_value(rng: random.Random, numbers: Sequence[int], operators: str) -> Fraction | None:
    """The value of a random expression over all the numbers; None when it divides by zero."""
    values = [Fraction(number) for number in numbers]
    while len(values) > 1:
        right = values.pop(rng.randrange(len(values)))
        left = values.pop(rng.randrange(len(values)))
        operator = rng.choice(operators)
        if operator == "/" and right == 0:
            return None
        values.append(
            left + right
            if operator == "+"
            else left - right
            if operator == "-"
            else left * right
            if operator == "*"
            else left / right
        )
    return values[0]


def _draw(rng: random.Random, level: int) -> tuple[list[int], int]:
    """Numbers and a target from 1 to 100 that is none of them."""
    count, largest, operators = _LEVELS[level]
    while True:
        numbers = [rng.randint(1, largest) for _ in range(count)]
        value = _random_value(rng, numbers, operators)
        if value is not None and value.denominator == 1 and 1 <= value <= 100 and value not in numbers:
            return numbers, int(value)


class Countdown:
    """The task `countdown`."""

    name = "countdown"
    summary = "make a target from three or four numbers with + - * / (plain text; many right answers)"
    splits = SPLITS

    def problems(self, split: str) -> tuple[Problem, ...]:
        """All problems of a split, in a fixed order, easy ones first."""
        return _problems(split)


@lru_cache(maxsize=len(SPLITS))
def _problems(split: str) -> tuple[Problem, ...]:
    found: dict[str, Problem] = {}
    for level in _LEVELS:
        rng = random.Random(f"countdown/{split}/{level}")
        wanted = len(found) + PER_LEVEL[split]
        while len(found) < wanted:
            numbers, target = _draw(rng, level)
            family = family_of(numbers)
            if family not in found and split_of(family, "countdown", dev=0.2, test=0.2) == split:
                found[family] = _problem(numbers, target, family, split, level)
    return tuple(found.values())


def _problem(numbers: list[int], target: int, family: str, split: str, level: int) -> Problem:
    return Problem(
        f"countdown/{family}/{target}",
        (Message("user", PROMPT.format(numbers=numbers, target=target)),),
        "countdown",
        {"numbers": numbers, "target": target},
        task="countdown",
        split=split,
        family=family,
        level=level,
    )


COUNTDOWN = Countdown()
