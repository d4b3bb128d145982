"""Exact arithmetic on what answers look like: sums of rational coefficients times radicals, i, pi and letters.

A `Poly` maps monomials to fractions. A monomial is (radicand, imaginary, powers): sqrt(radicand) for a square-free
integer, i or not, and integer powers of named atoms. `1/(1+sqrt 2)` is rationalised, so equal numbers of this kind
get equal polynomials, and the text of a polynomial is a canonical form. What does not fit (sin x, a long denominator,
a huge factorial) becomes an atom named by the canonical text of its parts: equal when written alike, never equal by
accident.

Left out on purpose: calculus, trigonometric identities, factoring, and all floating point.
"""

from __future__ import annotations

import math
from fractions import Fraction

from mull.verify.limits import MAX_BITS, MAX_EXPONENT, MAX_NAME, MAX_SUM_EXPONENT, MAX_TERMS

Monomial = tuple[int, bool, tuple[tuple[str, int], ...]]
Poly = dict[Monomial, Fraction]

ONE: Monomial = (1, False, ())
_MAX_RADICAND = 10**8
_MAX_FACTORIAL = 60
_MAX_CHOOSE = 400
_KNOWN = frozenset(("e", "\\pi", "\\infty"))


class OutOfReach(ValueError):
    """The value is undefined, or beyond the bounds within which this arithmetic works."""


def constant(value: int | Fraction) -> Poly:
    """A rational number."""
    return {ONE: Fraction(value)} if value else {}


def atom(name: str) -> Poly:
    """An unknown that is equal only to itself."""
    if len(name) > MAX_NAME:
        # names nest: sin of a sum of terms that each hold the sin of a sum would grow without end
        raise OutOfReach("too long a formula")
    return {(1, False, ((name, 1),)): Fraction(1)}


IMAGINARY: Poly = {(1, True, ()): Fraction(1)}


def as_fraction(poly: Poly) -> Fraction | None:
    """The rational number that `poly` is, or None when it is something else."""
    if not poly:
        return Fraction(0)
    return poly.get(ONE) if len(poly) == 1 else None


def add(left: Poly, right: Poly) -> Poly:
    """left + right."""
    result = dict(left)
    for monomial, coefficient in right.items():
        total = result.get(monomial, Fraction(0)) + coefficient
        if total:
            result[monomial] = total
        else:
            result.pop(monomial, None)
    return _bounded(result)


def scale(poly: Poly, factor: int | Fraction) -> Poly:
    """poly times a rational number."""
    return _bounded({m: c * factor for m, c in poly.items()}) if factor else {}


def multiply(left: Poly, right: Poly) -> Poly:
    """left times right."""
    result: Poly = {}
    for a, x in left.items():
        for b, y in right.items():
            factor, monomial = _times(a, b)
            total = result.get(monomial, Fraction(0)) + x * y * factor
            if total:
                result[monomial] = total
            else:
                result.pop(monomial, None)
    return _bounded(result)


def divide(left: Poly, right: Poly) -> Poly:
    """left / right; OutOfReach for a division by zero."""
    return multiply(left, _inverse(right))


def power(base: Poly, exponent: int) -> Poly:
    """base to an integer power within the limits; 0 ** 0 is refused. A number too large to write out stays `2^4950`."""
    number = as_fraction(base)
    if number:
        bits = max(number.numerator.bit_length(), number.denominator.bit_length())
        return constant(number**exponent) if bits * abs(exponent) <= MAX_BITS else atom(f"({number})^{exponent}")
    if abs(exponent) > (MAX_EXPONENT if len(base) < 2 else MAX_SUM_EXPONENT) or (not base and exponent <= 0):
        raise OutOfReach("exponent")
    factor = base if exponent >= 0 else _inverse(base)
    result = constant(1)
    for _ in range(abs(exponent)):
        result = multiply(result, factor)
    return result


def root(poly: Poly) -> Poly:
    """The principal square root."""
    value = as_fraction(poly)
    if value is None or abs(value.numerator * value.denominator) > _MAX_RADICAND:
        exact = _exact_root(value) if value is not None and value >= 0 else None
        return constant(exact) if exact is not None else atom(f"sqrt({text(poly)})")
    if not value:
        return {}
    outside, inside = square_free(abs(value.numerator * value.denominator))
    return {(inside, value < 0, ()): Fraction(outside, value.denominator)}


def square_free(n: int) -> tuple[int, int]:
    """(a, b) with n = a * a * b and b square-free, for 1 <= n <= 10**8."""
    outside, inside, divisor = 1, 1, 2
    while divisor * divisor * divisor <= n:
        while n % (divisor * divisor) == 0:
            n //= divisor * divisor
            outside *= divisor
        if n % divisor == 0:
            n //= divisor
            inside *= divisor
        divisor += 1
    # what is left has at most two prime factors, so it is a square or square-free
    rest = math.isqrt(n)
    return (outside * rest, inside) if rest * rest == n else (outside, inside * n)


def text(poly: Poly) -> str:
    """The canonical text: equal polynomials have equal texts, different ones different."""
    if not poly:
        return "0"
    parts = []
    for monomial in sorted(poly, key=lambda m: (m[2], m[0], m[1])):
        coefficient, name = poly[monomial], _monomial_text(monomial)
        if not name:
            part = str(coefficient)
        elif abs(coefficient) == 1:
            part = name if coefficient > 0 else f"-{name}"
        else:
            part = f"{coefficient}*{name}"
        parts.append(part if part.startswith("-") or not parts else f"+{part}")
    return "".join(parts)


