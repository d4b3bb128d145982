"""Better than its siblings? Rewards of a group to advantages.

GRPO (2402.03300, §4.1.2): `A_i = (r_i − mean(r)) / (std(r) + ε)`; Dr. GRPO (2503.20783): `A_i = r_i − mean(r)`. The
deviation is of the population and two-pass: the one-pass form loses all digits when rewards are large and close.
Left out on purpose: baselines over more than one prompt, value functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mull.algo.config import AlgorithmConfig
from mull.core.types import Group

STD_EPSILON = 1e-4
"""Added to the deviation, so that nearly constant groups are not blown up."""
STD_FLOOR = 1e-6
"""Below this a group counts as constant."""
ROUNDING = 1e-12
"""... as it does below this share of its mean: a constant reward that is no binary fraction leaves such a remainder."""


def advantages(groups: Sequence[Group], config: AlgorithmConfig) -> list[list[float]]:
    """`advantages_PG`, one row a group, one number a sample.

    Excluded samples count in neither mean nor deviation and get 0. A group that is constant, or has fewer than two
    usable samples, is all zeros.

    Raises:
        ValueError: the reward of a usable sample is not finite.
    """
    return [_group_advantages(group, config.advantage_std) for group in groups]


def _group_advantages(group: Group, divide_by_std: bool) -> list[float]:
    usable = [i for i, scored in enumerate(group.samples) if not scored.excluded]
    rewards = [group.samples[i].reward for i in usable]
    for reward in rewards:
        if reward is None or not math.isfinite(reward):
            raise ValueError(f"problem {group.problem.id}: reward {reward} is not a finite number; exclude the sample")
    result = [0.0] * len(group.samples)
    for i, value in zip(usable, normalise(rewards, divide_by_std), strict=True):
        result[i] = value
    return result


def normalise(rewards: Sequence[float], divide_by_std: bool) -> list[float]:
    """Rewards of one prompt, centred, and scaled by their deviation if asked; zeros where they are all equal."""
    count = len(rewards)
    if count < 2:
        return [0.0] * count
    mean = math.fsum(rewards) / count
    centred = [reward - mean for reward in rewards]
    std = math.sqrt(math.fsum(c * c for c in centred) / count)
    if std < max(STD_FLOOR, ROUNDING * abs(mean)):
        return [0.0] * count
    return [c / (std + STD_EPSILON) for c in centred] if divide_by_std else centred
