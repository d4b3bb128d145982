"""Are two formulas equal? Where exact arithmetic cannot say: their values at a few points, to 50 and to 100 digits.

    ln 4 = 2 ln 2,   e^(iπ) = -1,   cos 60° = 1/2,   √(1/n) = 1/√n (wherever both are real)

The grammar is that of `parse`; only the meaning of its signs is different. Rational numbers stay exact fractions, so
that a difference between two of them is never rounded away, and a sum whose parts are so far apart in size that the
smaller one would vanish is refused. The letters k, m, n stand for natural numbers, others for real ones of both signs;
an odd root of a negative number is the real one. Left out on purpose:
absolute tolerances (1/2^99 is not 1/2^98), approximations (3.14 is not π), and anything that could take long.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from mull.verify.limits import MAX_BITS
from mull.verify.parse import Unreadable, parse
from mull.verify.poly import OutOfReach

_DIGITS = (50, 100)
POINTS = 6
_NEEDED = 3
"""Points at which both are real and equal; fewer (a formula that is complex everywhere) count when all agree."""
_NATURAL = {"n": (3, 4, 5, 6, 7, 8), "k": (4, 6, 9, 13, 18, 24), "m": (5, 6, 9, 14, 21, 30)}
"""Odd and even, and in no simple relation to each other."""
_MAX_STEPS = 60
"""Powers and functions in one formula."""
_HUGE = 10**40
"""Arguments beyond it would need their digits before a sine or an exponential means anything."""
_FAR = Fraction(1, 10**30)

_local = threading.local()


def _context(digits: int) -> Any:
    """mpmath's arithmetic with this thread's own precision, which is state that threads must not share."""
    contexts = _local.__dict__.setdefault("contexts", {})
    if digits not in contexts:
        from mpmath.ctx_mp import MPContext

        contexts[digits] = MPContext()
        contexts[digits].dps = digits
    return contexts[digits]


def equal(gold: str, answer: str) -> bool:
    """Is `answer` the same function of the same letters as `gold`? Both are spelt by `latex.plain`.

    Raises:
        Unreadable: one of them is not of the grammar.
    """
    return agree(_values(gold, answer), wide=("|" in gold) == ("|" in answer))


Pair = tuple[Any, Any]
"""The values of the reference and of the answer at one point, each a Fraction or a float of mpmath."""


def agree(pairs: Iterable[tuple[Pair, Pair]], wide: bool = False) -> bool:
    """Are the two equal at every point where one of them is real? `pairs` holds them at 50 and at 100 digits.

    With `wide` only where both are: `\\ln x + \\ln y` is `\\ln(xy)`, though x and y may both be negative there.
    """
    agreed = real = seen = 0
    for (a, b), (c, d) in pairs:
        same = _close(a, b, 50) and _close(c, d, 100) and (_is_real(a) == _is_real(b))
        if not same and ((_is_real(a) and _is_real(b)) or (not wide and (_is_real(a) or _is_real(b)))):
            return False
        seen += 1
        agreed += same
        real += same and _is_real(a)
    return seen > 0 and (real >= _NEEDED or agreed == seen)


def proportional(gold: str, answer: str) -> bool:
    """Is `answer = 0` the same equation as `gold = 0`: one a constant multiple of the other, and neither constant?"""
    pairs = list(_values(gold, answer))
    if len(pairs) < _NEEDED:
        return False
    (first, second), _ = pairs[0]
    if _is_zero(first) or _is_zero(second):
        return False
    return all(_close(a * second, b * first, 50) for (a, b), _ in pairs[1:])


def rounds(exact: str, rounded: str) -> bool:
    """Is `rounded`, a decimal, the number `exact` rounded, or cut off, at its last place?

    Raises:
        Unreadable, OutOfReach, ArithmeticError, ValueError: `exact` has no value.
    """
    context, letters = _context(_DIGITS[0]), set[str]()
    value = _float(context, parse(exact, _At(0, _DIGITS[0], letters)))
    decimal = _float(context, Fraction(rounded))
    place = context.mpf(10) ** -len(rounded.partition(".")[2])
    if letters or not _is_real(value) or value * decimal < 0:
        return False
    return bool(-place / 2 <= abs(value) - abs(decimal) < place)


def _values(gold: str, answer: str) -> Iterator[tuple[Pair, Pair]]:
    """(gold, answer) at 50 digits and the same at 100, at each point where both are defined."""
    for point in range(POINTS):
        rows: list[Pair] = []
        letters: set[str] = set()
        try:
            for digits in _DIGITS:
                rows.append((parse(gold, _At(point, digits, letters)), parse(answer, _At(point, digits, letters))))
        except Unreadable:
            raise
        except _TooMuch:
            return
        except (OutOfReach, ArithmeticError, ValueError):
            continue
        yield rows[0], rows[1]
        if not letters:
            return


class _TooMuch(OutOfReach):
    """A formula whose value takes too long to find, at whichever point."""


def _is_real(value: Any) -> bool:
    return isinstance(value, Fraction) or not getattr(value, "imag", 0)


def _is_zero(value: Any) -> bool:
    return abs(value) < Fraction(1, 10**40) if isinstance(value, Fraction) else abs(value) < 1e-40


def _close(a: Any, b: Any, digits: int) -> bool:
    """Equal up to the rounding of a few operations; relative, so that small numbers are told apart."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    context = _context(digits)
    x, y = _float(context, a), _float(context, b)
    gap, largest = abs(x - y), max(abs(x), abs(y))
    return gap <= largest * context.mpf(10) ** (8 - digits)


