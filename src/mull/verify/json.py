"""JSON: is this the same value?

`data["answer"]` is the value, or its text. Objects are compared without the order of their keys, numbers by what they
are worth (`1`, `1.0` and `1e0` are one number, `true` is none), text character by character. A key that occurs twice is
`ambiguous`: readers disagree on which one counts. What RFC 8259 does not know (NaN, Infinity, comments, single quotes)
is `wrong`. The value is the whole answer, the last code fence in it, or what follows "the answer is".

Left out on purpose: JSON Schema, a tolerance for numbers, and mending broken JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.texts import stated, unfenced

METHOD = "json"
MAX_LENGTH = 20_000
MAX_DEPTH = 64
MAX_DIGITS = 120
MAX_EXPONENT = 400
"""Beyond what a 64-bit float can hold; written out it would be text of that length."""

_NUMBER = re.compile(r"[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class Malformed(ValueError):
    """The text is no JSON; the message says why."""


class Excess(ValueError):
    """The text is out of bounds; the message names the bound."""


class Duplicate(ValueError):
    """A key occurs twice in one object."""


def parse(text: str) -> Any:
    """The value of a JSON text, numbers as Decimal.

    Raises:
        Excess: too long, too deep, or a number too large.
        Duplicate: a key occurs twice in one object.
        Malformed: no JSON.
    """
    if len(text) > MAX_LENGTH:
        raise Excess(f"{len(text)} characters (limit {MAX_LENGTH})")
    _bounded(_STRING.sub(" ", text))
    try:
        return json.loads(
            text, parse_int=Decimal, parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg} at character {error.pos + 1}") from None


def _bounded(bare: str) -> None:
    """`bare` is the text without its strings: brackets are counted and numbers measured before anything is built."""
    depth = 0
    for bracket in _BRACKET.findall(bare):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise Excess(f"nested deeper than {MAX_DEPTH}")
    for number in _NUMBER.findall(bare):
        digits, _, exponent = number.lower().partition("e")
        if len(digits) > MAX_DIGITS or len(exponent) > 6 or (exponent and abs(int(exponent)) > MAX_EXPONENT):
            raise Excess(f"a number of over {MAX_DIGITS} digits or with an exponent over {MAX_EXPONENT}")


def _constant(name: str) -> Any:
    raise Malformed(f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Duplicate(f"the key {key[:40]!r} occurs twice")
        found[key] = value
    return found


def render(value: Any) -> str:
    """Canonical text: keys in order, no spaces, numbers in their shortest form. Equal values have equal texts."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{render(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(render, value)) + "]"
    if isinstance(value, Decimal):
        return _number(value)
    return json.dumps(value) if value is None or isinstance(value, bool) else _quoted(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=any("\ud800" <= char <= "\udfff" for char in text))


def _number(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return "0"
    stripped = text.rstrip("0")
    power = int(exponent) + len(text) - len(stripped)
    plain = stripped + "0" * power if 0 <= power <= 20 else f"{stripped}e{power}"
    return f"-{plain}" if sign else plain


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text`; `answer` is the value in canonical form, None for what is no JSON."""
    gold = _gold(data["answer"])
    try:
        answer = render(_read(text))
    except Excess as error:
        return Verdict(VerdictKind.INVALID, str(error), None, METHOD)
    except Duplicate as error:
        return Verdict(VerdictKind.AMBIGUOUS, str(error), None, METHOD)
    except Malformed as error:
        return Verdict(VerdictKind.WRONG, str(error), None, METHOD)
    if answer == gold:
        return Verdict(VerdictKind.CORRECT, "the same value", answer, METHOD)
    return Verdict(VerdictKind.WRONG, f"{answer[:60]} is not {gold[:60]}", answer, METHOD)


def _read(text: str) -> Any:
    """The value that an answer gives. Text around it is skipped only where the whole is no JSON."""
    whole = text.strip()
    try:
        return parse(whole)
    except Malformed:
        inner = unfenced(stated(whole))  # a box or tag decides, whatever stands in a fence before it
        if inner in ("", whole):
            raise
        return parse(inner)


def _gold(answer: Any) -> str:
    return _canonical(answer if isinstance(answer, str) else json.dumps(answer))


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str:
    return render(parse(text.strip()))


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: there is no answer, or it is no JSON within the bounds that an answer must keep.
    """
    if "answer" not in data:
        raise UserError(f"{where}: no answer; every problem needs one")
    try:
        _gold(data["answer"])
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: the answer {str(data['answer'])[:60]!r} is not usable ({error})") from None
