"""GSPO: one ratio for a whole output, the geometric mean of its tokens': `s = exp(mean_t(new_t − old_t))`.

`ℓ = −min(s A, clip(s) A)` at every token of the output; with aggregation "sequence" these sum to the published
objective, whose gradient gives every token of an output the same weight. Bounds are far tighter than a token's: means
move little. 2507.18071 eq. 5–7.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mull.algo.config import AlgorithmConfig
from mull.algo.importance import spread, sums
from mull.algo.surrogate.base import Surrogate, ratio
from mull.algo.surrogate.clip import clipped_surrogate


def gspo(
    logprobs_N: Tensor, old_logprobs_N: Tensor, advantage_N: Tensor, counts: Sequence[int], config: AlgorithmConfig
) -> Surrogate:
    """`clip` with the ratio of each output; an output lies whole in one micro-batch, so that its mean is at hand."""
    sizes_S = torch.tensor(counts, device=logprobs_N.device).clamp(min=1)
    mean_S = sums(logprobs_N - old_logprobs_N, counts) / sizes_S
    return clipped_surrogate(spread(ratio(mean_S), counts), advantage_N, config)
