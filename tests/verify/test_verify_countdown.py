"""Countdown verdicts: exact arithmetic, the exact multiset, and canonical expressions that mean what was read."""

from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import VerdictKind
from mull.verify.countdown import Malformed, check, check_gold, evaluate, parse_infix, render_infix

CLASSIC = {"numbers": [3, 5, 8], "target": 64}
MODULAR = {"numbers": [3, 5, 8], "target": 9, "modulus": 11, "notation": "postfix"}


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Any:
    if depth == 0 or draw(st.booleans()):
        return draw(st.integers(0, 99))
    return (draw(st.sampled_from("+-*/")), draw(trees(depth - 1)), draw(trees(depth - 1)))


def value(tree: Any) -> Fraction | None:
    """An independent reference: the tree's value; None for a division by zero."""
    if isinstance(tree, int):
        return Fraction(tree)
    left, right = value(tree[1]), value(tree[2])
    if left is None or right is None or (tree[0] == "/" and right == 0):
        return None
    return {"+": left + right, "-": left - right, "*": left * right, "/": left / right if right else None}[tree[0]]


def infix(tree: Any) -> str:
    return str(tree) if isinstance(tree, int) else f"({infix(tree[1])}{tree[0]} {infix(tree[2])})"


def leaves(tree: Any) -> list[int]:
    return [tree] if isinstance(tree, int) else leaves(tree[1]) + leaves(tree[2])


@given(trees())
def test_infix_value_and_canonical_text_agree_with_the_tree(tree: Any) -> None:
    expression = parse_infix(infix(tree))
    expected = value(tree)
    if expected is None:
        with pytest.raises(Malformed, match="zero"):
            evaluate(expression.postfix, None)
        return
    assert evaluate(expression.postfix, None) == (expected, leaves(tree))
    again = parse_infix(render_infix(expression.postfix))
    assert again.postfix == expression.postfix
    assert render_infix(again.postfix) == render_infix(expression.postfix)


@given(trees(), st.integers(2, 50))
def test_modular_value_is_the_integer_value_reduced(tree: Any, modulus: int) -> None:
    expression = parse_infix(infix(tree).replace("/", "+"))
    exact, used = evaluate(expression.postfix, None)
    assert evaluate(expression.postfix, modulus) == (exact % modulus, used)


def test_every_solution_of_a_modular_problem_and_nothing_else_is_right() -> None:
    right = 0
    for x, y, z in permutations((3, 5, 8)):
        for p in "+-*":
            for q in "+-*":
                inner = {"+": x + y, "-": x - y, "*": x * y}[p]
                expected = {"+": inner + z, "-": inner - z, "*": inner * z}[q] % 11 == 9
                verdict = check(MODULAR, f"{x} {y} {p} {z} {q}")
                assert verdict.correct is expected
                assert verdict.answer == f"{x} {y} {p} {z} {q}"
                right += expected
    assert right > 0


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        ("(3+5)*8", VerdictKind.CORRECT, "(3 + 5) * 8"),
        (" ((3) + 5) × 8 = 64 ", VerdictKind.CORRECT, "(3 + 5) * 8"),
        ("$(3+5)\\times 8$", VerdictKind.CORRECT, "(3 + 5) * 8"),
        ("(3+5)*8 = 63", VerdictKind.WRONG, "(3 + 5) * 8"),
        ("3+5*8", VerdictKind.WRONG, "3 + 5 * 8"),
        ("64", VerdictKind.WRONG, "64"),
        ("8*8", VerdictKind.WRONG, "8 * 8"),
        ("(3+5)*8*1", VerdictKind.WRONG, "(3 + 5) * 8 * 1"),
        ("(3+5)*8 + 3 - 3", VerdictKind.WRONG, "(3 + 5) * 8 + 3 - 3"),
        ("-3+5+8", VerdictKind.WRONG, None),
        ("35+8", VerdictKind.WRONG, "35 + 8"),
        ("3.0+5*8", VerdictKind.WRONG, None),
        ("(3+5*8", VerdictKind.WRONG, None),
        ("3 5 8", VerdictKind.WRONG, None),
        ("3**5", VerdictKind.WRONG, None),
        ("(3+5)*8/0", VerdictKind.WRONG, None),
        ("__import__('os')", VerdictKind.WRONG, None),
        ("(３+5)*8", VerdictKind.WRONG, None),
        ("(" * 401, VerdictKind.INVALID, None),
    ],
)
def test_classic_verdicts(text: str, kind: VerdictKind, answer: str | None) -> None:
    verdict = check(CLASSIC, text)
    assert (verdict.kind, verdict.answer) == (kind, answer)


def test_division_is_allowed_only_without_a_modulus() -> None:
    assert check({"numbers": [1, 3, 9], "target": 3}, "9 / 3 * 1").correct
    assert check({"numbers": [8, 3, 8, 3], "target": 24}, "8/(3-8/3)").correct
    assert "not an operator" in check(MODULAR, "8 5 / 3 +").reason


def test_true_means_the_value_that_was_claimed_too() -> None:
    assert check({"numbers": [1, 2], "target": -1}, "1 - 2 = -1").correct
    assert check({"numbers": [3, 5], "target": 4, "modulus": 11}, "3 * 5 = 15").correct


@given(st.text(max_size=450) | st.text("0123456789+-*/() =", max_size=450))
def test_no_text_raises(text: str) -> None:
    for data in (CLASSIC, MODULAR):
        assert check(data, text).kind not in (VerdictKind.ERROR, VerdictKind.TIMEOUT)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"numbers": []}, "numbers"),
        ({"numbers": "3 5"}, "numbers"),
        ({"numbers": [1.5]}, "numbers"),
        ({"target": None}, "target"),
        ({"numbers": [-1]}, "numbers"),
        ({"target": "9"}, "target"),
        ({"modulus": 1}, "modulus"),
        ({"notation": "prefix"}, "notation"),
    ],
)
def test_bad_problem_data_is_named(change: dict[str, Any], names: str) -> None:
    with pytest.raises(UserError, match=f"row 3: '{names}'"):
        check_gold({**MODULAR, **change}, "row 3")


@pytest.mark.parametrize(
    "text",
    ["So the answer is 8*(3+5).", "We try. \\boxed{8*(3+5)}", "`8*(3+5)`", "8*(3+5).", "Answer: (3 + 5) * 8 = 64"],
)
def test_an_expression_is_found_in_plain_words(text: str) -> None:
    assert check(CLASSIC, text).kind is VerdictKind.CORRECT


def test_a_box_that_never_closes_holds_no_expression() -> None:
    assert check(CLASSIC, "8*(3+5) \\boxed{8*(3+5)").kind is VerdictKind.NO_ANSWER
