"""Arithmetic in plain text: a row of additions, subtractions and multiplications with one right answer.

Easy enough at level 1 (one-digit sums) that a small pretrained model is sometimes right, which is what reinforcement
learning needs to begin. A family is the multiset of operands; it lies in one split whatever the operators, the order or
the level. Answers are never negative, so that a missing minus sign is no excuse.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mull.core.types import Message, Problem
from mull.tasks.base import SPLITS, split_of
from mull.tasks.countdown import family_of

PROMPT = (
    "What is {chain}? Show your work in <think> </think> tags. And return the final answer, one number, in <answer> "
    "</answer> tags, for example <answer> 12 </answer>."
)
PER_LEVEL = {"train": 600, "dev": 40, "test": 40}
"""Most problems of a level in a split; level 1 has only as many as there are one-digit sums."""


@dataclass(frozen=True)
class Level:
    """How hard. Example: `Level(3, 9, "+-")`: three operands up to 9, added and subtracted."""

    operands: int
    largest: int
    operators: str


LEVELS = {
    1: Level(2, 9, "+"),
    2: Level(3, 9, "+-"),
    3: Level(2, 99, "+-"),
    4: Level(3, 20, "+-*"),
    5: Level(4, 50, "+-*"),
}


def value_of(operands: Sequence[int], operators: Sequence[str]) -> int:
    """The value of `a op b op c …`, multiplication first."""
    terms, factor = [], operands[0]
    for operator, operand in zip(operators, operands[1:], strict=True):
        if operator == "*":
            factor *= operand
        else:
            terms.append(factor)
            factor = operand if operator == "+" else -operand
    return sum(terms) + factor


class Arithmetic:
    """The task `arithmetic`."""

    name = "arithmetic"
    summary = "sums, differences and products of a few numbers in plain text (one right answer; level 1: 3 + 5)"
    splits = SPLITS

    def problems(self, split: str) -> tuple[Problem, ...]:
        """All problems of a split, in a fixed order, easy ones first."""
        return _problems(split)


@lru_cache(maxsize=len(SPLITS))
def _problems(split: str) -> tuple[Problem, ...]:
    found: dict[str, Problem] = {}
    for number, level in LEVELS.items():
        wanted = len(found) + PER_LEVEL[split]
        for operands, operators in _candidates(number, level, split):
            chain = _chain(operands, operators)
            family = family_of(operands)
            if (
                chain in found
                or split_of(family, "arithmetic", dev=0.2, test=0.2) != split
                or value_of(operands, operators) < 0
            ):
                continue
            found[chain] = _problem(chain, value_of(operands, operators), family, split, number)
            if len(found) == wanted:
                break
    return tuple(found.values())


def _candidates(number: int, level: Level, split: str) -> Iterator[tuple[list[int], list[str]]]:
    """All one-digit sums in a shuffled order; random rows for ever above that."""
    rng = random.Random(f"arithmetic/{split}/{number}")
    if level.operands == 2 and level.operators == "+":
        pairs = [[a, b] for a in range(1, level.largest + 1) for b in range(1, level.largest + 1)]
        rng.shuffle(pairs)
        yield from ((pair, ["+"]) for pair in pairs)
        return
    while True:
        operands = [rng.randint(1, level.largest) for _ in range(level.operands)]
        yield operands, [rng.choice(level.operators) for _ in range(level.operands - 1)]


def _chain(operands: Sequence[int], operators: Sequence[str]) -> str:
    return " ".join([str(operands[0]), *(f"{op} {n}" for op, n in zip(operators, operands[1:], strict=True))])


def _problem(chain: str, value: int, family: str, split: str, level: int) -> Problem:
    return Problem(
        f"arithmetic/{chain.replace(' ', '')}",
        (Message("user", PROMPT.format(chain=chain)),),
        "number",
        {"answer": str(value)},
        task="arithmetic",
        split=split,
        family=family,
        level=level,
    )


ARITHMETIC = Arithmetic()
