"""The loss kernel: `loss = Σ_t w_t · ℓ_t`, with w from `aggregate` and ℓ one of the per-token losses below.

    policy         ℓ = −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A) + β · k3,   ρ = exp(new − old)
    cross entropy  ℓ = −new

The ratio is per token, as in PPO. With one update on fresh samples old is the detached new logprob: ρ is exactly 1
and the gradient is A·∇log π. Left out on purpose: any mean. Who divides here brings back the scale bug.

PPO: 1707.06347 eq. 7; GRPO: 2402.03300 eq. 3; clip-higher: DAPO 2503.14476.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mull.algo.config import AlgorithmConfig
from mull.algo.kl import MAX_LOG_RATIO, k3
from mull.algo.packing import Batch


@dataclass(frozen=True)
class TokenLoss:
    """Per-token losses with gradient, and detached per-token numbers for the log (each `[N]`).

    Example: `TokenLoss(-logprobs_N, {"nll": -logprobs_N.detach()})`
    """

    loss_N: Tensor
    stats: Mapping[str, Tensor] = field(default_factory=dict)


LossFunction = Callable[[Tensor, Batch, AlgorithmConfig, bool], TokenLoss]
"""(logprobs_N, batch, config, on_policy) → TokenLoss"""


def policy_loss(logprobs_N: Tensor, batch: Batch, config: AlgorithmConfig, on_policy: bool) -> TokenLoss:
    """The clipped policy loss with its KL term.

    `on_policy` says that these very weights sampled the batch. The reported ratio is against the sampler's logprobs
    either way: away from 1 on policy, it measures how far engine and learner disagree.
    """
    sampler_N = batch.old_logprobs_N
    old_N = logprobs_N.detach() if on_policy else sampler_N
    ratio_N = torch.exp(torch.clamp(logprobs_N - old_N, -MAX_LOG_RATIO, MAX_LOG_RATIO))
    low, high = 1 - config.clip_low, 1 + config.clip_high
    loss_N = -torch.minimum(ratio_N * batch.advantage_N, torch.clamp(ratio_N, low, high) * batch.advantage_N)
    with torch.no_grad():
        gain_N = batch.advantage_N > 0
        clipped_N = torch.where(gain_N, ratio_N > high, (ratio_N < low) & (batch.advantage_N < 0))
        stats = {
            "clip_fraction": clipped_N.to(loss_N.dtype),
            "ratio": torch.exp(torch.clamp(logprobs_N - sampler_N, -MAX_LOG_RATIO, MAX_LOG_RATIO)),
        }
    if config.kl_coefficient and batch.ref_logprobs_N is not None:
        kl_N = k3(logprobs_N, batch.ref_logprobs_N)
        loss_N = loss_N + config.kl_coefficient * kl_N
        stats["kl"] = kl_N.detach()
    return TokenLoss(loss_N, stats)


def cross_entropy(logprobs_N: Tensor, batch: Batch, config: AlgorithmConfig, on_policy: bool) -> TokenLoss:
    """Negative log-likelihood of every token; its weight is the example's."""
    return TokenLoss(-logprobs_N)


def weighted_sum(loss_N: Tensor, weight_N: Tensor) -> Tensor:
    """`Σ_t w_t ℓ_t`, a scalar. Summed over the micro-batches of an optimizer batch it is the loss."""
    return torch.dot(loss_N, weight_N.to(loss_N.dtype))
