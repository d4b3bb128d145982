"""PPO's clipped surrogate, a token at a time: `ℓ = −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A)`, ρ = exp(new − old).

The pessimistic side is taken, so that clipping only stops what went far enough. With `dual_clip` c, a bad token
(A < 0) whose probability rose c times or more loses no more than −c·A: one absurd ratio must not rule a batch.

PPO: 1707.06347 eq. 7; clip-higher: DAPO 2503.14476 eq. 8; dual clip: 1912.09729 eq. 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mull.algo.config import AlgorithmConfig
from mull.algo.surrogate.base import Surrogate, ratio


def clip(
    logprobs_N: Tensor, old_logprobs_N: Tensor, advantage_N: Tensor, counts: Sequence[int], config: AlgorithmConfig
) -> Surrogate:
    """Token by token; `counts` plays no part."""
    return clipped_surrogate(ratio(logprobs_N - old_logprobs_N), advantage_N, config)


def clipped_surrogate(ratio_N: Tensor, advantage_N: Tensor, config: AlgorithmConfig) -> Surrogate:
    """The clipped surrogate of any ratio: a token's, or its output's (`gspo`)."""
    low, high = 1 - config.clip_low, 1 + config.clip_high
    gain_N = torch.minimum(ratio_N * advantage_N, torch.clamp(ratio_N, low, high) * advantage_N)
    good_N, bad_N = advantage_N > 0, advantage_N < 0
    clipped_N = (good_N & (ratio_N > high)) | (bad_N & (ratio_N < low))
    if config.dual_clip is not None:
        gain_N = torch.where(bad_N, torch.maximum(gain_N, config.dual_clip * advantage_N), gain_N)
        clipped_N = clipped_N | (bad_N & (ratio_N > config.dual_clip))
    return Surrogate(-gain_N, clipped_N.detach())
