"""Does an answer say what the reference says?

Structure first (`values`: a set against a set, an interval against an interval), then the formulas inside it: equal
canonical texts, else equal values (`numeric`), else, where our own grammar cannot read one of them, whoever is asked
(`pool`: sympy in workers). Structure is never left to a computer algebra system: a set never stands for a number, a
chain of relations never for its last part. Left out on purpose: simplifying an answer that is a question (an integral,
a limit, a sum that was not worked out).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mull.verify import numeric
from mull.verify.parse import Unreadable
from mull.verify.poly import OutOfReach
from mull.verify.values import Collection, Contradiction, Equation, Quantity, Value, Words, same_quantity

Ask = Callable[[str, str], bool]
"""Are these two formulas equal? Asked only where our own grammar cannot read one of them."""

_OPEN_WORK = re.compile(r"\\(?:int|iint|oint|lim|sum|prod|max|min|gcd|lcm|frac\s*\{?\s*d\s*\}?\s*\{\s*d)")


def never(gold: str, answer: str) -> bool:
    """Nobody is asked: what our grammar cannot read is equal only letter by letter."""
    return False


def same(gold: Value, answer: Value, ask: Ask = never) -> bool:
    """Does `answer` say what `gold` says? Asymmetric only in leniency about units, percent signs, bases and `x =`."""
    if isinstance(answer, Contradiction) or isinstance(gold, Contradiction):
        return False
    if isinstance(gold, Equation) or isinstance(answer, Equation):
        return _same_equation(gold, answer, ask)
    if isinstance(gold, Quantity) and isinstance(answer, Quantity):
        return same_quantity(gold, answer, lambda a, b: _equal(a, b, ask)) or _in_base(gold, answer)
    if isinstance(gold, Collection) and isinstance(answer, Collection):
        return _same_collection(gold, answer, ask)
    if isinstance(gold, Words) and isinstance(answer, Words) and gold.canonical == answer.canonical:
        return True
    if isinstance(gold, Collection) or isinstance(answer, Collection):
        return _same_ratio(gold, answer)
    return _equal(_source(gold), _source(answer), ask)


def unworked(gold: str, answer: str) -> bool:
    """Is `answer` an integral, limit, sum or maximum that nobody worked out, where the reference is none?"""
    return bool(_OPEN_WORK.search(answer)) and not _OPEN_WORK.search(gold)


def _source(value: Value) -> str:
    return "" if isinstance(value, Collection | Contradiction) else value.source


def _equal(gold: str, answer: str, ask: Ask) -> bool:
    if not gold or not answer or unworked(gold, answer):
        return False
    try:
        return numeric.equal(gold, answer)
    except Unreadable:
        return ask(gold, answer)


def _in_base(gold: Quantity, answer: Quantity) -> bool:
    """`101_2` is written 101, and is 5."""
    base = gold.unit.removeprefix("_")
    if not gold.unit.startswith("_") or answer.unit or not base.isdigit() or not 2 <= int(base) <= 10:
        return False
    digits = gold.canonical
    if not digits.isdigit() or any(int(digit) >= int(base) for digit in digits):
        return False
    return answer.number == int(digits, int(base))


def _same_ratio(gold: Value, answer: Value) -> bool:
    """`2:3` is 2/3; two ratios are compared number by number, as they may be times of the day."""
    ratio, other = (gold, answer) if isinstance(gold, Collection) else (answer, gold)
    if not isinstance(ratio, Collection) or ratio.kind != "::" or len(ratio.elements) != 2:
        return False
    if not isinstance(other, Quantity) or other.number is None or other.unit or other.percent:
        return False
    if other.number.denominator == 1:
        return False  # 3:1 is no way to write 3
    first, second = (element.number for element in ratio.elements if isinstance(element, Quantity))
    return bool(second) and first == other.number * second  # type: ignore[operator]


def _same_equation(gold: Value, answer: Value, ask: Ask) -> bool:
    """`y = 2x + 3` against `2x - y + 3 = 0`, or against `2x + 3` alone."""
    if isinstance(gold, Equation) and isinstance(answer, Equation):
        return gold.canonical == answer.canonical or _proportional(gold.source, answer.source)
    equation, other = (gold, answer) if isinstance(gold, Equation) else (answer, gold)
    assert isinstance(equation, Equation)
    if equation is answer and equation.total and isinstance(gold, Quantity):
        return same_quantity(gold, equation.total)
    if equation.solution is None:
        return False
    return same(equation.solution, other, ask) if equation is gold else same(other, equation.solution, ask)


def _proportional(gold: str, answer: str) -> bool:
    try:
        return bool(gold and answer) and numeric.proportional(gold, answer)
    except (Unreadable, OutOfReach):
        return False


def _same_collection(gold: Collection, answer: Collection, ask: Ask) -> bool:
    gold, answer = _by_name(gold, answer), _by_name(answer, gold)
    if len(gold.elements) != len(answer.elements) or not (gold.kind == answer.kind or _rows(gold, answer)):
        return False
    if gold.kind not in ("set", "union"):
        return all(same(a, b, ask) for a, b in zip(gold.elements, answer.elements, strict=True))
    return _matched(list(gold.elements), list(answer.elements), ask)


def _by_name(named: Collection, other: Collection) -> Collection:
    """`y = -1, x = 2` as (2, -1) where the other side is a tuple: the letters, each once, in their order."""
    pairs = [e.elements for e in named.elements if isinstance(e, Collection) and e.kind == "=="]
    if other.kind != "()" or named.kind != "set" or len(pairs) != len(named.elements):
        return named
    letters = [name.canonical for name, _ in pairs]
    row = "".join(sorted(letters))
    if len(row) != len(letters) or row not in ("ab", "abc", "xy", "xyz", "abcd", "mn", "pq", "uv"):
        return named
    return Collection("()", tuple(value for _, value in sorted(pairs, key=lambda pair: pair[0].canonical)))


def _rows(gold: Collection, answer: Collection) -> bool:
    """A matrix against a list of lists."""
    kinds = {element.kind for element in (*gold.elements, *answer.elements) if isinstance(element, Collection)}
    return {gold.kind, answer.kind} == {"{}", "[]"} and kinds == {"[]"}


def _matched(golds: list[Value], answers: list[Value], ask: Ask) -> bool:
    """Each gold has an answer of its own (greedy: `same` is as good as transitive within one collection).

    Answers that are written alike are taken first, so that little is left to compare by value.
    """
    rest = []
    for gold in golds:
        found = next((index for index, answer in enumerate(answers) if answer.canonical == gold.canonical), None)
        if found is None or not same(gold, answers[found]):
            rest.append(gold)
        else:
            answers.pop(found)
    for gold in rest:
        found = next((index for index, answer in enumerate(answers) if same(gold, answer, ask)), None)
        if found is None:
            return False
        answers.pop(found)
    return not answers
