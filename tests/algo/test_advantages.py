"""Advantages against numpy, under permutation, with exclusions, and at the edges where frameworks have blown up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.advantages import advantages
from mull.algo.baselines import BASELINES, STD_EPSILON, group_std
from mull.algo.config import AlgorithmConfig
from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Verdict, VerdictKind

PROBLEM = Problem("p/0", (Message("user", "?"),), "number", {})
GRPO, DR_GRPO, RLOO = (AlgorithmConfig(name=name) for name in ("grpo", "dr_grpo", "rloo"))
REINFORCE_PP, WITH_BASELINE = AlgorithmConfig(name="reinforce_pp"), AlgorithmConfig(name="reinforce_pp_baseline")
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


@given(REWARDS)
def test_rloo_compares_with_the_others(rewards: list[float]) -> None:
    [row] = advantages([group_of(rewards)], RLOO)
    expected = [r - np.mean(rewards[:i] + rewards[i + 1 :]) for i, r in enumerate(rewards)]
    np.testing.assert_allclose(row, expected if len(set(rewards)) > 1 else [0.0] * len(rewards), atol=1e-9)


@given(st.lists(REWARDS, min_size=1, max_size=5))
def test_reinforce_pp_whitens_the_batch_and_its_baseline_form_centres_groups_first(batch: list[list[float]]) -> None:
    groups, every = [group_of(rewards) for rewards in batch], np.concatenate(batch)
    found = np.concatenate(advantages(groups, REINFORCE_PP))
    spread = every.std() > 1e-9
    np.testing.assert_allclose(found, (every - every.mean()) / (every.std() + 1e-4) if spread else 0 * every, atol=1e-9)
    live = [r for r in batch if len(set(r)) > 1]
    scale = np.concatenate([np.array(r) - np.mean(r) for r in live]).std() + 1e-4 if live else 1.0
    for row, rewards in zip(advantages(groups, WITH_BASELINE), batch, strict=True):
        values = np.array(rewards)
        expected = (values - values.mean()) / scale if len(set(rewards)) > 1 else 0 * values
        np.testing.assert_allclose(row, expected, atol=1e-9)


@pytest.mark.parametrize("kind", BASELINES)
@given(REWARDS, REWARDS, st.randoms(use_true_random=False))
def test_permuting_samples_permutes_advantages(kind: str, rewards: list[float], other: list[float], rng) -> None:
    config = AlgorithmConfig(advantage=kind)  # type: ignore[arg-type]
    order = list(range(len(rewards)))
    rng.shuffle(order)
    straight = advantages([group_of(rewards), group_of(other)], config)
    mixed = advantages([group_of(other), group_of([rewards[i] for i in order])], config)
    assert mixed[0] == pytest.approx(straight[1], abs=1e-9)
    assert mixed[1] == pytest.approx([straight[0][i] for i in order], abs=1e-9)


@pytest.mark.parametrize("kind", BASELINES)
def test_penalties_are_taken_off_but_never_wake_a_constant_group(kind: str) -> None:
    """A KL in the reward differs within a group whose answers are all right; over its deviation it would be ±1."""
    config = AlgorithmConfig(advantage=kind)  # type: ignore[arg-type]
    groups = [group_of([1.0, 1.0, 1.0]), group_of([0.0, 1.0, 1.0], {2}), group_of([0.0, 1.0])]
    penalties = [[0.001, 0.002, 0.003], [0.5, 0.25, 9.0], [0.0, 0.0]]
    found = advantages(groups, config, penalties)
    if kind != "batch":
        assert found[0] == [0.0, 0.0, 0.0]
    same = [group_of([1.0, 1.0]), group_of([1.0, 1.0])]  # a batch that is all right: not even across groups
    assert advantages(same, config, [[0.1, 0.2], [0.3, 0.4]]) == [[0.0, 0.0], [0.0, 0.0]]
    assert (
        found[1:]
        == [
            pytest.approx(row)
            for row in advantages([groups[0], group_of([-0.5, 0.75, 1.0], {2}), groups[2]], config)[1:]
        ]
        or kind == "batch"
    )
    assert found[1][1] - found[1][0] > found[2][1] - found[2][0]  # 1.25 apart against 1, whatever the scale


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
    for config in (GRPO, DR_GRPO, RLOO, REINFORCE_PP, WITH_BASELINE):
        assert advantages([group_of(rewards)], config) == [[0.0] * len(rewards)]


def test_one_usable_sample_is_no_comparison() -> None:
    assert advantages([group_of([0.0, 1.0, 1.0], {1, 2})], GRPO) == [[0.0, 0.0, 0.0]]


def test_large_rewards_keep_their_digits() -> None:
    """The one-pass deviation sqrt(E r² − (E r)²) gives 0 or nan here."""
    assert group_std([[1e8, 1e8 + 200.0]]) == [pytest.approx([-1.0, 1.0], rel=1e-5)]


def test_a_reward_that_is_no_number_names_its_problem() -> None:
    with pytest.raises(ValueError, match="p/0"):
        advantages([group_of([0.0, float("nan")])], GRPO)
    assert advantages([group_of([0.0, 1.0, float("nan")], {2})], DR_GRPO) == [[-0.5, 0.5, 0.0]]
