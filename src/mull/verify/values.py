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
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from mull.verify import numeric, poly
from mull.verify.latex import brackets_match, plain, split_top
from mull.verify.limits import MAX_ELEMENTS
from mull.verify.parse import Unreadable, parse
from mull.verify.poly import OutOfReach, Poly
from mull.verify.quantity import CURRENCY, WORD, Quantity, quantity, same_quantity

_NUMBER = re.compile(r"-?(?:[0-9]{1,18}|[0-9]{1,3}(?:,[0-9]{3}){1,5})(?:\.[0-9]{1,18})?")
_FRACTION = re.compile(r"(-?)(?:\\[dt]?frac\{([0-9]{1,18})\}\{([0-9]{1,18})\}|([0-9]{1,18})/([0-9]{1,18}))")
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_TEXT = re.compile(r"\\text \{([^{}]*)\}")
_LIST_WORD = re.compile(r"\s*(?:,\s*)?(?:\\text \{\s*,?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z]))\s*")
_NOT_BETWEEN_DIGITS = re.compile(r"(?<![0-9])\s+|\s+(?![0-9])")
_NAME = re.compile(r"[A-Za-z]'{0,2}(?:_\{?[A-Za-z0-9]\}?)?(?:\([a-z]\))?|[A-Z]{2,3}|\\[a-z]+ ?")
_LETTER = re.compile(r"[A-Za-z]")
_CALLED = re.compile(
    r"\\text \{[A-Za-z ]+\}|\\angle [A-Z]{1,3}|\|[A-Z]{2}\|"
    r"|(?:[A-Za-z]|[A-Z]{2,3})'{0,2}(?:_\{?(?:\\text \{[a-z]+\}|[A-Za-z0-9]{1,4})\}?)?(?:\([A-Za-z0-9]{1,3}\))?"
)
"""What a number is said to be, as in `f(2) = 5` and `\\text{Area} = 12`."""
_TOTAL = re.compile(r"[0-9]*\s*[A-Za-z](?:\s*[+*]?\s*[0-9]*\s*[A-Za-z])+")
"""`m + n`, `100a + b`: what a question that wants one number asks for."""
_NAMED = re.compile(r"^(?:[A-Za-z]|\([A-Za-z](?:\s*,\s*[A-Za-z])*\))\s*=\s*(?=[\[(\\])")
_WRAPPED = re.compile(r"^\\text \{\s*(-?[0-9][0-9.,/]*(?:\s[^{}]*)?)\}$")
_PLUS_MINUS = re.compile(r"\\pm(?![A-Za-z])")
_ORDER = re.compile(r"\s*(\\(?:le|ge|ne)(?![A-Za-z])|<=|>=|<|>)\s*")
_ABSOLUTE = re.compile(r"\|\s*[A-Za-z]\s*\|")
_RATIO = re.compile(r"[0-9]{1,9}(?:\s*:\s*[0-9]{1,9}){1,2}")
_TIME = re.compile(r"([0-9]{1,2})(?:\s*:\s*([0-9]{2}))?\s*(?:\\text \{)?\s*([apAP])\.? ?[mM]\.?\s*\}?")
_SET_BUILDER = re.compile(r"^\\\{\s*[A-Za-z]\s*(?:\\in\s*\\mathbb \{R\}\s*)?(?:\\mid|\||:)\s*(.*)\\\}$")
_OR = re.compile(r"\\text \{\s*,?\s*or\s*\}|(?<![A-Za-z\\])or(?![A-Za-z])")
_FORMULA = re.compile(r"[\\0-9+*/^]")
_ALIASES = {"infinity": "\\infty ", "does not exist": "dne", "doesn't exist": "dne", "no solutions": "\\varnothing ",
            "no solution": "\\varnothing ", "no real solution": "\\varnothing ", "no real solutions": "\\varnothing ",
            "empty set": "\\varnothing ", "the empty set": "\\varnothing ", "\\{\\}": "\\varnothing ",
            "all real numbers": "\\mathbb {R}"}  # fmt: skip
