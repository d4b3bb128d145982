"""Better than what? Each function turns the rewards of a batch's groups into advantages, one list a group.

    group_std        (r − mean) / (std + ε)        GRPO (2402.03300 §4.1.2)
    group_mean       r − mean                      Dr. GRPO (2503.20783)
    leave_one_out    r − mean of the others        RLOO (2402.14740 eq. 7): n/(n−1) times `group_mean`
    group_batch_std  (r − mean) / (batch std + ε)  REINFORCE++-baseline (2501.03262), ScaleRL (2510.13786)
    batch            whitened over the batch       REINFORCE++ (2501.03262): no group is needed

Mean and std are of the group unless "batch" is said. A group that is `constant`, or has one member, gets zeros from all
but the last, and counts in no batch deviation. The deviation is of the population and two-pass: the one-pass form loses
all digits when rewards are large and close. Left out on purpose: value functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Groups = Sequence[Sequence[float]]

STD_EPSILON = 1e-4
"""Added to the deviation, so that nearly constant groups are not blown up."""
STD_FLOOR = 1e-6
"""Below this a group counts as constant."""
ROUNDING = 1e-12
"""... as it does below this share of its mean: a constant reward that is no binary fraction leaves such a remainder."""


def is_constant(rewards: Sequence[float]) -> bool:
    """Whether rewards have nothing to tell: fewer than two, or all the same up to rounding."""
    if len(rewards) < 2:
        return True
    return deviation(rewards) < max(STD_FLOOR, ROUNDING * abs(math.fsum(rewards) / len(rewards)))


def deviation(values: Sequence[float]) -> float:
    """Population standard deviation, two-pass."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def group_std(rewards_PG: Groups) -> list[list[float]]:
    """GRPO."""
    return [[c / (deviation(row) + STD_EPSILON) for c in _centred(row)] for row in rewards_PG]


def group_mean(rewards_PG: Groups) -> list[list[float]]:
    """Dr. GRPO."""
    return [_centred(row) for row in rewards_PG]


def leave_one_out(rewards_PG: Groups) -> list[list[float]]:
    """RLOO."""
    return [[c * len(row) / (len(row) - 1) for c in _centred(row)] for row in rewards_PG]


def group_batch_std(rewards_PG: Groups) -> list[list[float]]:
    """REINFORCE++-baseline: every group centred, all divided by one deviation."""
    centred = group_mean(rewards_PG)
    every = [c for row in centred for c in row]
    scale = deviation(every) + STD_EPSILON if every else 1.0
    return [[c / scale for c in row] for row in centred]


def batch(rewards_PG: Groups) -> list[list[float]]:
    """REINFORCE++: groups do not matter."""
    every = [reward for row in rewards_PG for reward in row]
    if is_constant(every):
        return [[0.0] * len(row) for row in rewards_PG]
    mean, scale = math.fsum(every) / len(every), deviation(every) + STD_EPSILON
    return [[(reward - mean) / scale for reward in row] for row in rewards_PG]


BASELINES: Mapping[str, Callable[[Groups], list[list[float]]]] = {
    "group_std": group_std,
    "group_mean": group_mean,
    "leave_one_out": leave_one_out,
    "group_batch_std": group_batch_std,
    "batch": batch,
}


def _centred(row: Sequence[float]) -> list[float]:
    mean = math.fsum(row) / len(row)
    return [reward - mean for reward in row]