def leading(poly: Poly) -> Fraction:
    """The coefficient of the first monomial in canonical order (that of a polynomial that is not zero)."""
    return poly[min(poly, key=lambda m: (not m[2], m[2], m[0], m[1]))]


def _monomial_text(monomial: Monomial) -> str:
    radicand, imaginary, powers = monomial
    names = [f"sqrt({radicand})"] if radicand != 1 else []
    names += ["i"] if imaginary else []
    names += [name if exponent == 1 else f"{name}^{exponent}" for name, exponent in powers]
    return "*".join(names)


def _times(a: Monomial, b: Monomial) -> tuple[int, Monomial]:
    """The product of two monomials, with the integer that falls out of the radicals and of i * i."""
    common = math.gcd(a[0], b[0])
    factor = -common if a[1] and b[1] else common
    radicand = (a[0] // common) * (b[0] // common)
    if radicand > _MAX_RADICAND**2:
        raise OutOfReach("radicand")
    if not a[2] or not b[2]:
        return factor, (radicand, a[1] != b[1], a[2] or b[2])
    powers = dict(a[2])
    for name, exponent in b[2]:
        powers[name] = powers.get(name, 0) + exponent
        if abs(powers[name]) > MAX_EXPONENT * 4:
            raise OutOfReach("exponent")
    return factor, (radicand, a[1] != b[1], tuple(sorted((n, e) for n, e in powers.items() if e)))


def _inverse(poly: Poly, depth: int = 0) -> Poly:
    if not poly:
        raise OutOfReach("division by zero")
    if len(poly) == 1:
        ((radicand, imaginary, powers), coefficient) = next(iter(poly.items()))
        inverse = 1 / (coefficient * radicand * (-1 if imaginary else 1))
        return _bounded({(radicand, imaginary, tuple((n, -e) for n, e in powers)): inverse})
    if depth < 3 and not any(powers for _, _, powers in poly):
        # multiply by the conjugate in one radical or in i: 1/(a + b) = (a - b)/(a² - b²), as often as needed
        radicand, imaginary, _ = max(poly)
        other = {m: (-c if m[:2] == (radicand, imaginary) else c) for m, c in poly.items()}
        product = multiply(poly, other)
        if product and len(product) < len(poly):
            return multiply(other, _inverse(product, depth + 1))
    factor = leading(poly)
    return scale(_inverse(atom(f"({text(scale(poly, 1 / factor))})")), 1 / factor)


def is_plain(poly: Poly) -> bool:
    """Is it a polynomial in plain letters? Then its canonical text says all: another text is another value."""
    names = {name for _, _, powers in poly for name, _ in powers}
    return not names & _KNOWN and not any(sign in name for name in names for sign in "(^!|")


def size(poly: Poly) -> int:
    """How many terms a product with `poly` has to visit."""
    return len(poly)


def raised(base: Poly, exponent: Poly) -> Poly:
    """base to the power of any exponent."""
    value = as_fraction(exponent)
    if value is not None and value.denominator == 1:
        return power(base, int(value))
    if value is not None and value.denominator == 2:
        return power(root(base), value.numerator)
    return atom(f"({text(base)})^({text(exponent)})")


def nth_root(degree: Poly, inner: Poly) -> Poly:
    """The root of any degree."""
    return atom(f"root({text(degree)},{text(inner)})")


def absolute(inner: Poly) -> Poly:
    """|inner|."""
    value = as_fraction(inner)
    return constant(abs(value)) if value is not None else atom(f"|{text(inner)}|")


def function(name: str, base: Poly | None, inner: Poly) -> Poly:
    """A function of `inner`, such as sin; `base` is that of a logarithm."""
    below = "" if base is None else f"_{text(base)}"
    return atom(f"{name}{below}({text(inner)})")


def factorial(base: Poly) -> Poly:
    """base!"""
    value = as_fraction(base)
    if value is None:
        return atom(f"({text(base)})!")
    if value.denominator != 1 or value < 0:
        raise OutOfReach("factorial")
    return constant(math.factorial(int(value))) if value <= _MAX_FACTORIAL else atom(f"{value}!")


def choose(top: Poly, bottom: Poly) -> Poly:
    """The binomial coefficient."""
    n, k = as_fraction(top), as_fraction(bottom)
    whole = n is not None and k is not None and n.denominator == k.denominator == 1
    if whole and 0 <= k <= n <= _MAX_CHOOSE:  # type: ignore[operator]
        return constant(math.comb(int(n), int(k)))  # type: ignore[arg-type]
    return atom(f"binom({text(top)},{text(bottom)})")


def _exact_root(value: Fraction) -> Fraction | None:
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(top, bottom) if top * top == value.numerator and bottom * bottom == value.denominator else None


def _bounded(poly: Poly) -> Poly:
    if len(poly) > MAX_TERMS:
        raise OutOfReach("too many terms")
    for coefficient in poly.values():
        if coefficient.numerator.bit_length() > MAX_BITS or coefficient.denominator.bit_length() > MAX_BITS:
            raise OutOfReach("too large a number")
    return poly
