"""Better than its siblings? Rewards of a batch to advantages, by one of the `baselines`.

Whether a group has anything to tell is judged on its rewards alone: where a KL penalty is part of the reward, a group
whose answers are all right (or all wrong) must not be pushed by the penalty's noise, which its own deviation would blow
up to ±1. Left out on purpose: the formulas (`baselines`), value functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mull.algo.baselines import BASELINES, is_constant
from mull.algo.config import AlgorithmConfig
from mull.core.types import Group


def advantages(
    groups: Sequence[Group], config: AlgorithmConfig, penalties_PG: Sequence[Sequence[float]] | None = None
) -> list[list[float]]:
    """`advantages_PG`, one row a group, one number a sample.

    Excluded samples count in neither mean nor deviation and get 0. A group that is constant, or has fewer than two
    usable samples, is all zeros, except with advantage "batch", which compares across groups.

    Args:
        penalties_PG: taken off the rewards first (β·KL where that is part of the reward).

    Raises:
        ValueError: the reward of a usable sample is not finite.
    """
    usable = [[i for i, scored in enumerate(group.samples) if not scored.excluded] for group in groups]
    rewards = [[_finite(group, i) for i in row] for group, row in zip(groups, usable, strict=True)]
    across = config.advantage == "batch" and not is_constant([reward for row in rewards for reward in row])
    telling = [p for p, row in enumerate(rewards) if row and (across or not is_constant(row))]
    less = penalties_PG or [[0.0] * len(group.samples) for group in groups]
    net = [[reward - less[p][i] for i, reward in zip(usable[p], rewards[p], strict=True)] for p in telling]
    result = [[0.0] * len(group.samples) for group in groups]
    for p, values in zip(telling, BASELINES[config.advantage](net), strict=True):
        for i, value in zip(usable[p], values, strict=True):
            result[p][i] = value
    return result


def _finite(group: Group, sample: int) -> float:
    reward = group.samples[sample].reward
    if reward is None or not math.isfinite(reward):
        raise ValueError(f"problem {group.problem.id}: reward {reward} is not a finite number; exclude the sample")
    return reward