_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL, _TENS = _SMALL_WORDS.split(), _TENS_WORDS.split()
_ALIASES |= {word: str(value) for value, word in enumerate(_SMALL)}
_ALIASES |= {word: str(10 * ten) for ten, word in enumerate(_TENS, 2)}
_ALIASES |= {f"{word}-{_SMALL[one]}": str(10 * ten + one) for ten, word in enumerate(_TENS, 2) for one in range(1, 10)}
_MATRIX = re.compile(r"\\begin \{pmatrix\}(.*)\\end \{pmatrix\}", re.DOTALL)
_ROW_END = re.compile(r"\\\\(?:\s*\[[0-9.]+ ?(?:pt|ex|em|mm|cm)\])?")
_IN = re.compile(r"^[A-Za-z]\s*\\in\s*")
_LETTERS = re.compile(r"\\text \{\s*\(?([A-Za-z](?:\s*,\s*[A-Za-z])*)\)?\s*\}")
_CONSTANTS = frozenset(("e", "i", "\\pi", "\\infty"))
_REALS = "\\mathbb {R}"


@dataclass(frozen=True)
class Equation:
    """A relation between formulas; `solution` is the right side of `y = …`. Example: `read("y = 2x + 3")`.

    `total` is the number in `m + n = 36`, which answers the question for m + n.
    """

    canonical: str
    solution: Quantity | None = None
    source: str = ""
    total: Quantity | None = None


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
    source: str = ""


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
        return Quantity(number, poly.text(number), source=text)
    fraction = _FRACTION.fullmatch(text)
    if fraction:
        sign, top, bottom = fraction[1], fraction[2] or fraction[4], fraction[3] or fraction[5]
        if int(bottom):
            value = Fraction(int(sign + top), int(bottom))
            return Quantity(poly.constant(value), str(value), source=str(value))
    return _whole(plain(text))


def _whole(text: str) -> Value:
    bare = " ".join(_TEXT.sub(r" \1 ", text).split()).casefold() if len(text) < 40 else ""
    text = _ALIASES.get(bare, text).removeprefix("\\approx ")
    exact, sign, rounded = text.partition("\\approx ")
    if sign and _rounds(exact, rounded):
        text = exact.strip()
    time = _TIME.fullmatch(text)
    if time:
        return Words(f"{int(time[1])}:{time[2] or '00'} {time[3].lower()}m")
    if text in (_REALS, "\\mathbb R", "\\R"):
        text = "(-\\infty ,\\infty )"
    text = _WRAPPED.sub(r"\1", text).strip()
    letters = _LETTERS.fullmatch(text)
    if letters:
        text = letters[1]
    if _IN.match(text) and text[-1:] in ")]}":
        text = _IN.sub("", text)
    if not brackets_match(text):
        return Words(_letters(text))
    for attempt in (_ratio, _matrix, _union, _order, _list, _relation, quantity, _named_collection):
        try:
            value = attempt(text)
        except (Unreadable, OutOfReach):
            value = None
        if value is not None:
            return value
    return Words(_letters(text), _formula(text))


def _rounds(exact: str, rounded: str) -> bool:
    """Is `\\sqrt{2} \\approx 1.414` true, up to the last place that is given?"""
    rounded = CURRENCY.sub(r"\1", rounded.strip())
    if not _NUMBER.fullmatch(rounded):
        return False
    try:
        return numeric.rounds(CURRENCY.sub(r"\1", exact.strip()), rounded.replace(",", ""))
    except (Unreadable, OutOfReach, ArithmeticError, ValueError):
        return False


def _formula(text: str) -> str:
    """`text` where it may be a formula, so that more than its letters can be compared; else ""."""
    return text if _FORMULA.search(text) and not WORD.search(text) and "\\text " not in text else ""


def _letters(text: str) -> str:
    """Text for comparing letter by letter: words without case, formulas without spaces."""
    bare = " ".join(_TEXT.sub(r" \1 ", text).split())
    if "\\" not in bare and re.fullmatch(r"[^\W\d_](?:[^\d=^_<>]*[^\W\d_])?|\([A-Za-z]\)", bare):
        return bare.strip("()").casefold()
    return _NOT_BETWEEN_DIGITS.sub("", " ".join(text.split()))  # "1 0" must not vote for "10"


def _ratio(text: str) -> Value | None:
    """`2:3`, a ratio or a time of the day."""
    return Collection("::", tuple(map(_whole, text.replace(" ", "").split(":")))) if _RATIO.fullmatch(text) else None


