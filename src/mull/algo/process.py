"""Advantages from rewards for steps: process supervision of GRPO.

    r̃ = (r − mean(R)) / std(R),   R all step rewards of all outputs of the group
    A_t = Σ r̃_j over the steps j that end at or after token t

DeepSeekMath (2402.03300 §4.1.3). A token after the last step's end gets 0: no step says anything of it. Left out on
purpose: where the rewards come from (a process reward model).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mull.algo.baselines import is_constant


@dataclass(frozen=True)
class Steps:
    """Where the steps of one output end, as token positions that count towards the step, and what each earned.

    Raises:
        ValueError: not one reward an end, ends that do not rise, or one outside the output.

    Example: `Steps(length=9, ends=(3, 8), rewards=(1.0, 0.0))`
    """

    length: int
    ends: tuple[int, ...]
    rewards: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.ends) != len(self.rewards):
            raise ValueError(f"{len(self.ends)} steps but {len(self.rewards)} rewards")
        if list(self.ends) != sorted(set(self.ends)) or any(not 0 <= end < self.length for end in self.ends):
            raise ValueError(f"step ends must rise and lie within the {self.length} tokens, not {self.ends}")


def process_advantages(group: Sequence[Steps], eps: float = 1e-4) -> list[tuple[float, ...]]:
    """One advantage a token for every output of a group; all 0 where no two steps earned differently."""
    rewards = [reward for output in group for reward in output.rewards]
    if is_constant(rewards):
        return [(0.0,) * output.length for output in group]
    mean = math.fsum(rewards) / len(rewards)
    deviation = math.sqrt(math.fsum((reward - mean) ** 2 for reward in rewards) / len(rewards))
    return [_suffix_sums(output, mean, deviation + eps) for output in group]


def _suffix_sums(output: Steps, mean: float, scale: float) -> tuple[float, ...]:
    result = [0.0] * output.length
    total, following = 0.0, output.length
    for end, reward in zip(reversed(output.ends), reversed(output.rewards), strict=True):
        result[end + 1 : following] = [total] * (following - end - 1)
        total += (reward - mean) / scale
        following = end + 1
    result[:following] = [total] * following
    return tuple(result)
