"""What answers mean: equality, canonical forms, and exact arithmetic against Python's own."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.verify import poly
from mull.verify.compare import same
from mull.verify.values import Contradiction, Quantity, Value, Words, read

fractions = st.fractions(max_denominator=50).filter(lambda f: abs(f) < 10**6)


def number(text: str) -> Fraction | None:
    value = read(text)
    return value.number if isinstance(value, Quantity) else None


def equal(gold: str, answer: str) -> bool:
    return same(read(gold), read(answer))


@given(fractions)
def test_every_way_to_write_a_number_is_one_number(value: Fraction) -> None:
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    ways = [
        f"{value}",
        f"{sign}\\frac{{{top}}}{{{bottom}}}",
        f"${sign}\\dfrac{{{top}}}{{{bottom}}}$",
        f"{sign}{top * 3}/{bottom * 3}",
    ]
    ways += [f"x = {value}", f"\\left( {value} \\right)", f"{value}\\text{{ cm}}", f"**{value}**"]
    if bottom == 1:
        ways += [
            f"{value.numerator:,}",
            f"{value.numerator}.00",
            f"{value.numerator} dollars",
            f"${value.numerator}".replace("$-", "-$"),
        ]
    if top > bottom > 1:
        ways.append(f"{sign}{top // bottom}\\frac{{{top % bottom}}}{{{bottom}}}")
    for way in ways:
        assert number(way) == value, way
        assert read(way).canonical == str(value)


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_decimals_are_exact(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    assert number(f"{digits / 10**places:.{places}f}") == value


@given(fractions, fractions)
def test_different_numbers_are_different(a: Fraction, b: Fraction) -> None:
    assert equal(str(a), str(b)) is (a == b)


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 200)), min_size=1, max_size=4), fractions)
def test_radical_arithmetic_agrees_with_floats(terms: list[tuple[int, int]], extra: Fraction) -> None:
    total, expected = poly.constant(extra), float(extra)
    for factor, radicand in terms:
        total = poly.add(total, poly.scale(poly.root(poly.constant(radicand)), factor))
        expected += factor * math.sqrt(radicand)
    measured = sum(float(c) * math.sqrt(m[0]) for m, c in total.items())
    assert measured == pytest.approx(expected, abs=1e-9)
    if total:
        inverse = poly.divide(poly.constant(1), total)
        if not any(powers for _, _, powers in inverse):
            assert poly.multiply(total, inverse) == poly.constant(1)


@given(st.integers(1, 10**6))
def test_square_free(n: int) -> None:
    outside, inside = poly.square_free(n)
    assert outside * outside * inside == n
    assert all(inside % (d * d) for d in range(2, math.isqrt(inside) + 1))


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("\\frac{\\sqrt{2}}{2}", "1/\\sqrt 2"),
        ("3 \\pm 2\\sqrt{2}", "3-2\\sqrt{2}, 3+2\\sqrt{2}"),
        ("(x+1)^2", "x^2+2x+1"),
        ("y = 2x+3", "2x - y + 3 = 0"),
        ("y=2x+3", "2x+3"),
        ("1", "k=1"),
        ("[0,1)", "\\left[0, 1\\right)"),
        ("\\text{(B)}", "B"),
        ("\\text{Evelyn}", "evelyn"),
        ("90^\\circ", "90 degrees"),
        ("28\\%", "28"),
        ("0.28", "28\\%"),
        ("\\{1,2\\}", "2, 1"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{bmatrix}1\\\\2\\end{bmatrix}"),
        ("(0,9) \\cup (9,36)", "(9,36)\\cup(0,9)"),
        ("2^{4950}", "2^{4950}"),
        ("\\frac{1}{1+\\sqrt{2}}", "\\sqrt2-1"),
        ("(1+i)(1-i)", "2"),
        ("x \\in [-2,7]", "[-2,7]"),
        ("2, 3, \\text{ and } 4", "4,3,2"),
        ("10,\\!080", "10080"),
        ("5 million", "5,000,000"),
        ("52_8", "52"),
        ("1 : 2", "1:2"),
        ("2 + 3 = 5", "5"),
        ("−7", "-7"),
        ("１８", "18"),
        ("x²", "x^{2}"),
        ("\\mathbf{2340}", "2340"),
        ("5!", "120"),
    ],
)
def test_the_same(gold: str, answer: str) -> None:
    assert equal(gold, answer), (read(gold), read(answer))


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("42", "41=42"),
        ("42", "x=41=42"),
        ("42", "42=43"),
        ("42", "41,42"),
        ("42", "41 or 42"),
        ("42", "[0,100]"),
        ("2", "2.0000001"),
        ("28", "2800"),
        ("10\\text{ m}", "10\\text{ cm}"),
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2]"),
        ("\\frac{1}{2004!}", "\\frac{1}{2006!}"),
        ("1/2^{99}", "1/2^{98}"),
        ("2\\pi", "6.28"),
        ("1,234", "1.234"),
        ("\\infty", "1/0"),
        ("0", "0/0"),
        ("0", "42 - x"),
        ("4", "4\\sqrt2"),
        ("3x-y+13=0", "3x+4y+14=0"),
        ("1,2,3", "1,2"),
        ("42", "42 or more"),
        ("42", "42 42"),
        ("3", "3x"),
        ("1", "x^0=2"),
        ("\\text{odd}", "even"),
        ("5 million", "5"),
        ("2", "2 thousand"),
        ("101_2", "101_3"),
    ],
)
def test_not_the_same(gold: str, answer: str) -> None:
    assert not equal(gold, answer), (read(gold), read(answer))


def test_a_chain_of_different_numbers_is_a_contradiction() -> None:
    assert isinstance(read("41=42"), Contradiction)
    assert isinstance(read("\\text{Evelyn}"), Words)


@given(st.text("0123456789.,/%$-+=()[]{}\\ xyi^_!|abfrcsqt", max_size=40))
def test_what_is_read_equals_itself_unless_it_contradicts_itself(text: str) -> None:
    value: Value = read(text)
    assert same(value, value) is not isinstance(value, Contradiction)
