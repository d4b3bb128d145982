"""Modular countdown: make a target modulo 11 from three numbers and two of + - *. Search; many right answers.

`3 5 8 make 4` is solved by `<answer> 3 5 + 8 * …`. A random expression hits about one time in ten; the level says how
much of the 54 expressions of a problem hit (1 easy, 3 hard).
"""

from __future__ import annotations

import random
from functools import cache
from itertools import permutations, product

from mull.core.types import Message, Problem
from mull.tasks.world.splits import SPLITS, family_name, triple_split
from mull.tasks.world.words import LANGUAGES, MODULUS, OPERATORS, apply

VERIFIER = "countdown"


Expression = tuple[int | str, ...]
"""Postfix on the running calculator: `(3, 5, "+", 8, "*")`."""


@cache
def expressions(numbers: tuple[int, ...]) -> tuple[tuple[Expression, int], ...]:
    """Every expression over all orders of `numbers` with its value, duplicates kept; 54 of them for three numbers."""
    found = []
    for order in permutations(numbers):
        for operators in product(OPERATORS, repeat=len(numbers) - 1):
            words: list[int | str] = [order[0]]
            value = order[0]
            for number, operator in zip(order[1:], operators, strict=True):
                words += [number, operator]
                value = apply(operator, value, number)
            found.append((tuple(words), value))
    return tuple(found)


def running_value(words: Expression) -> int:
    """The value of an expression, one operation at a time."""
    value = int(words[0])
    for number, operator in zip(words[1::2], words[2::2], strict=True):
        value = apply(str(operator), value, int(number))
    return value


def level_of(share: float) -> int:
    """Difficulty from the share of expressions that hit the target: 1 at 12% and more, 2 at 6% and more, else 3."""
    return 1 if share >= 0.12 else 2 if share >= 0.06 else 3


def _problems(split: str) -> list[Problem]:
    found = []
    for family, home in sorted(triple_split().items()):
        if home != split:
            continue
        numbers = tuple(int(n) for n in family.split("-"))
        values = [value for _, value in expressions(numbers)]
        for target in sorted(set(values)):
            level = level_of(values.count(target) / len(values))
            for language in LANGUAGES.values():
                name = f"countdown_mod/{family}/{target}/{language.code}"
                order = list(numbers)
                random.Random(name).shuffle(order)
                text = f"{' '.join(map(str, order))} {language.make} {target}"
                data = {"numbers": order, "target": target, "modulus": MODULUS, "notation": "postfix"}
                found.append(
                    Problem(
                        name, (Message("user", text),), VERIFIER, data, task="countdown_mod", language=language.code,
                        split=split, family=family_name(numbers), level=level,
                    )
                )  # fmt: skip
    return found


class CountdownMod:
    """The task as `mull tasks countdown_mod` shows it."""

    name = "countdown_mod"
    summary = "embedded world: make a target from three numbers, modulo 11 (search, many right answers)"
    splits = SPLITS

    @staticmethod
    @cache
    def _split(split: str) -> tuple[Problem, ...]:
        return tuple(_problems(split))

    def problems(self, split: str) -> tuple[Problem, ...]:
        """All problems of a split, in a fixed order: every reachable target of every family, in both languages."""
        return self._split(split)
