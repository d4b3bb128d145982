"""The k3 estimate of KL to the reference model.

`k3 = exp(q − p) − (q − p) − 1` with p the policy's and q the reference's logprob of the sampled token: unbiased for
KL(policy ‖ reference), never negative, and added to the loss so that minimising the loss brings the policy back to the
reference. k1 = p − q is left out on purpose: inside a loss its expected gradient is zero.

Source: Schulman, "Approximating KL divergence" (2020); DeepSeekMath (2402.03300) eq. 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_LOG_RATIO = 20.0
"""Log ratios are cut here: past e²⁰ a token is far beyond any use, and exp() must not overflow to inf·0 = nan."""


def k3(logprobs_N: Tensor, ref_logprobs_N: Tensor) -> Tensor:
    """Per-token estimate, `[N]`, with gradient to `logprobs_N`."""
    difference = torch.clamp(ref_logprobs_N - logprobs_N, -MAX_LOG_RATIO, MAX_LOG_RATIO)
    return torch.exp(difference) - difference - 1