def _matrix(text: str) -> Value | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    rows = [Collection("[]", tuple(map(_whole, split_top(row, "&")))) for row in _ROW_END.split(match[1])]
    return Collection("{}", _few(rows))


def _union(text: str) -> Value | None:
    parts = text.split("\\cup")
    if len(parts) == 1:
        return None
    elements = [_whole(part.strip()) for part in parts]
    return Collection("union", _few(sorted(elements, key=lambda v: v.canonical)))


def _named_collection(text: str) -> Value | None:
    """`S = \\{1, 2\\}` and `(x, y) = (1, 2)`: what is on the right."""
    rest, found = _NAMED.subn("", text)
    if not found or "=" in rest:
        return None
    value = _whole(rest.strip())
    return value if isinstance(value, Collection) else None


def _order(text: str) -> Value | None:
    """`1 < x \\le 2` as an interval, `x < 1 or x > 2` as a union; None for what is no such inequality."""
    if not _ORDER.search(text):
        return None
    text = _SET_BUILDER.sub(r"\1", text)
    intervals: list[Value] = []
    for part in _OR.split(text):
        found = _interval(*_ORDER.split(part.strip().strip(",").strip()))
        if not found:
            return None
        intervals += found
    if len(intervals) == 1:
        return intervals[0]
    return Collection("union", _few(sorted(intervals, key=lambda v: v.canonical)))


def _interval(*pieces: str) -> list[Value]:
    """Sides and signs in turn: `x`, `<`, `2`. A name has to stand in it, and nothing but a quantity beside it."""
    sides, signs = list(pieces[::2]), [sign.replace("\\le", "<=").replace("\\ge", ">=") for sign in pieces[1::2]]
    if len(sides) == 2 and _ABSOLUTE.fullmatch(sides[0]) and signs != ["\\ne"]:
        return _distance(_whole(sides[1]), signs[0])
    named = [index for index, side in enumerate(sides) if _NAME.fullmatch(side) and side.strip() not in _CONSTANTS]
    if len(named) != 1 or len(sides) not in (2, 3) or (len(sides) == 3 and named != [1]):
        return []
    if signs == ["\\ne"]:
        value = _whole(sides[1 - named[0]])
        return [Collection("()", (_whole("-\\infty "), value)), Collection("()", (value, _whole("\\infty ")))]
    if any(sign[0] not in "<>" or sign[0] != signs[0][0] for sign in signs):
        return []
    if signs[0][0] == ">":
        sides, signs = sides[::-1], signs[::-1]
    if len(sides) == 2:
        below = _NAME.fullmatch(sides[0]) is not None and sides[0].strip() not in _CONSTANTS
        sides = ["-\\infty ", *sides] if below else [*sides, "\\infty "]
        signs = ["<", *signs] if below else [*signs, "<"]
    ends = [_whole(sides[0]), _whole(sides[2])]
    if not all(isinstance(end, Quantity) for end in ends):
        return []
    kind = ("[" if signs[0].endswith("=") else "(") + ("]" if signs[1].endswith("=") else ")")
    return [Collection(kind, tuple(ends))]


def _distance(bound: Value, sign: str) -> list[Value]:
    """`|x| < 5` as (-5, 5), `|x| > 5` as two rays; nothing for a bound that is no positive number."""
    if not isinstance(bound, Quantity) or bound.number is None or bound.number <= 0:
        return []
    low, high = _whole(str(-bound.number)), _whole(str(bound.number))
    closed = sign.endswith("=")
    if sign[0] == "<":
        return [Collection("[]" if closed else "()", (low, high))]
    left, right = Collection("(]" if closed else "()", (_whole("-\\infty "), low)), (high, _whole("\\infty "))
    return [left, Collection("[)" if closed else "()", right)]


