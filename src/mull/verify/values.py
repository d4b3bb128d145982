"""What an answer means: a quantity, an equation, a collection, or words; with one canonical text each.

    read("\\\\frac{1}{2}") and read("0.5")      → the same quantity, canonical "1/2"
    read("(1, 2]")                             → an interval; read("1, 2") and read("\\\\{2, 1\\\\}") → the same set
    read("41=42"), read("41 or 42")            → no single value: an answer of this kind never stands for 42

Units and currency are set aside consciously: `18`, `18 dollars` and `$18` are one quantity, but two different units
that are both written (`10 m`, `10 cm`) are not. A percent sign is kept: `28%` may stand for 28 and for 0.28 (both
readings are common in reference answers), never for 2800.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from mull.verify import poly
from mull.verify.latex import brackets_match, plain, split_top
from mull.verify.limits import MAX_ELEMENTS
from mull.verify.parse import Unreadable, parse
from mull.verify.poly import OutOfReach, Poly

_NUMBER = re.compile(r"-?(?:[0-9]{1,18}|[0-9]{1,3}(?:,[0-9]{3}){1,5})(?:\.[0-9]{1,18})?")
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_CURRENCY = re.compile(r"^(-?)\s*[$€£¥]\s*")
_UNIT = re.compile(
    r"^(?P<value>.*(?:[0-9}).]|\\pi ?))\s*"
    r"(?P<unit>\^\s*\{?\s*\\circ\s*\}?|\\text \{[^{}]*\}(?:\s*\^\s*\{?[23]\}?)?|_\s*\{?\s*[0-9]+\s*\}?"
    r"|(?<=[0-9.\s])[A-Za-z]{2,}(?:[ /]+[A-Za-z]+){0,3}(?:\s*\^\s*[23])?|[$€£])$"
)
_NO_UNIT_WORDS = (
    "or and not to than less more least most about between pi sqrt root times plus minus over half halves third thirds "
    "quarter quarters hundred thousand million billion trillion dozen percent sin cos tan log ln mod modulo squared"
)
_NO_UNIT = frozenset(_NO_UNIT_WORDS.split())
_NOT_SINGULAR = {"inches": "inch", "feet": "foot", "circ": "degree"}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALED = re.compile(r"^(.*[0-9])\s*(?:\\text \{)?\s*(hundred|thousand|million|billion|trillion)\b\s*\}?\s*(.*)$")
_PERCENT = re.compile(r"^(.*?)\s*(?:%|\\text \{\s*percent\s*\}|percent)$")
_WORD = re.compile(r"(?<!\\)\b(?!sqrt\b)[A-Za-z]{4,}|^[A-Za-z]{2,}$")
_TEXT = re.compile(r"\\text \{([^{}]*)\}")
_LIST_WORD = re.compile(r"\s*(?:,\s*)?(?:\\text \{\s*,?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z]))\s*")
_NOT_BETWEEN_DIGITS = re.compile(r"(?<![0-9])\s+|\s+(?![0-9])")
_NAME = re.compile(r"[A-Za-z](?:_\{?[A-Za-z0-9]\}?)?(?:\([a-z]\))?|\\[a-z]+ ?")
_MATRIX = re.compile(r"\\begin \{pmatrix\}(.*)\\end \{pmatrix\}", re.DOTALL)
_IN = re.compile(r"^[A-Za-z]\s*\\in\s*")
_LETTERS = re.compile(r"\\text \{\s*\(?([A-Za-z](?:\s*,\s*[A-Za-z])*)\)?\s*\}")
_REALS = "\\mathbb {R}"


@dataclass(frozen=True)
class Quantity:
    """A number or formula. Example: `read("5 cm")` is `Quantity(…5…, "5", unit="cm")`."""

    value: Poly
    canonical: str
    unit: str = ""
    percent: bool = False

    @property
    def number(self) -> Fraction | None:
        """The rational number that it is, else None."""
        return poly.as_fraction(self.value)


@dataclass(frozen=True)
class Equation:
    """A relation between formulas; `solution` is the right side of `y = …`. Example: `read("y = 2x + 3")`."""

    canonical: str
    solution: Quantity | None = None


@dataclass(frozen=True)
class Collection:
    """A set, tuple, interval, union or matrix. Example: `read("(1,2]")` has kind "(]" and two elements."""

    kind: str
    elements: tuple[Value, ...]

    @property
    def canonical(self) -> str:
        names = [element.canonical for element in self.elements]
        if self.kind in ("set", "union"):
            names = sorted(set(names))
        return ", ".join(names) if self.kind == "set" else f"{self.kind[0]}{', '.join(names)}{self.kind[-1]}"


@dataclass(frozen=True)
class Words:
    """Anything else, compared as text. Example: `read("\\\\text{Evelyn}")`."""

    canonical: str


@dataclass(frozen=True)
class Contradiction:
    """Several values where one is asked for: `41 = 42`. It equals nothing."""

    canonical: str


Value = Quantity | Equation | Collection | Words | Contradiction


@lru_cache(maxsize=16384)
def read(text: str) -> Value:
    """What `text` means. Never raises on text that `limits.excess` has passed; what is no formula is Words.

    Remembered, as the samples of a group, and the votes of many, say the same few things again and again.
    """
    if _NUMBER.fullmatch(text):
        number = poly.constant(Fraction(text.replace(",", "")))
        return Quantity(number, poly.text(number))
    return _whole(plain(text))


def _whole(text: str) -> Value:
    if text in (_REALS, "\\R"):
        text = "(-\\infty ,\\infty )"
    letters = _LETTERS.fullmatch(text)
    if letters:
        text = letters[1]
    if _IN.match(text) and text[-1:] in ")]}":
        text = _IN.sub("", text)
    if not brackets_match(text):
        return Words(_letters(text))
    for attempt in (_matrix, _union, _list, _relation, _quantity):
        try:
            value = attempt(text)
        except (Unreadable, OutOfReach):
            value = None
        if value is not None:
            return value
    return Words(_letters(text))


def _letters(text: str) -> str:
    """Text for comparing letter by letter: words without case, formulas without spaces."""
    bare = " ".join(_TEXT.sub(r" \1 ", text).split())
    if "\\" not in bare and re.fullmatch(r"[^\W\d_](?:[^\d=^_<>]*[^\W\d_])?|\([A-Za-z]\)", bare):
        return bare.strip("()").casefold()
    return _NOT_BETWEEN_DIGITS.sub("", " ".join(text.split()))  # "1 0" must not vote for "10"


def _matrix(text: str) -> Value | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    rows = [Collection("[]", tuple(map(_whole, split_top(row, "&")))) for row in match[1].split("\\\\")]
    return Collection("{}", _few(rows))


def _union(text: str) -> Value | None:
    parts = text.split("\\cup")
    if len(parts) == 1:
        return None
    elements = [_whole(part.strip()) for part in parts]
    return Collection("union", _few(sorted(elements, key=lambda v: v.canonical)))


def _list(text: str) -> Value | None:
    """`a, b`, `a or b`, `(a, b)`, `[a, b)`, `\\{a, b\\}` and `±a`; None for what is no list."""
    if text[:2] == "\\{" and text[-2:] == "\\}":
        return _set(text[2:-2])
    opening, closing = text[:1], text[-1:]
    if opening and opening in "([" and closing in ")]" and "," in text and len(split_top(text[1:-1], ",")) > 1:
        if brackets_match(text[1:-1]):
            return Collection(opening + closing, _few([_whole(part.strip()) for part in split_top(text[1:-1], ",")]))
        return None
    if _THOUSANDS.fullmatch(_CURRENCY.sub(r"\1", text)) or _UNIT_AFTER_THOUSANDS.fullmatch(text):
        return None
    listed = _LIST_WORD.sub(",", text)
    if "," in listed and len(split_top(listed, ",")) > 1:
        return _set(listed)
    return _set(text) if "\\pm" in text and "=" not in text else None


_UNIT_AFTER_THOUSANDS = re.compile(_THOUSANDS.pattern + r"\D*")


def _set(text: str) -> Value | None:
    elements: list[Value] = []
    for part in split_top(text, ","):
        if part.count("\\pm") > 1:
            raise Unreadable("more than one ±")  # two values each would double with every sign
        name, _, rest = part.strip().rpartition("=")
        part = rest if name and _NAME.fullmatch(name.strip()) else part
        signs = [part.replace("\\pm", "+", 1), part.replace("\\pm", "-", 1)] if "\\pm" in part else [part]
        elements += [_whole(_leading_plus(sign.strip())) for sign in signs]
    unique = {element.canonical: element for element in elements if element.canonical}
    if len(unique) == 1:
        return next(iter(unique.values()))
    return Collection("set", _few([unique[name] for name in sorted(unique)])) if unique else None


def _leading_plus(text: str) -> str:
    return text[1:].strip() if text.startswith("+") else text


def _few(elements: list[Value] | list[Collection]) -> tuple[Value, ...]:
    if len(elements) > MAX_ELEMENTS:
        raise OutOfReach("too many elements")
    return tuple(elements)


def _relation(text: str) -> Value | None:
    """`x = 5` is 5 and remembers its equation; `2 + 3 = 5` is 5; `41 = 42` is a contradiction."""
    sides = [side.strip() for side in split_top(text, "=")]
    if len(sides) == 1:
        return None
    if any(not side for side in sides):
        return Words(_letters(text))
    named = _NAME.fullmatch(sides[0]) is not None
    values = [_quantity(side) for side in (sides[1:] if named else sides)]
    if any(value is None for value in values):
        return Words(_letters(text))
    quantities = [value for value in values if value is not None]
    if all(_same_quantity(quantities[0], quantity) for quantity in quantities[1:]):
        last = quantities[-1]
        if not named or last.number is not None:
            return last
        return Equation(_equation(sides[0], last), last) if len(sides) == 2 else last
    if named or len(sides) > 2 or all(q.number is not None for q in quantities):
        return Contradiction("".join(text.split()))
    return Equation(_zero(poly.add(quantities[0].value, poly.scale(quantities[1].value, -1))))


def _equation(name: str, solution: Quantity) -> str:
    try:
        return _zero(poly.add(parse(name), poly.scale(solution.value, -1)))
    except (Unreadable, OutOfReach):
        return f"{name}={solution.canonical}"


def _zero(difference: Poly) -> str:
    """The canonical text of `difference = 0`: the first coefficient is 1."""
    return f"{poly.text(poly.scale(difference, 1 / poly.leading(difference)))}=0"


def _quantity(text: str) -> Quantity | None:
    text = _CURRENCY.sub(r"\1", text)
    percent = _PERCENT.match(text)
    if percent:
        value = parse(percent[1])
        return Quantity(value, f"{poly.text(value)}%", percent=True)
    text, factor = _scaled(text)
    unit = ""
    match = _UNIT.match(text)
    if match:
        unit = _unit_name(match["unit"])
        words = set(re.findall(r"[a-z]+", unit))
        if not words & _NO_UNIT:
            text = match["value"]
    if _WORD.search(text):
        return None
    value = poly.scale(parse(text), factor)
    return Quantity(value, poly.text(value), unit)


def _scaled(text: str) -> tuple[str, int]:
    match = _SCALED.match(text)
    return (f"{match[1]} {match[3]}".strip(), _SCALES[match[2]]) if match else (text, 1)


def _unit_name(written: str) -> str:
    name = re.sub(r"\\text|[\\{}$\s^.]", "", written).casefold()
    return _NOT_SINGULAR.get(name, name.removesuffix("s") if len(name) > 3 else name)


def same(gold: Value, answer: Value) -> bool:
    """Does `answer` say what `gold` says? Asymmetric only in leniency about units, percent signs and `x =`."""
    if isinstance(answer, Contradiction) or isinstance(gold, Contradiction):
        return False
    if isinstance(gold, Equation) or isinstance(answer, Equation):
        return _same_equation(gold, answer)
    if isinstance(gold, Quantity) and isinstance(answer, Quantity):
        return _same_quantity(gold, answer)
    if isinstance(gold, Collection) and isinstance(answer, Collection):
        return _same_collection(gold, answer)
    return type(gold) is type(answer) and gold.canonical == answer.canonical


def _same_quantity(gold: Quantity, answer: Quantity) -> bool:
    if gold.unit and answer.unit and gold.unit != answer.unit:
        return False
    if gold.percent != answer.percent:
        marked, bare = (gold, answer) if gold.percent else (answer, gold)
        return bare.canonical in (poly.text(marked.value), poly.text(poly.scale(marked.value, Fraction(1, 100))))
    return gold.canonical == answer.canonical


def _same_equation(gold: Value, answer: Value) -> bool:
    """`y = 2x + 3` against `2x - y + 3 = 0`, or against `2x + 3` alone."""
    if isinstance(gold, Equation) and isinstance(answer, Equation):
        return gold.canonical == answer.canonical
    equation, other = (gold, answer) if isinstance(gold, Equation) else (answer, gold)
    assert isinstance(equation, Equation)
    return equation.solution is not None and same(equation.solution, other)


def _same_collection(gold: Collection, answer: Collection) -> bool:
    if gold.kind != answer.kind or len(gold.elements) != len(answer.elements):
        return False
    if gold.kind not in ("set", "union"):
        return all(map(same, gold.elements, answer.elements))
    return _matched(list(gold.elements), list(answer.elements), same)


def _matched(golds: list[Value], answers: list[Value], equal: Callable[[Value, Value], bool]) -> bool:
    """Each gold has an answer of its own (greedy: `same` is as good as transitive within one collection)."""
    for gold in golds:
        found = next((index for index, answer in enumerate(answers) if equal(gold, answer)), None)
        if found is None:
            return False
        answers.pop(found)
    return not answers
