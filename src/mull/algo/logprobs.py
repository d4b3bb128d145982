"""Logprobs of given tokens from hidden states and the LM head, without ever holding the whole [N, V].

    z = head(h) / temperature,   logprob = z[target] − logsumexp(z),   entropy = logsumexp(z) − Σ_v softmax(z)_v z_v

Legend: N predicted tokens, D hidden size, V vocabulary. The head works in chunks of tokens, in fp32 at least. The
backward pass writes `dz = g · (onehot − softmax) / temperature`. The first chunks' probabilities are kept for it, up
to a fixed amount; the logits of the others are computed again, one product of [chunk, D] by [D, V]. The entropy has
no gradient: it is reported, not trained. Left out on purpose: an entropy bonus.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_ELEMENTS = 1 << 23
"""Logits computed at once: 32 MB of fp32."""
KEPT_ELEMENTS = 1 << 25
"""Probabilities that the forward pass keeps for the backward pass: 128 MB of fp32."""


class TokenLogprobs(NamedTuple):
    """`logprobs_N` with gradient, `entropy_N` without (None when not asked for), both in nats and fp32 or better."""

    logprobs_N: Tensor
    entropy_N: Tensor | None


def token_logprobs(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    *,
    bias_V: Tensor | None = None,
    softcap: float | None = None,
    scale: float = 1.0,
    temperature: float = 1.0,
    entropy: bool = False,
    chunk: int | None = None,
) -> TokenLogprobs:
    """Natural-log probabilities of `targets_N` at `temperature`, differentiable in hidden states, weight and bias.

    `scale` multiplies the logits (Cohere, Granite), `softcap` then bends them, `c·tanh(z/c)` (Gemma). `chunk` is the
    number of tokens whose logits exist at once; None chooses it by the vocabulary.

    Raises:
        ValueError: temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"training needs a temperature above 0, not {temperature}")
    size = chunk or max(1, CHUNK_ELEMENTS // weight_VD.shape[0])
    settings = _Settings(softcap or 0.0, scale, temperature, entropy, size)
    logprobs_N, entropy_N = _TokenLogprobs.apply(hidden_ND, weight_VD, bias_V, targets_N, settings)
    return TokenLogprobs(logprobs_N, entropy_N if entropy else None)


class _Settings(NamedTuple):
    softcap: float
    scale: float
    temperature: float
    entropy: bool
    chunk: int


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, s: _Settings) -> Tensor:
    """Logits of a chunk at the temperature, in the weight's dtype."""
    z = F.linear(hidden.to(weight.dtype), weight, bias)
    if s.scale != 1.0:
        z *= s.scale
    if s.softcap:
        z = torch.tanh_(z.div_(s.softcap)).mul_(s.softcap)
    return z if s.temperature == 1.0 else z.div_(s.temperature)


def _logits_gradient(dz: Tensor, z: Tensor | None, s: _Settings) -> Tensor:
    """From the gradient of `_logits`' result z to that of the head's product, in place; z only under a soft cap."""
    if s.temperature != 1.0:
        dz /= s.temperature
    if s.softcap:
        assert z is not None, "a soft cap's slope is read off the logits"
        dz *= 1 - torch.square(z * (s.temperature / s.softcap))
    return dz.mul_(s.scale) if s.scale != 1.0 else dz


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, s: _Settings
    ) -> tuple[Tensor, Tensor]:
        precise = torch.promote_types(weight.dtype, torch.float32)
        head, offset = weight.to(precise), None if bias is None else bias.to(precise)
        count = hidden.shape[0]
        logprobs = hidden.new_empty(count, dtype=precise)
        entropy = hidden.new_empty(count if s.entropy else 0, dtype=precise)
        kept: list[Tensor] = []
        room = 0 if s.softcap or not any(ctx.needs_input_grad) else KEPT_ELEMENTS
        for start in range(0, count, s.chunk):
            part = slice(start, start + s.chunk)
            z = _logits(hidden[part], head, offset, s)
            room -= z.numel()
            logp = torch.log_softmax(z, dim=-1)
            logprobs[part] = logp.gather(1, targets[part, None]).squeeze(1)
            if s.entropy or room >= 0:
                p = torch.exp(logp, out=z)
                if s.entropy:
                    entropy[part] = -torch.bmm(p[:, None], logp[:, :, None])[:, 0, 0]
                if room >= 0:
                    kept.append(p)
        ctx.save_for_backward(hidden, weight, bias, targets, *kept)
        ctx.settings = s
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        hidden, weight, bias, targets, *kept = ctx.saved_tensors
        s: _Settings = ctx.settings
        g = gradients[0]
        head, offset = weight.to(g.dtype), None if bias is None else bias.to(g.dtype)
        d_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        d_head = torch.zeros_like(head) if ctx.needs_input_grad[1] else None
        d_offset = torch.zeros_like(offset) if offset is not None else None
        for number, start in enumerate(range(0, hidden.shape[0], s.chunk)):
            part = slice(start, start + s.chunk)
            z = None if number < len(kept) else _logits(hidden[part], head, offset, s)
            # Not in place: a second backward pass over the same graph needs what was kept.
            dz = (kept[number] if z is None else torch.softmax(z, dim=-1)) * -g[part, None]
            dz.scatter_add_(1, targets[part, None], g[part, None])
            dz = _logits_gradient(dz, z, s)
            if d_hidden is not None:
                d_hidden[part] = dz @ head
            if d_head is not None:
                d_head.addmm_(dz.T, hidden[part].to(head.dtype))
            if d_offset is not None:
                d_offset += dz.sum(0)
        return (
            d_hidden,
            None if d_head is None else d_head.to(weight.dtype),
            None if d_offset is None or bias is None else d_offset.to(bias.dtype),
            None,
            None,
        )
