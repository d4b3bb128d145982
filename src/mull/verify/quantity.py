"""One number or formula with what is written beside it: a unit, a currency, a percent sign, a scale such as million.

    quantity("5 \\text {cm}")   → 5, unit "cm"
    quantity("28%")             → 28, with its percent sign

Two units that are both written and differ are two quantities; a unit that only one side writes is set aside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from mull.verify import poly
from mull.verify.parse import parse
from mull.verify.poly import OutOfReach, Poly

CURRENCY = re.compile(r"^(-?)\s*([$€£¥])\s*")
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_MONEY_NAMES = "dollar cent euro pound yen yuan rupee peso penny pennie pence"
_MONEY = frozenset(_MONEY_NAMES.split())
_UNIT = re.compile(
    r"^(?P<value>.*(?:[0-9}).]|\\pi ?))\s*"
    r"(?P<unit>\^\s*\{?\s*\\circ\s*\}?|\\text \{[^{}]*\}(?:\s*\^\s*\{?[23]\}?)?|_\s*\{?\s*[0-9]+\s*\}?"
    r"|(?<=[0-9.\s])[A-Za-z]{2,}(?:[ /]+[A-Za-z]+){0,3}(?:\s*\^\s*[23])?|[$€£]"
    r"|\^\s*\{?\s*\\text \{\s*(?:st|nd|rd|th)\s*\}\s*\}?|\(?\s*\\[pb]mod\s*(?:\{[0-9]+\}|[0-9]+)\s*\)?)$"
)
_NO_UNITWORDS = (
    "or and not to than less more least most about between pi sqrt root times plus minus over half halves third thirds "
    "quarter quarters hundred thousand million billion trillion dozen percent sin cos tan log ln mod modulo squared "
    "cubed factorial lakh crore bn mn maybe perhaps possibly either not wrong below above negative approximately x y z "
    "zero one two three four five six seven eight nine ten"
)
"""Beside a number they are more than a unit: another value, or another number."""
_NO_UNIT = frozenset(_NO_UNITWORDS.split())
_NOT_SINGULAR = {"inches": "inch", "feet": "foot", "circ": "degree"}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALED = re.compile(r"^(.*[0-9])\s*(?:\\text \{)?\s*(hundred|thousand|million|billion|trillion)\b\s*\}?\s*(.*)$")
_PERCENT = re.compile(r"^(.*?)\s*(?:%|\\text \{\s*per ?cent\s*\}|per ?cent)$")
WORD = re.compile(r"(?<!\\)\b(?!sqrt\b)[A-Za-z]{4,}|^[A-Za-z]{2,}$")
_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_POWER_OF_TEN = re.compile(r"^(-?[0-9]+(?:\.[0-9]+)?)[eE]([+-]?[0-9]{1,2})$")

_SECOND_VALUE = re.compile(r"[A-Za-z][^{}]*(?:,\s*[A-Za-z]|[\s(=][0-9])")
"""In what stands beside a number: a clause of its own, or another number."""
_INFINITY = poly.atom("\\infty")


@dataclass(frozen=True)
class Quantity:
    """A number or formula. Example: `read("5 cm")` is `Quantity(…5…, "5", unit="cm")`."""

    value: Poly
    canonical: str
    unit: str = ""
    percent: bool = False
    source: str = ""
    name: str = ""
    """The letter of `x = 5`."""

    @property
    def number(self) -> Fraction | None:
        """The rational number that it is, else None."""
        return poly.as_fraction(self.value)


def quantity(text: str) -> Quantity | None:
    """`text` (spelt by `latex.plain`) as a number or formula; None where it is words.

    Raises:
        Unreadable, OutOfReach: it is neither.
    """
    symbol = CURRENCY.match(text)
    text = CURRENCY.sub(r"\1", text)
    percent = _PERCENT.match(text)
    if percent:
        value = parse(percent[1])
        return Quantity(value, f"{poly.text(value)}%", percent=True, source=percent[1])
    text = _POWER_OF_TEN.sub(r"\1*10^{\2}", text)
    text, factor = _scaled(text)
    text, unit = _without_unit(text)
    if WORD.search(text):
        return None
    value = poly.scale(parse(text), factor)
    if "\\infty" in text and value not in (_INFINITY, poly.scale(_INFINITY, -1)):
        raise OutOfReach("arithmetic with infinity")
    source = text if factor == 1 else f"({text})*{factor}"
    return Quantity(value, poly.text(value), unit or (symbol[2] if symbol else ""), source=source)


def _without_unit(text: str) -> tuple[str, str]:
    """The value and the name of the unit behind it, "" where there is none."""
    match = _UNIT.match(text)
    if match is None:
        return text, ""
    unit = _unit_name(match["unit"])
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", match["unit"].casefold())
    more = not _NO_UNIT.isdisjoint((*words, *(word.removesuffix("s") for word in words)))
    second = "\\text" in match["unit"] and _SECOND_VALUE.search(match["unit"])
    if more or second or (unit == "degree" and _ANGLE.search(match["value"])):
        return text, ""
    return match["value"], unit


def _scaled(text: str) -> tuple[str, int]:
    match = _SCALED.match(text)
    return (f"{match[1]} {match[3]}".strip(), _SCALES[match[2]]) if match else (text, 1)


def _unit_name(written: str) -> str:
    name = re.sub(r"\\text|[\\{}$\s^.]", "", written).casefold()
    return _NOT_SINGULAR.get(name, name.removesuffix("s") if len(name) > 3 else name)


def _radians(angle: Quantity) -> str:
    """The canonical text of an angle: 150° is 5π/6."""
    if angle.unit != "degree":
        return angle.canonical
    return poly.text(poly.scale(poly.multiply(angle.value, poly.atom("\\pi")), Fraction(1, 180)))


def same_quantity(gold: Quantity, answer: Quantity, equal: Callable[[str, str], bool] | None = None) -> bool:
    """One number or formula? `equal` compares the sources of two formulas where their canonical texts differ."""
    if _clash(gold.unit, answer.unit) or (gold.name and answer.name and gold.name != answer.name):
        return False
    if gold.percent != answer.percent:
        marked, bare = (gold, answer) if gold.percent else (answer, gold)
        return bare.canonical in (poly.text(marked.value), poly.text(poly.scale(marked.value, Fraction(1, 100))))
    if gold.canonical == answer.canonical or _radians(gold) == _radians(answer):
        return True
    if equal is None or (poly.is_plain(gold.value) and poly.is_plain(answer.value)):
        return False
    return equal(gold.source, answer.source)


def _clash(unit: str, other: str) -> bool:
    """Do two units exclude each other? A currency's sign (`$5`) goes with all that is no other money."""
    if not unit or not other or unit == other:
        return False
    signs = [name for name in (unit, other) if name in _CURRENCIES]
    if len(signs) == 1:
        name = other if unit in _CURRENCIES else unit
        return name in _MONEY and name != _CURRENCIES[signs[0]]
    return True
