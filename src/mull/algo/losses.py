"""The loss kernel: `loss = Σ_t w_t · ℓ_t`, with w from `aggregate` and ℓ one of the per-token losses below.

    policy         ℓ = surrogate(ρ, v·A) + β · KL,   ρ = exp(new − old)   (`surrogate`, `importance`, `kl`)
    cross entropy  ℓ = −new

With one update on fresh samples old is the detached new logprob: ρ is exactly 1 and the gradient is A·∇log π. Else old
is the sampler's logprob or, where an importance weight corrects for the sampler, the learner's own before the update
(the proximal policy of 2110.00641).
Left out on purpose: any mean. Who divides here brings back the scale bug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mull.algo.config import AlgorithmConfig
from mull.algo.importance import importance_weights
from mull.algo.kl import kl_loss
from mull.algo.packing import Batch
from mull.algo.surrogate import SURROGATES
from mull.algo.surrogate.base import ratio


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
    """The surrogate of the algorithm with its importance weights and its KL term.

    `on_policy` says that these very weights sampled the batch. The reported ratio is against the sampler's logprobs
    either way: away from 1 on policy, it measures how far engine and learner disagree.
    """
    proximal_N = batch.proximal_logprobs_N
    old_N = logprobs_N.detach() if on_policy else batch.old_logprobs_N if proximal_N is None else proximal_N
    advantage_N = batch.advantage_N
    stats = {"ratio": ratio((logprobs_N - batch.old_logprobs_N).detach())}
    if config.importance != "none":
        weight_N = importance_weights(old_N, batch.old_logprobs_N, batch.counts, config)
        advantage_N = advantage_N * weight_N
        stats["importance"] = weight_N
    out = SURROGATES[config.surrogate](logprobs_N, old_N, advantage_N, batch.counts, config)
    loss_N = out.loss_N
    stats["clip_fraction"] = out.clipped_N.to(loss_N.dtype)
    if config.kl_coefficient and batch.ref_logprobs_N is not None:
        kl_N = kl_loss(logprobs_N, batch.ref_logprobs_N, config.kl_estimator)
        loss_N = loss_N + config.kl_coefficient * kl_N
        stats["kl"] = kl_N.detach()
    return TokenLoss(loss_N, stats)


def cross_entropy(logprobs_N: Tensor, batch: Batch, config: AlgorithmConfig, on_policy: bool) -> TokenLoss:
    """Negative log-likelihood of every token; its weight is the example's."""
    return TokenLoss(-logprobs_N)


def weighted_sum(loss_N: Tensor, weight_N: Tensor) -> Tensor:
    """`Σ_t w_t ℓ_t`, a scalar. Summed over the micro-batches of an optimizer batch it is the loss."""
    return torch.dot(loss_N, weight_N.to(loss_N.dtype))
