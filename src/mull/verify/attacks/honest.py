"""What an honest reply to a problem is: a right one where it can be known, and a wrong one of the same kind.

Right is the row's own reply where the reward pays for it; else the reference answer in the first form that is paid; for
programs the problem's `solution`, or a table of its tests; for countdown what a search finds. Left out on purpose:
solving anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mull.core.types import Problem
from mull.verify.attacks.text import number_of

FORMS = ("\\boxed{%}", "%", "<answer>%</answer>", "#### %", "The answer is %")
FENCE = "```python\n%\n```"
_LAST = re.compile(r"[0-9]+(?=[^0-9]*$)")


def gold_of(problem: Problem) -> str:
    """The reference answer as text; "" where the data hold none that is an answer."""
    data = problem.data
    if problem.verifier == "countdown":
        return solved(data)
    answer = data.get("answer")
    if problem.verifier in ("regex", "constraints") or answer is None:
        return ""
    if problem.verifier == "grid" and isinstance(answer, list | tuple):
        return "\n".join(" ".join(map(str, row)) for row in answer)
    return answer if isinstance(answer, str) else json.dumps(answer)


def decoys_of(problem: Problem, gold: str) -> tuple[str, str, str]:
    """Three wrong answers of the same kind as the reference."""
    number = number_of(gold)
    if number is not None:
        found = [str(number + step).replace("/", "}{") for step in (1, -1, 10)]
        one, two, three = (f"\\frac{{{text}}}" if "}{" in text else text for text in found)
        return one, two, three
    if re.fullmatch(r"\(?[A-Z]\)?", gold.strip()):
        letter = gold.strip().strip("()")
        others = [other for other in "ABCDE" if other != letter]
        return others[0], others[1], others[2]
    if problem.verifier == "knights":
        return _swapped(problem, gold)
    if _LAST.search(gold):
        one, two, three = (_LAST.sub(lambda match, s=step: str(int(match[0][:18]) + s), gold) for step in (1, 2, 11))
        return one, two, three
    return ("no such thing", "nothing at all", "something else") if gold else ("1", "2", "3")


def _swapped(problem: Problem, gold: str) -> tuple[str, str, str]:
    """The roles of all, of the first and of the last changed."""
    one, two = problem.data.get("roles") or ("knight", "knave")
    other = {one: two, two: one}
    places = list(re.finditer(rf"\b(?:{re.escape(one)}|{re.escape(two)})\b", gold))
    found = []
    for chosen in (places, places[:1], places[-1:]):
        text = gold
        for place in reversed(chosen):
            text = text[: place.start()] + other[place[0]] + text[place.end() :]
        found.append(text)
    return found[0], found[1], found[2]


def solved(data: Mapping[str, Any]) -> str:
    """An expression that makes the target of a countdown problem; "" where there is none, or over five numbers."""
    numbers, modulus = list(data.get("numbers") or ()), data.get("modulus")
    postfix = data.get("notation", "infix") == "postfix"
    if not 1 <= len(numbers) <= 5:
        return ""
    target = Fraction(data["target"] if modulus is None else data["target"] % modulus)
    return _search([(Fraction(n), str(n)) for n in numbers], target, modulus, postfix)


def _search(parts: list[tuple[Fraction, str]], target: Fraction, modulus: int | None, postfix: bool) -> str:
    if len(parts) == 1:
        value = parts[0][0] if modulus is None else parts[0][0] % modulus
        return parts[0][1] if value == target else ""
    for i, (a, one) in enumerate(parts):
        for j, (b, two) in enumerate(parts):
            if i == j:
                continue
            rest = [part for k, part in enumerate(parts) if k not in (i, j)]
            for sign, value in (("+", a + b), ("-", a - b), ("*", a * b), ("/", a / b if b and not modulus else None)):
                if value is None or (i > j and sign in "+*"):
                    continue
                text = f"{one} {two} {sign}" if postfix else f"({one} {sign} {two})"
                found = _search([*rest, (value, text)], target, modulus, postfix)
                if found:
                    return found
    return ""