def _list(text: str) -> Value | None:
    """`a, b`, `a or b`, `(a, b)`, `[a, b)`, `\\{a, b\\}` and `±a`; None for what is no list."""
    if text[:2] == "\\{" and text[-2:] == "\\}":
        return _set(text[2:-2])
    if text[:1] == "{" and text[-1:] == "}" and "," in text and brackets_match(text[1:-1]):
        return _set(text[1:-1])
    opening, closing = text[:1], text[-1:]
    if opening and opening in "([" and closing in ")]" and "," in text and brackets_match(text[1:-1]):
        parts = split_top(text[1:-1], ",")
        if len(parts) > 1:
            return Collection(opening + closing, _few([_whole(part.strip()) for part in parts]))
    if _THOUSANDS.fullmatch(CURRENCY.sub(r"\1", text)) or _UNIT_AFTER_THOUSANDS.fullmatch(text):
        return None
    listed = _LIST_WORD.sub(",", text.replace(";", ","))
    if "," in listed and len(split_top(listed, ",")) > 1:
        return _set(listed)
    return _set(text) if _PLUS_MINUS.search(text) and "=" not in text else None


_UNIT_AFTER_THOUSANDS = re.compile(_THOUSANDS.pattern + r"\D*")


def _set(text: str) -> Value | None:
    """The elements in any order; with two names or more (`x = 1, y = 2`) each keeps its own."""
    parts = [_assigned(part.strip()) for part in split_top(text, ",")]
    several = len({name.partition("_")[0] for name, _ in parts if name}) > 1
    elements: list[Value] = []
    for name, part in parts:
        if len(_PLUS_MINUS.findall(part)) > 1:
            raise Unreadable("more than one ±")  # two values each would double with every sign
        signs = [_PLUS_MINUS.sub(sign, part) for sign in "+-"] if _PLUS_MINUS.search(part) else [part]
        values = [_whole(_leading_plus(sign.strip())) for sign in signs]
        elements += [Collection("==", (Words(name), value)) for value in values] if several else values
    unique = {element.canonical: element for element in elements if element.canonical}
    if len(unique) == 1:
        return next(iter(unique.values()))
    return Collection("set", _few([unique[name] for name in sorted(unique)])) if unique else None


def _assigned(part: str) -> tuple[str, str]:
    """(name, value) of `x = 1`, ("", part) of anything else."""
    name, _, rest = part.rpartition("=")
    return (name.strip(), rest) if name and _NAME.fullmatch(name.strip()) else ("", part)


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
    if len(sides) == 2 and _NAME.fullmatch(sides[1]) and not _NAME.fullmatch(sides[0]):
        sides.reverse()
    if any(not side for side in sides):
        return Words(_letters(text))
    named = _NAME.fullmatch(sides[0]) is not None
    if not named and _CALLED.fullmatch(sides[0].strip()):
        said = _relation("=".join(sides[1:])) if len(sides) > 2 else quantity(sides[1])
        if isinstance(said, Quantity) and said.number is not None:
            return said
    values = [quantity(side) for side in (sides[1:] if named else sides)]
    if any(value is None for value in values):
        return Words(_letters(text))
    quantities = [value for value in values if value is not None]
    if all(same_quantity(quantities[0], quantity) for quantity in quantities[1:]):
        last = quantities[-1]
        if not named:
            return last
        if last.number is not None or len(sides) > 2:
            return replace(last, name=sides[0].casefold() if _LETTER.fullmatch(sides[0]) else "")
        own = any(name == sides[0] for _, _, powers in last.value for name, _ in powers)  # x = 2x + 3 gives no x
        return Equation(_equation(sides[0], last), None if own else last, f"({sides[0]})-({last.source})")
    total = quantities[-1] if _TOTAL.fullmatch(sides[0]) and quantities[-1].number is not None else None
    if total and len(sides) > 2 and all(same_quantity(quantities[1], quantity) for quantity in quantities[2:]):
        return total
    if named or len(sides) > 2 or all(q.number is not None for q in quantities):
        return Contradiction("".join(text.split()))
    difference = poly.add(quantities[0].value, poly.scale(quantities[1].value, -1))
    return Equation(_zero(difference), source=f"({quantities[0].source})-({quantities[1].source})", total=total)


def _equation(name: str, solution: Quantity) -> str:
    try:
        return _zero(poly.add(parse(name), poly.scale(solution.value, -1)))
    except (Unreadable, OutOfReach):
        return f"{name}={solution.canonical}"


def _zero(difference: Poly) -> str:
    """The canonical text of `difference = 0`: the first coefficient is 1 (`x = x` says nothing)."""
    if not difference:
        return "0=0"
    return f"{poly.text(poly.scale(difference, 1 / poly.leading(difference)))}=0"
