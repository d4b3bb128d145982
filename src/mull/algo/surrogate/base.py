"""What a surrogate gives back, and the ratio that all of them are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mull.algo.config import AlgorithmConfig
from mull.algo.kl import MAX_LOG_RATIO


@dataclass(frozen=True)
class Surrogate:
    """`loss_N` with gradient; `clipped_N` is True where the bound was at work. Both `[N]`.

    Example: `clip(new_N, old_N, advantage_N, counts=(3, 5), config=AlgorithmConfig(name="dapo"))`
    """

    loss_N: Tensor
    clipped_N: Tensor


SurrogateFunction = Callable[[Tensor, Tensor, Tensor, Sequence[int], AlgorithmConfig], Surrogate]
"""(logprobs_N, old_logprobs_N, advantage_N, tokens of each output, config) → Surrogate"""


def ratio(log_ratio: Tensor) -> Tensor:
    """`exp`, bounded so that neither it nor its gradient overflows."""
    return torch.exp(torch.clamp(log_ratio, -MAX_LOG_RATIO, MAX_LOG_RATIO))
