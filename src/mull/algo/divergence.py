"""How far a student's next-token distribution is from a teacher's, without ever holding the whole [N, V].

    forward   KL(p ‖ q) = Σ_v p_v (log p_v − log q_v)        the student covers all that the teacher may say
    reverse   KL(q ‖ p) = Σ_v q_v (log q_v − log p_v)        the student says only what the teacher would
    jsd(β)    β KL(p ‖ m) + (1 − β) KL(q ‖ m),  m = β p + (1 − β) q

p is the teacher's and q the student's distribution at one temperature T; the gradient is that of T² times the
divergence, so that its size does not depend on T (Hinton et al. 1503.02531). Generalised: Agarwal et al. 2306.13649
eq. 1. Both heads work on chunks of tokens, in fp32 at least, and a chunk is computed again for the backward pass.
Legend: N predicted tokens, D and E hidden sizes, V vocabulary. Left out on purpose: vocabularies that differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, log_softmax
from torch.utils.checkpoint import checkpoint

from mull.algo.logprobs import CHUNK_ELEMENTS

Kind = Literal["forward", "reverse", "jsd"]


@dataclass(frozen=True)
class Side:
    """Hidden states and the head that makes logits of them. Example: `Side(hidden_ND, weight_VD)`"""

    hidden_ND: Tensor
    weight_VD: Tensor
    bias_V: Tensor | None = None
    softcap: float | None = None
    scale: float = 1.0

    def log_probabilities(self, part: slice, temperature: float) -> Tensor:
        """log softmax of the logits of some tokens, `[n, V]`, in fp32 or better."""
        precise = torch.promote_types(self.weight_VD.dtype, torch.float32)
        bias_V = None if self.bias_V is None else self.bias_V.to(precise)
        z = linear(self.hidden_ND[part].to(precise), self.weight_VD.to(precise), bias_V) * self.scale
        if self.softcap:
            z = torch.tanh(z / self.softcap) * self.softcap
        return log_softmax(z / temperature, dim=-1)


def divergence(
    student: Side, teacher: Side, kind: Kind = "forward", temperature: float = 1.0, beta: float = 0.5
) -> Tensor:
    """T² times the divergence at every token, `[N]`, differentiable in the student.

    Raises:
        ValueError: different numbers of tokens, different vocabularies, or a temperature that is not positive.
    """
    count, vocabulary = len(student.hidden_ND), len(student.weight_VD)
    if len(teacher.hidden_ND) != count:
        raise ValueError(f"the student has {count} tokens, the teacher {len(teacher.hidden_ND)}")
    if len(teacher.weight_VD) != vocabulary:
        raise ValueError(f"the student has {vocabulary} words, the teacher {len(teacher.weight_VD)}")
    if not temperature > 0:
        raise ValueError(f"a divergence needs a temperature above 0, not {temperature}")
    if kind == "jsd" and not 0 < beta < 1:
        raise ValueError(f"beta must be between 0 and 1, not {beta}")

    def of(part: slice) -> Tensor:
        with torch.no_grad():
            log_p = teacher.log_probabilities(part, temperature)
        return temperature**2 * _divergence(log_p, student.log_probabilities(part, temperature), kind, beta)

    size = max(1, CHUNK_ELEMENTS // vocabulary)
    parts = [slice(start, start + size) for start in range(0, count, size)]
    if not parts:
        return student.hidden_ND.new_zeros(0, dtype=torch.float32)
    return torch.cat([checkpoint(of, part, use_reentrant=False) for part in parts])  # type: ignore[misc]


def _divergence(log_p: Tensor, log_q: Tensor, kind: Kind, beta: float) -> Tensor:
    if kind == "forward":
        return _kl(log_p, log_q)
    if kind == "reverse":
        return _kl(log_q, log_p)
    log_m = torch.logaddexp(log_p + math.log(beta), log_q + math.log1p(-beta))
    return beta * _kl(log_p, log_m) + (1 - beta) * _kl(log_q, log_m)


def _kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    return torch.sum(torch.exp(log_a) * (log_a - log_b), dim=-1)
