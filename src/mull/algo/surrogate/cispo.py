"""CISPO: the ratio is a clipped weight without gradient, so that no token is ever dropped.

`ℓ = −sg(clip(ρ, 1 − ε_low, 1 + ε_high)) · A · new`. Where PPO's clip silences a token that moved far (often the rare
ones at which a chain turns round), here it goes on learning with a bounded weight. MiniMax-M1 (2506.13585) eq. 4–5
leaves the lower side open: clip_low = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mull.algo.config import AlgorithmConfig
from mull.algo.surrogate.base import Surrogate, ratio


def cispo(
    logprobs_N: Tensor, old_logprobs_N: Tensor, advantage_N: Tensor, counts: Sequence[int], config: AlgorithmConfig
) -> Surrogate:
    """Token by token; `counts` plays no part."""
    ratio_N = ratio((logprobs_N - old_logprobs_N).detach())
    weight_N = torch.clamp(ratio_N, 1 - config.clip_low, 1 + config.clip_high)
    return Surrogate(-weight_N * advantage_N * logprobs_N, weight_N != ratio_N)
