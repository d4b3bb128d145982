"""Weights for a sampler that is not quite the learner: other kernels, other precision, older weights.

With o the learner's logprob of a token (before the updates) and s the sampler's, over the tokens of one output:

    token      v_t = exp(o_t − s_t)
    sequence   v_t = exp(Σ_u o_u − s_u)     the same for all tokens of an output; exact, and noisy for long ones
    clip       min(v, C)                    truncated importance sampling: biased, bounded
    mask       v where 1/C ≤ v ≤ C, else 0  what is that far off says nothing; it still counts in the denominator

Weights have no gradient: they multiply the advantage. Left out on purpose: the ratio of the policy loss itself.
Truncated importance sampling: Ionides (2008); for samplers of LLMs: Yao et al. (2025); masking: IcePop (2025).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mull.algo.config import AlgorithmConfig
from mull.algo.kl import MAX_LOG_RATIO


def importance_weights(
    old_logprobs_N: Tensor, sampler_logprobs_N: Tensor, counts: Sequence[int], config: AlgorithmConfig
) -> Tensor:
    """`[N]`, detached. `counts` are the tokens of each output, in the order of N."""
    gap_N = (old_logprobs_N - sampler_logprobs_N).detach()
    if config.importance == "sequence":
        gap_N = spread(sums(gap_N, counts), counts)
    weight_N = torch.exp(torch.clamp(gap_N, -MAX_LOG_RATIO, MAX_LOG_RATIO))
    cap = config.importance_cap
    if config.importance_rule == "clip":
        return weight_N.clamp(max=cap)
    return torch.where((weight_N >= 1 / cap) & (weight_N <= cap), weight_N, 0.0)


def sums(values_N: Tensor, counts: Sequence[int]) -> Tensor:
    """`[S]`: the sum over each output's tokens."""
    sizes_S = torch.tensor(counts, device=values_N.device)
    owner_N = torch.repeat_interleave(torch.arange(len(counts), device=values_N.device), sizes_S)
    return values_N.new_zeros(len(counts)).index_add(0, owner_N, values_N)


def spread(values_S: Tensor, counts: Sequence[int]) -> Tensor:
    """`[N]`: each output's value at each of its tokens."""
    return torch.repeat_interleave(values_S, torch.tensor(counts, device=values_S.device))
