"""Advantages against numpy, under permutation, with exclusions, and at the edges where frameworks have blown up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.advantages import STD_EPSILON, advantages, normalise
from mull.algo.config import AlgorithmConfig
from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Verdict, VerdictKind

PROBLEM = Problem("p/0", (Message("user", "?"),), "number", {})
GRPO, DR_GRPO = AlgorithmConfig(name="grpo"), AlgorithmConfig(name="dr_grpo")
REWARDS = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.1, -2.0]), min_size=2, max_size=16)


def group_of(rewards: list[float], excluded: set[int] = frozenset()) -> Group:  # type: ignore[assignment]
    completion = Completion((1,), (2,), (-0.5,), FinishReason.STOP)
    verdict = Verdict(VerdictKind.WRONG)
    return Group(
        PROBLEM,
        tuple(
            Scored(completion, verdict, r, excluded="timeout" if i in excluded else "") for i, r in enumerate(rewards)
        ),
    )


@given(REWARDS)
def test_grpo_is_the_z_score_of_the_group(rewards: list[float]) -> None:
    [row] = advantages([group_of(rewards)], GRPO)
    values = np.array(rewards)
    expected = (values - values.mean()) / (values.std() + STD_EPSILON) if len(set(rewards)) > 1 else 0 * values
    np.testing.assert_allclose(row, expected, atol=1e-9)


@given(REWARDS)
def test_dr_grpo_only_centres(rewards: list[float]) -> None:
    [row] = advantages([group_of(rewards)], DR_GRPO)
    np.testing.assert_allclose(row, np.array(rewards) - np.mean(rewards), atol=1e-9)


@given(REWARDS, st.randoms(use_true_random=False), st.booleans())
def test_permuting_samples_permutes_advantages(rewards: list[float], rng, with_std: bool) -> None:
    order = list(range(len(rewards)))
    rng.shuffle(order)
    straight = normalise(rewards, with_std)
    assert normalise([rewards[i] for i in order], with_std) == pytest.approx([straight[i] for i in order], abs=1e-9)


@given(REWARDS, st.floats(-5, 5))
def test_an_excluded_sample_changes_nothing_and_gets_nothing(rewards: list[float], odd: float) -> None:
    [without] = advantages([group_of(rewards)], GRPO)
    [with_odd] = advantages([group_of([odd, *rewards], {0})], GRPO)
    assert with_odd == [0.0, *without]


def test_groups_do_not_see_each_other() -> None:
    groups = [group_of([0.0, 1.0]), group_of([5.0, 5.0, 6.0])]
    assert advantages(groups, GRPO) == [advantages([g], GRPO)[0] for g in groups]


@pytest.mark.parametrize("rewards", [[], [3.0], [0.1] * 3, [0.1] * 7, [1e6 + 0.1] * 3, [-1.1] * 16])
def test_constant_and_tiny_groups_push_nothing(rewards: list[float]) -> None:
    assert advantages([group_of(rewards)], GRPO) == [[0.0] * len(rewards)]
    assert advantages([group_of(rewards)], DR_GRPO) == [[0.0] * len(rewards)]


def test_one_usable_sample_is_no_comparison() -> None:
    assert advantages([group_of([0.0, 1.0, 1.0], {1, 2})], GRPO) == [[0.0, 0.0, 0.0]]


def test_large_rewards_keep_their_digits() -> None:
    """The one-pass deviation sqrt(E r² − (E r)²) gives 0 or nan here."""
    assert normalise([1e8, 1e8 + 200.0], True) == pytest.approx([-1.0, 1.0], rel=1e-5)


def test_a_reward_that_is_no_number_names_its_problem() -> None:
    with pytest.raises(ValueError, match="p/0"):
        advantages([group_of([0.0, float("nan")])], GRPO)
    assert advantages([group_of([0.0, 1.0, float("nan")], {2})], DR_GRPO) == [[-0.5, 0.5, 0.0]]
