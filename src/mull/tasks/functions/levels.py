"""Five levels of functions: what there is at each, and how one is written in Python and asked for in English.

1 one expression · 2 two cases · 3 a loop · 4 a list or a text · 5 two steps, the second with an algorithm of its own.
A skeleton is a function without its constants, and is one family: a model that has met `x % 3` in training has met the
family of `x % 5`. Left out on purpose: libraries, recursion and classes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import indent

from mull.tasks.functions.parts import (
    CONDITIONS,
    LISTS,
    RESULTS,
    SECOND,
    STEPS,
    TERMS,
    TEXTS,
    Part,
    constants,
    filled,
)

Input = list[int | str | list[int]]
Draw = Callable[[random.Random], Input]


@dataclass(frozen=True)
class Asked:
    """A function as it is asked for. Example: `Asked("def solve(x):\\n    return x + 3", "Write … x plus 3.")`"""

    source: str
    statement: str


@dataclass(frozen=True)
class Skeleton:
    """A function with open constants. `draw` gives arguments, `write` the function for one draw of constants."""

    level: int
    family: str
    draw: Draw
    write: Callable[[dict[str, str]], Asked]

    def ask(self, rng: random.Random) -> Asked:
        """The function with constants drawn."""
        return self.write(constants(rng))


def _asked(signature: str, body: str, statement: str) -> Asked:
    return Asked(
        f"def solve({signature}):\n{indent(body, '    ')}\n",
        f"Write a Python function `solve({signature})` {statement}",
    )


def _number(rng: random.Random) -> Input:
    return [rng.randint(0, 40)]


def _two(rng: random.Random) -> Input:
    return [rng.randint(0, 40), rng.randint(0, 20)]


def _list(rng: random.Random) -> Input:
    few = rng.random() < 0.3
    return [[rng.randint(0, 4 if few else 20) for _ in range(rng.choice((0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9)))]]


def _text(rng: random.Random) -> Input:
    letters = "aabdeegiilmnoorstt"
    return [
        " ".join(
            "".join(rng.choice(letters) for _ in range(rng.randint(1, 6))) for _ in range(rng.choice((0, 1, 2, 4)))
        )
    ]


def skeletons() -> Iterator[Skeleton]:
    """All there are, in a fixed order."""
    yield from _expressions()
    yield from _cases()
    yield from _loops()
    yield from _lists_and_texts()
    yield from _two_steps()


def _expressions() -> Iterator[Skeleton]:
    for term in TERMS:

        def one(values: dict[str, str], term: Part = term) -> Asked:
            part = filled(term, "x", values)
            return _asked(
                "x", f"return {part.code}", f"that takes a whole number x (0 or more) and returns {part.words}."
            )

        yield Skeleton(1, f"one/{term.key}", _number, one)
        for second in SECOND:

            def two(values: dict[str, str], term: Part = term, second: Part = second) -> Asked:
                code = second.code.format(first=filled(term, "x", values).code)
                step = STEPS[term.key].format(v="x", **values)
                said = f"that takes two whole numbers (0 or more), {step}, then {second.words}, and returns the result."
                return _asked("x, y", f"return {code}", said)

            yield Skeleton(1, f"two/{term.key}/{second.key}", _two, two)


def _cases() -> Iterator[Skeleton]:
    for condition in CONDITIONS:
        for term in TERMS:
            for other in TERMS:
                if term is other:
                    continue

                def cases(
                    values: dict[str, str], condition: Part = condition, term: Part = term, other: Part = other
                ) -> Asked:
                    when, then, last = (filled(part, "x", values) for part in (condition, term, other))
                    return _asked(
                        "x",
                        f"if {when.code}:\n    return {then.code}\nreturn {last.code}",
                        f"that takes a whole number x (0 or more). If {when.words}, it returns {then.words}; "
                        f"otherwise it returns {last.words}.",
                    )

                yield Skeleton(2, f"cases/{condition.key}/{term.key}/{other.key}", _number, cases)


def _loops() -> Iterator[Skeleton]:
    for condition in CONDITIONS:
        for term in TERMS:

            def numbers(values: dict[str, str], condition: Part = condition, term: Part = term) -> Asked:
                when, then = filled(condition, "i", values), filled(term, "i", values)
                return _asked(
                    "n",
                    "total = 0\nfor i in range(1, n + 1):\n"
                    f"    if {when.code}:\n        total += {then.code}\nreturn total",
                    "that takes a whole number n (0 or more). For every whole number i from 1 to n (n included) for "
                    f"which {when.words}, take {then.words}. The function returns the sum of all these, 0 if there "
                    "are none.",
                )

            def digits(values: dict[str, str], condition: Part = condition, term: Part = term) -> Asked:
                when, then = filled(condition, "d", values), filled(term, "d", values)
                return _asked(
                    "n",
                    "total = 0\nfor d in map(int, str(n)):\n"
                    f"    if {when.code}:\n        total += {then.code}\nreturn total",
                    f"that takes a whole number n (0 or more). For every decimal digit d of n for which {when.words}, "
                    f"take {then.words}. The function returns the sum of all these, 0 if there are none.",
                )

            yield Skeleton(3, f"numbers/{condition.key}/{term.key}", _number, numbers)
            yield Skeleton(3, f"digits/{condition.key}/{term.key}", lambda rng: [rng.randint(0, 99_999)], digits)


def _lists_and_texts() -> Iterator[Skeleton]:
    for condition in CONDITIONS:
        for term in TERMS:

            def kept(values: dict[str, str], condition: Part = condition, term: Part = term) -> Asked:
                when, then = filled(condition, "v", values), filled(term, "v", values)
                return _asked(
                    "xs",
                    f"ys = []\nfor v in reversed(xs):\n    if {when.code}:\n        ys.append({then.code})\n"
                    "return [len(ys), *ys]",
                    "that takes a list xs of whole numbers (0 or more) and goes through it from the last number to the "
                    f"first. For each number v for which {when.words}, it puts {then.words} into a new list. It "
                    "returns the new list with its length put before it as the first element.",
                )

            yield Skeleton(4, f"list/{condition.key}/{term.key}", _list, kept)
    for i, first in enumerate(TEXTS):
        for j, second in enumerate(TEXTS):
            third = TEXTS[(i + j + 1) % len(TEXTS)]
            if first is second or second is third or (first.key, second.key) == ("repeat", "second"):
                continue  # a step twice, or two that undo each other

            def texts(values: dict[str, str], parts: tuple[Part, ...] = (first, second, third)) -> Asked:
                one, two, three = (filled(part, v, values) for part, v in zip(parts, "stt", strict=True))
                return _asked(
                    "s",
                    f"t = {one.code}\nt = {two.code}\nt = {three.code}\nreturn [len(t), t]",
                    f"that takes a text s, words of small letters with one space between them. First, {one.words}. "
                    f"Then, {two.words}. Then, {three.words}. The function returns a list of two elements: the length "
                    "of the resulting text, and the text itself.",
                )

            yield Skeleton(4, f"text/{first.key}/{second.key}/{third.key}", _text, texts)


def _two_steps() -> Iterator[Skeleton]:
    kept = [
        Part(c.key, f"[v for v in xs if {c.code}]", f"keep only the numbers v for which {c.words}") for c in CONDITIONS
    ]
    changed = [Part(t.key, f"[{t.code} for v in xs]", f"replace each number v by {t.words}") for t in TERMS]
    for step in (*LISTS, *kept, *changed):
        for result in RESULTS:

            def steps(values: dict[str, str], step: Part = step, result: Part = result) -> Asked:
                first, last = filled(step, "v", values), filled(result, "v", values)
                return _asked(
                    "xs",
                    f"ys = {first.code}\n{last.code}",
                    f"that takes a list xs of whole numbers (0 or more). First, {first.words}. Then it returns "
                    f"{last.words}.",
                )

            yield Skeleton(5, f"steps/{step.key}/{result.key}", _list, steps)
