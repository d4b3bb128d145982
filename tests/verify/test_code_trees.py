"""Trees of values: what is equal, and that no tree makes the comparison raise, hash or hang."""

from __future__ import annotations

import math
import time
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.verify.sandbox import wire
from mull.verify.trees import fits, same, shown


def equal(expected: Any, found: Any, tolerance: float | None = None) -> bool:
    return same(wire.to_tree(expected), wire.to_tree(found), tolerance)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (1, True), (1, 1.0), (2**60, 2**60), (-(2**60), -(2**60)), (0.3, 0.1 + 0.2), (math.nan, math.nan),
        (0.5, Fraction(1, 2)),
        (math.inf, math.inf), (1.5, Decimal("1.50")), ("a", "a"), (None, None), (b"a", b"a"), (2 + 1j, 2 + 1j),
        ([1, [2]], (1, (2,))), ([1, 2], iter([1, 2])), ([1, 2], (n for n in (1, 2))), ((1, 2), [1, 2]), ([0], [False]),
        (["a"], {"a": 1}.keys()), ({"1": [2]}, {1: (2,)}), ({"true": 1}, {True: 1}), ({"a": 1, "b": 2},
        {"b": 2, "a": 1}),
        ({1, 2}, {2.0, 1}), ({(1, "a")}, frozenset({(1.0, "a")})), (deque([1]), deque([1])), (range(3), range(3)),
        ({"k": {1, 2}}, {"k": {1, 2}}), (Fraction(1, 3), Fraction(1, 3)), (Decimal("Infinity"), Decimal("Infinity")),
    ],
)  # fmt: skip
def test_equal_values(expected: Any, found: Any) -> None:
    assert equal(expected, found)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (1, 2), (1, "1"), (0, None), ("", None), (0, []), (1, 1 + 1e-12), (10**18 + 1, 1e18), (0.3, 0.3001),
        (0.0, 1e-12),
        (1.0, math.nan), (1.0, math.inf), (math.nan, 1.0), (math.inf, -math.inf), (math.inf, 1e308), ([1], [1, 1]),
        ([1, 2], {1, 2}), ([1, 2], deque([1, 2])), ([0, 1], range(2)), ({"1": 2}, {1: 2, "1": 2}), ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 2}), ({"1.0": 1}, {1: 1}), ({"a": 1}, [["a", 1]]), ({1}, {1, 2}), ({(1, "a")}, {(1, "b")}),
        (b"a", "a"), ("12", 12), ({"11"}, {11}), ([["a", "b"]], [["a,b"]]), ({("a", "b")}, {("a,1:b",)}),
    ],
)  # fmt: skip
def test_different_values(expected: Any, found: Any) -> None:
    assert not equal(expected, found)


def test_a_tolerance_counts_for_all_numbers_and_never_for_nan() -> None:
    assert (
        equal(1.0, 1.009, 0.01) and equal(1000, 1009, 0.01) and equal(0.0, 0.009, 0.01) and equal([1.0], (1.01,), 0.02)
    )
    assert not equal(1.0, 1.02, 0.01) and not equal(1.0, math.nan, 0.5) and not equal(1.0, math.inf, 0.5)
    assert not equal(math.inf, 1.0, 0.5) and not equal("1.0", "1.001", 0.5) and not equal(1, 10**400, 0.5)


HOSTILE = [
    [], {}, {"l": 5}, {"d": 5}, {"d": [[1]]}, {"d": [1]}, {"s": {"l": []}}, {"i": 5}, {"i": "zz"}, {"f": []},
    {"f": "x"},
    {"x": []}, {"x": "Fraction"}, {"x": "Fraction", "v": "1/0"}, {"x": "Fraction", "v": "1/00"}, {"x": {}, "v": "1"},
    {"x": "Decimal", "v": "1E+999999999"}, {"x": "Decimal", "v": 1}, {"c": 1}, {"c": [1]}, {"r": None}, {"b": 7},
    {"?": 1},
    {"l": [{"l": [{}]}]}, {"s": [{"s": [[]]}]}, {"s": [{"b": 7}]}, {"l": None}, {"t": "ab"}, {"n": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("tree", HOSTILE)
def test_what_is_no_tree_equals_nothing_and_raises_nothing(tree: Any) -> None:
    for expected in (1, 1.5, "a", None, [1], {"a": 1}, {1}, b"a", Fraction(1, 3), range(3), 1j):
        assert not same(wire.to_tree(expected), tree)
    assert isinstance(shown(tree), str) and isinstance(fits(tree), bool)


def test_bounds_hold() -> None:
    started = time.process_time()
    deep: Any = 1
    for _ in range(400):
        deep = {"l": [deep]}
    wide = {"l": [0] * 500_000}
    assert not same([1], deep) and not same(deep, deep) and not same(wide, wide)
    assert not fits(deep) and fits({"l": [{"l": [1]}]}) and not fits([0] * 900_000)
    collide = {"s": [n * (2**61 - 1) for n in range(20_000)]}  # to Python's hash all of them are 0
    assert same(collide, collide) and not same({"s": [1]}, collide)
    assert len(shown(wide)) <= 60 and len(shown(deep)) <= 60
    assert time.process_time() - started < 10


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.sets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=10,
)


@given(values)
def test_every_value_equals_itself(value: Any) -> None:
    assert equal(value, value)
    assert fits(wire.to_tree(value)) and shown(wire.to_tree(value))


@given(values, values)
def test_nothing_is_equal_that_python_holds_apart(one: Any, other: Any) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value

    def close(a: Any, b: Any) -> bool:
        if isinstance(a, float) and isinstance(b, float):
            return a == b or math.isclose(a, b, rel_tol=1.1e-9)
        if isinstance(a, list) and isinstance(b, list):
            return len(a) == len(b) and all(map(close, a, b))
        if isinstance(a, dict) and isinstance(b, dict):
            return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
        return bool(a == b)

    if equal(one, other):
        assert close(plain(one), plain(other))


trees = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ifclbtszqrndxv?"), inner, max_size=2),
    max_leaves=12,
)


@given(trees, trees)
def test_no_tree_raises(one: Any, other: Any) -> None:
    assert same(one, other) in (True, False)
    shown(one), fits(one)
