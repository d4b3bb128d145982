"""KL to the reference model, estimated from sampled tokens. With d = p − q, the policy's logprob less the reference's:

    k1 = d                 unbiased, noisy, of either sign
    k2 = d²/2              biased, but its gradient d·∇p is, in expectation, exactly that of KL(policy ‖ reference)
    k3 = exp(−d) + d − 1   unbiased, never negative; its gradient (1 − e^−d)·∇p is that of KL(reference ‖ policy)

In the loss: k3 as GRPO published it; k2; and k1 with k2's gradient, because k1's own has expectation zero and would do
nothing but add noise. In the reward only k1 is right: there the gradient is (value)·∇p, and d·∇p is the KL's.
All are added so that descending the loss brings the policy back to the reference.

Schulman, "Approximating KL divergence" (2020); DeepSeekMath (2402.03300) eq. 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_LOG_RATIO = 20.0
"""What is exponentiated is cut here: exp() must not overflow to inf·0 = nan. A difference itself is never cut, or what
is farthest from the reference would feel no pull back."""


def kl_loss(logprobs_N: Tensor, ref_logprobs_N: Tensor, estimator: str) -> Tensor:
    """Per-token KL term of the loss, `[N]`, with gradient to `logprobs_N`."""
    d_N = logprobs_N - ref_logprobs_N
    if estimator == "k3":
        cut_N = torch.clamp(-d_N, max=MAX_LOG_RATIO)
        return torch.exp(cut_N) * (1 - d_N - cut_N) + d_N - 1  # beyond the cut exp goes on as its tangent
    k2_N = d_N.square() / 2
    return k2_N if estimator == "k2" else k2_N + (d_N - k2_N).detach()
