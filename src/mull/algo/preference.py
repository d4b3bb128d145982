"""Losses of reward models: which of two replies is better, and how likely a step leads to the right answer.

    Bradley–Terry   ℓ = −log σ(r_chosen − r_rejected − margin)
    point-wise      ℓ = −y log σ(r) − (1 − y) log σ(−r),    y in [0, 1]

Bradley & Terry (1952); as a loss Ouyang et al. 2203.02155 eq. 1; soft labels of steps Math-Shepherd 2312.08935 eq. 1.
Left out on purpose: any mean.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(chosen_B: Tensor, rejected_B: Tensor, margin_B: Tensor | float = 0.0) -> Tensor:
    """One loss a pair, `[B]`, in fp32 or better."""
    return -logsigmoid(_precise(chosen_B) - _precise(rejected_B) - margin_B)


def pointwise(scores_B: Tensor, labels_B: Tensor) -> Tensor:
    """One loss a score, `[B]`; labels are probabilities.

    Raises:
        ValueError: a label outside [0, 1].
    """
    if labels_B.numel() and not bool(((labels_B >= 0) & (labels_B <= 1)).all()):
        raise ValueError("labels are probabilities: they lie in [0, 1]")
    scores_B = _precise(scores_B)
    return -labels_B * logsigmoid(scores_B) - (1 - labels_B) * logsigmoid(-scores_B)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
