"""Formulas to polynomials: a recursive-descent reader of the LaTeX that answers are written in.

Reads numbers, letters, + - * / ^ !, brackets, \\frac, \\sqrt, \\binom, |…|, functions and implicit multiplication; a
mixed number `3\\frac{1}{2}` is 7/2. What the signs mean is said by an algebra: `poly` (exact), or `numeric` (values at
a point). Works on text that `latex.plain` has spelt and `limits.excess` has passed, so that depth and size are bounded
before it starts. Left out on purpose: everything that needs a variable to be bound (sums, integrals, limits), and
Python's own parser.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from mull.verify import poly
from mull.verify.limits import MAX_SUM_EXPONENT, MAX_WORK
from mull.verify.poly import OutOfReach

_TOKEN = re.compile(
    r"\s*(?:([0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9,])|[0-9]+\.?[0-9]*|\.[0-9]+)"
    r"|\\([A-Za-z]+)|(sqrt|pi)(?![A-Za-z])|([A-Za-z])|([-+*/^!()\[\]{}|_]))"
)
_FUNCTION_NAMES = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln lg log exp"
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_LETTER_NAMES = (
    "pi alpha beta gamma delta epsilon theta lambda mu nu rho sigma tau phi varphi psi omega Delta Omega infty"
)
_ATOMS = frozenset(_LETTER_NAMES.split())
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_MAX_DEPTH = 40

Token = tuple[str, str]


class Unreadable(ValueError):
    """The text is not a formula of the kind that is read here."""


def parse(text: str, algebra: Any = poly) -> Any:
    """What `text` (spelt by `latex.plain`) means: with the default algebra a polynomial.

    Raises:
        Unreadable: not such a formula.
        OutOfReach: undefined (1/0), or beyond the bounds of `poly`.
    """
    reader = _Reader(_tokens(text), algebra)
    value = reader.sum()
    if not reader.done:
        raise Unreadable(f"{reader.peek()[1]!r} was not expected")
    return value


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"{text[position : position + 12]!r} is no part of a formula")
        number, command, word, letter, sign = match.groups()
        if number:
            tokens.append(("number", number.replace(",", "")))
        elif command or word:
            tokens.append(("command", command or word))
        elif letter:
            tokens.append(("letter", letter))
        else:
            tokens.append(("sign", sign))
        position = match.end()
    return tokens


class _Reader:
    """One pass over the tokens; each method reads one level of the grammar and leaves the cursor behind it."""

    def __init__(self, tokens: Sequence[Token], algebra: Any) -> None:
        self._tokens = tokens
        self._algebra = algebra
        self._at = 0
        self._bars = 0
        self._depth = 0
        self._work = 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    def peek(self) -> Token:
        return ("end", "") if self.done else self._tokens[self._at]

    def _is(self, *signs: str) -> bool:
        kind, value = self.peek()
        return kind == "sign" and value in signs

    def _take(self, sign: str) -> None:
        if not self._is(sign):
            raise Unreadable(f"{sign!r} is missing")
        self._at += 1

    def sum(self) -> Any:
        value = self._algebra.constant(0)
        factor = self._signs()
        while True:
            value = self._algebra.add(value, self._algebra.scale(self._product(), factor))
            if not self._is("+", "-"):
                return value
            factor = self._signs()

    def _signs(self) -> int:
        """At most two signs, as in `3 + -2`."""
        factor = 1
        for _ in range(2):
            if self._is("+", "-"):
                factor = -factor if self._is("-") else factor
                self._at += 1
        return factor

    def _product(self) -> Any:
        value = self._mixed()
        while True:
            if self._is("*", "/"):
                divides = self._is("/")
                self._at += 1
                factor = self._power()
                value = self._divide(value, factor) if divides else self._multiply(value, factor)
            elif self._starts_factor():
                value = self._multiply(value, self._power())
            else:
                return value

    def _starts_factor(self) -> bool:
        kind, _ = self.peek()
        return kind in ("letter", "command") or self._is("(", "[", "{") or (self._is("|") and not self._bars)

    def _mixed(self) -> Any:
        """A mixed number where an integer meets `\\frac` of integers, or `7 3/4`; else a power."""
        kind, value = self.peek()
        following = self._tokens[self._at + 1 : self._at + 4]
        if kind == "number" and value.isdigit() and following:
            if following[0] == ("command", "frac"):
                self._at += 1
                fraction = self._algebra.as_fraction(self._power())
                if fraction is None or not 0 < fraction < 1 or self._is("^", "!"):
                    raise Unreadable("an integer before a fraction that is no proper one")
                return self._algebra.constant(int(value) + fraction)
            if [t[0] for t in following] == ["number", "sign", "number"] and following[1][1] == "/":
                top, bottom = following[0][1], following[2][1]
                self._at += 4
                if not (top.isdigit() and bottom.isdigit()) or not 0 < int(top) < int(bottom):
                    raise Unreadable("two numbers side by side")
                return self._algebra.constant(int(value) + Fraction(int(top), int(bottom)))
        return self._power()

    def _power(self) -> Any:
        sign = self._minus()
        base = self._primary()
        if self._is("!"):
            self._at += 1
            base = self._algebra.factorial(base)
        if self._is("^"):
            self._at += 1
            if self._degrees():
                return self._algebra.scale(self._multiply(base, self._algebra.atom("\\pi")), Fraction(sign, 180))
            exponent = self._argument()
            size = self._algebra.size(base)
            self._spend(size**2 * MAX_SUM_EXPONENT if size > 1 else 1)
            base = self._algebra.raised(base, exponent)
        return self._algebra.scale(base, sign)

    def _degrees(self) -> bool:
        """Passes over `\\circ`: what stands before it is an angle in degrees."""
        following = [t[1] for t in self._tokens[self._at : self._at + 3]]
        length = 1 if following[:1] == ["circ"] else 3 if following == ["{", "circ", "}"] else 0
        self._at += length
        return length > 0

    def _minus(self) -> int:
        if not self._is("-"):
            return 1
        self._at += 1
        return -1

    def _argument(self) -> Any:
        """What follows `^`, `_` or `\\sqrt`: a group, or one token (people write 2^10 and \\sqrt 13)."""
        sign = self._minus()
        return self._algebra.scale(self._group() if self._is("{", "(") else self._primary(), sign)

    def _tex_argument(self) -> Any:
        """What follows `\\frac`: as `_argument`, but of a number only one digit, as TeX has it (\\frac12)."""
        kind, value = self.peek()
        if kind == "number" and len(value) > 1 and value.isdigit():
            self._split_digit(value)
        return self._argument()

    def _split_digit(self, digits: str) -> None:
        self._tokens = [
            *self._tokens[: self._at],
            ("number", digits[0]),
            ("number", digits[1:]),
            *self._tokens[self._at + 1 :],
        ]

    def _group(self) -> Any:
        opening = self.peek()[1]
        self._at += 1
        bars, self._bars = self._bars, 0
        value = self.sum()
        self._bars = bars
        self._take(_CLOSING[opening])
        return value

    def _primary(self) -> Any:
        """One value without operators; commands nest here too (\\sqrt\\sqrt…), so depth is counted here."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise OutOfReach("nested too deeply")
        value = self._value()
        self._depth -= 1
        return value

    def _value(self) -> Any:
        kind, value = self.peek()
        if self._is("(", "[", "{"):
            return self._group()
        if self._is("|"):
            return self._absolute()
        self._at += 1
        if kind == "number":
            return self._algebra.constant(Fraction(value) + self._repeating(value))
        if kind == "letter":
            return self._algebra.IMAGINARY if value == "i" else self._algebra.atom(value + self._subscript())
        if kind == "command":
            return self._command(value)
        raise Unreadable("a value is missing" if kind == "end" else f"{value!r} was not expected")

    def _repeating(self, number: str) -> Fraction:
        """What `\\overline{3}` adds to the decimal before it: 0.\\overline{3} is 1/3."""
        following = self._tokens[self._at : self._at + 4]
        if "." not in number or following[:1] != [("command", "overline")]:
            return Fraction(0)
        if [t[0] for t in following] != ["command", "sign", "number", "sign"] or not following[2][1].isdigit():
            raise Unreadable("a repeating part")
        self._at += 4
        digits, places = following[2][1], len(number.partition(".")[2])
        return Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)

    def _absolute(self) -> Any:
        self._at += 1
        self._bars += 1
        inner = self.sum()
        self._bars -= 1
        self._take("|")
        return self._algebra.absolute(inner)

    def _subscript(self) -> str:
        if not self._is("_"):
            return ""
        self._at += 1
        return f"_{self._algebra.text(self._argument())}"

    def _base(self) -> Any:
        """The base of a logarithm, or None."""
        if not self._is("_"):
            return None
        self._at += 1
        return self._argument()

    def _command(self, name: str) -> Any:
        if name == "frac":
            top = self._tex_argument()
            return self._divide(top, self._tex_argument())
        if name == "sqrt":
            return self._root()
        if name == "binom":
            top = self._tex_argument()
            return self._algebra.choose(top, self._tex_argument())
        if name in _FUNCTIONS:
            return self._function(name)
        if name in _ATOMS:
            return self._algebra.atom(f"\\{name}" + self._subscript())
        if (
            name == "text"
            and self._is("{")
            and self._tokens[self._at + 1 : self._at + 2] in ([("letter", "e")], [("letter", "i")])
        ):
            return self._group()  # an upright e or i
        raise Unreadable(f"\\{name} is not read here")

    def _root(self) -> Any:
        if not self._is("["):
            return self._algebra.root(self._argument())
        degree = self._group()
        return self._algebra.nth_root(degree, self._argument())

    def _function(self, name: str) -> Any:
        base = self._base()
        exponent = 1
        if self._is("^"):
            self._at += 1
            value = self._algebra.as_fraction(self._argument())
            if value is None or value.denominator != 1:
                raise Unreadable(f"an exponent of \\{name}")
            exponent = int(value)
        inner = self._group() if self._is("(", "{", "[") else self._operand()
        if exponent == -1 and name in ("sin", "cos", "tan"):
            return self._algebra.function(f"arc{name}", base, inner)
        return self._algebra.power(self._algebra.function(name, base, inner), exponent)

    def _operand(self) -> Any:
        """The argument of a function without brackets: factors up to the next operator or function, as in `sin 2x`."""
        value = self._power()
        while self._starts_factor() and self.peek()[1] not in _FUNCTIONS and not self._is("(", "["):
            value = self._multiply(value, self._power())
        return value

    def _multiply(self, left: Any, right: Any) -> Any:
        self._spend(self._algebra.size(left) * self._algebra.size(right))
        return self._algebra.multiply(left, right)

    def _divide(self, top: Any, bottom: Any) -> Any:
        size = self._algebra.size(bottom)
        self._spend(self._algebra.size(top) * size + 4 * size**2)
        return self._algebra.divide(top, bottom)

    def _spend(self, products: int) -> None:
        self._work += products
        if self._work > MAX_WORK:
            raise OutOfReach("too much to multiply out")
