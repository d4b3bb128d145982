"""Process advantages against DeepSeekMath's formula, token by token."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.process import Steps, process_advantages


@st.composite
def outputs(draw: st.DrawFn) -> Steps:
    length = draw(st.integers(1, 12))
    ends = sorted(draw(st.sets(st.integers(0, length - 1), max_size=5)))
    rewards = draw(st.lists(st.floats(0, 1), min_size=len(ends), max_size=len(ends)))
    return Steps(length, tuple(ends), tuple(rewards))


@given(st.lists(outputs(), min_size=1, max_size=6))
def test_the_formula(group: list[Steps]) -> None:
    found = process_advantages(group)
    rewards = [r for output in group for r in output.rewards]
    mean, deviation = (statistics.fmean(rewards), statistics.pstdev(rewards)) if rewards else (0.0, 0.0)
    assert [len(row) for row in found] == [output.length for output in group]
    for output, row in zip(group, found, strict=True):
        for t, advantage in enumerate(row):
            wanted = sum((r - mean) / (deviation + 1e-4) for end, r in zip(output.ends, output.rewards, strict=True)
                         if end >= t)  # fmt: skip
            if deviation > 1e-5:
                assert advantage == pytest.approx(wanted, abs=1e-6)


def test_by_hand() -> None:
    group = [Steps(5, (1, 3), (1.0, 0.0)), Steps(2, (1,), (0.5,))]
    first, second = process_advantages(group, eps=0.0)
    z = 0.5 / (1 / 6) ** 0.5  # mean 1/2, variance (1/4 + 1/4 + 0) / 3
    assert first == pytest.approx((0.0, 0.0, -z, -z, 0.0)) and second == pytest.approx((0.0, 0.0))


def test_steps_that_all_earned_the_same_push_nothing() -> None:
    assert process_advantages([Steps(3, (0, 2), (1.0, 1.0)), Steps(1, (), ())]) == [(0.0,) * 3, (0.0,)]


@pytest.mark.parametrize(
    ("ends", "rewards", "message"),
    [((1,), (), "1 steps but 0 rewards"), ((2, 1), (0, 0), "must rise"), ((1, 1), (0, 0), "must rise"),
     ((3,), (0,), "within the 3 tokens"), ((-1,), (0,), "within the 3 tokens")],
)  # fmt: skip
def test_bad_steps_are_refused(ends: tuple[int, ...], rewards: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Steps(3, ends, rewards)
