"""Modular chains: compute a row of operations modulo 11. Computation; one right answer, so that a vote means something.

`3 5 + 8 * 2 - compute` is read as on a pocket calculator: 3 and 5 added, times 8, minus 2. The level is the number of
operations less two (1 easy, 4 hard).
"""

from __future__ import annotations

import random
from functools import cache

from mull.core.types import Message, Problem
from mull.tasks.world.splits import SPLITS, family_name, operand_split
from mull.tasks.world.words import LANGUAGES, MODULUS, OPERATORS, apply

OPERATIONS = (3, 4, 5, 6)
COUNTS = {"train": 1000, "dev": 60, "test": 60}
VERIFIER = "number"


def random_chain(rng: random.Random, split: str, operations: int) -> tuple[list[int], list[str]]:
    """Operands (one more than operations) and operators of a chain whose operand multiset belongs to `split`."""
    while True:
        operands = [rng.randrange(1, MODULUS) for _ in range(operations + 1)]
        if operand_split(operands) == split:
            return operands, [rng.choice(OPERATORS) for _ in range(operations)]


def chain_text(operands: list[int], operators: list[str]) -> str:
    """`3 5 + 8 * 2 -` from [3, 5, 8, 2] and [+, *, -]."""
    return " ".join([str(operands[0]), *(f"{n} {op}" for n, op in zip(operands[1:], operators, strict=True))])


def chain_value(operands: list[int], operators: list[str]) -> int:
    """The value of a chain modulo 11."""
    value = operands[0]
    for number, operator in zip(operands[1:], operators, strict=True):
        value = apply(operator, value, number)
    return value


def _problems(split: str) -> list[Problem]:
    rng = random.Random(f"chain_mod {split}")
    found = {}
    for operations in OPERATIONS:
        made = 0
        while made < COUNTS[split]:
            operands, operators = random_chain(rng, split, operations)
            language = rng.choice(list(LANGUAGES.values()))
            body = chain_text(operands, operators)
            name = f"chain_mod/{body}/{language.code}"
            if name in found:
                continue
            made += 1
            found[name] = Problem(
                name, (Message("user", f"{body} {language.compute}"),), VERIFIER,
                {"answer": str(chain_value(operands, operators))}, task="chain_mod", language=language.code,
                split=split, family=family_name(operands), level=operations - 2,
            )  # fmt: skip
    return list(found.values())


class ChainMod:
    """The task as `mull tasks chain_mod` shows it."""

    name = "chain_mod"
    summary = "embedded world: compute a row of operations, modulo 11 (one right answer)"
    splits = SPLITS

    @staticmethod
    @cache
    def _split(split: str) -> tuple[Problem, ...]:
        return tuple(_problems(split))

    def problems(self, split: str) -> tuple[Problem, ...]:
        """All problems of a split, in a fixed order, easy ones first."""
        return self._split(split)