def _float(context: Any, value: Any) -> Any:
    if isinstance(value, Fraction):
        return context.mpf(value.numerator) / value.denominator
    return context.convert(value)


def letter(name: str, point: int) -> Fraction:
    """What a letter stands for at a point: a natural number for k, m and n, else a fraction up to 2.75 in size."""
    if name in _NATURAL:
        return Fraction(_NATURAL[name][point])
    digest = int.from_bytes(hashlib.sha256(f"{point} {name}".encode()).digest()[:4])
    size = Fraction(digest % 9973 + 1000, 3989)
    return -size if point % 2 and digest & 1 << 20 else size


class _At:
    """The algebra of values at one point: a Fraction where a value is rational, else a float of `digits` digits."""

    def __init__(self, point: int, digits: int, letters: set[str]) -> None:
        self._context = _context(digits)
        self._point = point
        self._letters = letters
        self._left = _MAX_STEPS
        self.IMAGINARY = self._context.mpc(0, 1)

    def _step(self) -> None:
        """A power or a function: half a millisecond on a slow machine."""
        self._left -= 1
        if self._left < 0:
            raise _TooMuch("too many powers and functions")

    def _up(self, value: Any) -> Any:
        return _float(self._context, value)

    def _down(self, value: Any) -> Any:
        """What is left of a result: finite, without an imaginary part that is only rounding."""
        if isinstance(value, Fraction):
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
                return self._up(value)
            return value
        if not self._context.isfinite(value):
            raise OutOfReach("not finite")
        imaginary = getattr(value, "imag", 0)
        if imaginary and abs(imaginary) < abs(value) * self._context.mpf(10) ** (8 - self._context.dps):
            return value.real
        return value.real if not imaginary else value

    def constant(self, value: int | Fraction) -> Any:
        return Fraction(value)

    def atom(self, name: str) -> Any:
        if name == "e":
            return +self._context.e
        if name == "\\pi":
            return +self._context.pi
        if name.startswith("\\infty"):
            raise OutOfReach("infinity is no number")
        self._letters.add(name)
        return letter(name, self._point)

    def as_fraction(self, value: Any) -> Fraction | None:
        return value if isinstance(value, Fraction) else None

    def size(self, value: Any) -> int:
        return 2

    def text(self, value: Any) -> str:
        return str(value) if isinstance(value, Fraction) else self._context.nstr(value, 20)

    def add(self, left: Any, right: Any) -> Any:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return self._down(left + right)
        x, y = self._up(left), self._up(right)
        small, large = sorted((abs(x), abs(y)))
        if small and small < large * self._up(_FAR):
            raise OutOfReach("parts too far apart in size")
        total = x + y
        # what is left of a difference of equals is rounding, and must not be taken for a small number
        return (
            Fraction(0) if abs(total) < large * self._context.mpf(10) ** (6 - self._context.dps) else self._down(total)
        )

    def scale(self, value: Any, factor: int | Fraction) -> Any:
        return self.multiply(value, Fraction(factor))

    def multiply(self, left: Any, right: Any) -> Any:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return self._down(left * right)
        return self._down(self._up(left) * self._up(right))

    def divide(self, left: Any, right: Any) -> Any:
        if not right:
            raise OutOfReach("division by zero")
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return self._down(left / right)
        return self._down(self._up(left) / self._up(right))

    def power(self, base: Any, exponent: int) -> Any:
        return self.raised(base, Fraction(exponent))

    def raised(self, base: Any, exponent: Any) -> Any:
        if not base and (not isinstance(exponent, Fraction) or exponent <= 0):
            raise OutOfReach("a power of zero")
        if abs(exponent) > _HUGE:
            raise OutOfReach("exponent")
        if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if bits * abs(exponent) <= MAX_BITS:
                return base ** int(exponent)
        self._step()
        x, sign = self._up(base), 1
        odd = isinstance(exponent, Fraction) and exponent.denominator > 1 and exponent.denominator % 2
        if odd and _is_real(x) and x < 0:
            x, sign = -x, (-1) ** (exponent.numerator % 2)
        return self._down(sign * self._context.power(x, self._up(exponent)))

    def root(self, value: Any) -> Any:
        return self.nth_root(Fraction(2), value)

    def nth_root(self, degree: Any, inner: Any) -> Any:
        if not degree:
            raise OutOfReach("root of degree zero")
        if not inner:
            return Fraction(0)
        return self.raised(inner, self.divide(Fraction(1), degree))

    def absolute(self, inner: Any) -> Any:
        return abs(inner) if isinstance(inner, Fraction) else self._down(abs(inner))

    def function(self, name: str, base: Any, inner: Any) -> Any:
        if abs(inner) > _HUGE and name not in ("ln", "lg", "log"):
            raise OutOfReach("argument")
        self._step()
        x = self._up(inner)
        if name in ("ln", "lg", "log"):
            return self._logarithm(name, base, x)
        if base is not None:
            raise Unreadable(f"{name} with a base")
        if name == "exp" and abs(x) > MAX_BITS:
            raise OutOfReach("argument")
        name = name.replace("arc", "a")
        value = getattr(self._context, name)(x)
        # sin π is zero, not 1e-51: trigonometric values of moderate size that vanish are exactly zero
        tiny = self._context.mpf(10) ** (8 - self._context.dps)
        return Fraction(0) if name in ("sin", "cos", "tan", "cot") and abs(value) < tiny else self._down(value)

    def _logarithm(self, name: str, base: Any, x: Any) -> Any:
        """`\\log` without a base is known only up to a factor: to some it is base 10, to others e."""
        if not x:
            raise OutOfReach("the logarithm of zero")
        if base is not None:
            below = self._context.ln(self._up(base)) if base else 0
        else:
            below = {"ln": 1, "lg": self._context.ln(10), "log": self._up(Fraction(1717, 1009))}[name]
        if not below:
            raise OutOfReach("base")
        value = self._context.ln(x) / below
        return Fraction(0) if not value else self._down(value)

    def factorial(self, base: Any) -> Any:
        if _is_zero(base) or not _is_real(base) or not 0 < base <= 10**6:
            if base == 0:
                return Fraction(1)
            raise OutOfReach("factorial")
        small = isinstance(base, Fraction) and base.denominator == 1 and base <= 20
        self._step()
        value = self._context.fac(self._up(base))
        return Fraction(int(value)) if small else self._down(value)

    def choose(self, top: Any, bottom: Any) -> Any:
        if abs(top) > 10**6 or abs(bottom) > 10**6:
            raise OutOfReach("binomial")
        self._step()
        return self._down(self._context.binomial(self._up(top), self._up(bottom)))


def number(real: Any, imaginary: Any, digits: int) -> Any:
    """A value that another arithmetic found, as `agree` compares it."""
    context = _context(50 if digits < 100 else 100)
    return context.convert(real) if imaginary is None else context.mpc(real, imaginary)
