"""The pieces that functions are made of: each is Python and English for the same thing, with constants left open.

`{v}` is the value it works on; `{a}`, `{m}`, `{c}`, `{k}`, `{p}` and `{q}` are constants, drawn for each problem.
Values are whole numbers of 0 or more wherever a remainder or a floor is taken, so that no rounding is open. English
that holds a comma stands where no other part follows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Example: `Part("plus", "{v} + {a}", "{v} plus {a}")`"""

    key: str
    code: str
    words: str


TERMS = (
    Part("plus", "{v} + {a}", "{v} plus {a}"),
    Part("minus", "{v} - {a}", "{v} minus {a}"),
    Part("times", "{v} * {a}", "{v} times {a}"),
    Part("square", "{v} * {v}", "the square of {v}"),
    Part("rest", "{v} % {m}", "the remainder of {v} divided by {m}"),
    Part("floor", "{v} // {m}", "{v} divided by {m} and rounded down"),
    Part("from", "{a} - {v}", "{a} minus {v}"),
)
STEPS = {
    "plus": "adds {a} to {v}", "minus": "subtracts {a} from {v}", "times": "multiplies {v} by {a}",
    "square": "squares {v}", "rest": "takes the remainder of {v} divided by {m}",
    "floor": "divides {v} by {m}, rounding down", "from": "subtracts {v} from {a}",
}  # fmt: skip
"""The terms as the first of two steps."""
SECOND = (
    Part("add", "{first} + y", "adds y to that"),
    Part("sub", "{first} - y", "subtracts y from that"),
    Part("mul", "({first}) * y", "multiplies that by y"),
)
CONDITIONS = (
    Part("even", "{v} % 2 == 0", "{v} is even"),
    Part("odd", "{v} % 2 == 1", "{v} is odd"),
    Part("multiple", "{v} % {m} == 0", "{v} is divisible by {m}"),
    Part("other", "{v} % {m} != 0", "{v} is not divisible by {m}"),
    Part("above", "{v} > {c}", "{v} is greater than {c}"),
    Part("below", "{v} < {c}", "{v} is less than {c}"),
)
TEXTS = (
    Part(
        "reversed",
        "{v}[::-1]",
        "reverse the text",
    ),
    Part(
        "upper",
        "{v}.upper()",
        "write the text in upper case",
    ),
    Part(
        "vowels",
        '"".join(c for c in {v} if c not in "aeiouAEIOU")',
        "remove the vowels a, e, i, o and u, in both cases",
    ),
    Part(
        "second",
        "{v}[::2]",
        "keep every second character, beginning with the first",
    ),
    Part(
        "repeat",
        '"".join(c * {k} for c in {v})',
        "write every character {k} times in a row",
    ),
    Part(
        "replace",
        '{v}.replace("{p}", "{q}")',
        "replace every {p} (in lower case) by {q}",
    ),
    Part(
        "drop",
        "{v}[{k}:]",
        "drop the first {k} characters",
    ),
    Part(
        "sort",
        '" ".join(sorted({v}.split()))',
        "put the words in alphabetical order, with one space between words",
    ),
    Part(
        "words",
        '" ".join(w[::-1] for w in {v}.split())',
        "reverse each word where it stands, with one space between words",
    ),
)
LISTS = (
    Part(
        "unique",
        "list(dict.fromkeys(xs))",
        "remove repeated numbers, keeping the first of each",
    ),
    Part(
        "gaps",
        "[b - a for a, b in zip(xs, xs[1:])]",
        "replace the list by the differences of neighbours, each number minus the one before it",
    ),
    Part(
        "pairs",
        "[a + b for a, b in zip(xs, xs[1:])]",
        "replace the list by the sums of each two neighbours",
    ),
    Part(
        "smallest",
        "sorted(xs)[:{k2}]",
        "keep the {k2} smallest numbers (all if there are fewer), in ascending order",
    ),
    Part(
        "totals",
        "[sum(xs[: i + 1]) for i in range(len(xs))]",
        "replace each number by the sum of itself and all numbers before it",
    ),
)
RESULTS = (
    Part(
        "spread",
        "if not ys:\n    return 0\nreturn max(ys) - min(ys)",
        "the largest number minus the smallest, or 0 if the list is empty",
    ),
    Part(
        "runner-up",
        "different = sorted(set(ys))\nif len(different) < 2:\n    return 0\nreturn different[-2]",
        "the second largest of the different numbers in the list, or 0 if there are not two different ones",
    ),
    Part(
        "common",
        "best, count = 0, 0\nfor value in sorted(set(ys)):\n    if ys.count(value) > count:\n"
        "        best, count = value, ys.count(value)\nreturn best",
        "the number that occurs most often (the smallest of those in a tie), or 0 if the list is empty",
    ),
    Part(
        "run",
        "best, length = 0, 0\nfor i in range(len(ys)):\n"
        "    length = length + 1 if i > 0 and ys[i] > ys[i - 1] else 1\n"
        "    best = max(best, length)\nreturn best",
        "the length of the longest run of neighbours in which each number is greater than the "
        "one before, or 0 if the list is empty",
    ),
    Part(
        "average",
        "total = sum(ys)\nreturn sum(1 for value in ys if value * len(ys) > total)",
        "how many numbers are greater than the average of the list",
    ),
    Part(
        "weighted",
        "total = 0\nfor place, value in enumerate(ys, 1):\n    total += place * value\nreturn total",
        "the sum of each number times its place in the list, counting places from 1",
    ),
    Part(
        "alternating",
        "total = 0\nfor place, value in enumerate(ys):\n    total += value if place % 2 == 0 else -value\nreturn total",
        "the alternating sum: the first number minus the second plus the third and so on, 0 if the list is empty",
    ),
)


def constants(rng: random.Random) -> dict[str, str]:
    """One draw of everything that is left open."""
    p, q = rng.sample("abdegilmnorst", 2)
    k = rng.randint(2, 3)
    values = {"a": rng.randint(2, 9), "m": rng.randint(3, 7), "c": rng.randint(3, 9), "k": k, "k2": k + 2}
    return {**{key: str(value) for key, value in values.items()}, "p": p, "q": q}


def filled(part: Part, v: str, values: dict[str, str]) -> Part:
    """The part with its value and its constants in place."""
    return Part(part.key, part.code.format(v=v, **values), part.words.format(v=v, **values))
