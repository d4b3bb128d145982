"""A causal model in two halves: the body up to the last hidden state, and the head that makes logits of it.

Callers apply the head in chunks, in float32, to the positions they need; `[batch, time, vocabulary]` is never held.
Left out on purpose: heads that are not one linear map (with an optional soft cap and scale).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mull.core.errors import UserError
from mull.model.attention import AttentionContext


@dataclass(frozen=True)
class Head:
    """`logits = cap · tanh((x Wᵀ + b) · scale / cap)`; without a cap `(x Wᵀ + b) · scale`.

    Example: `lm_head(model).weight.shape == (vocabulary, hidden)`
    """

    weight: Tensor
    bias: Tensor | None = None
    softcap: float | None = None
    scale: float = 1.0


def hidden_states(model: nn.Module, input_ids: Tensor, position_ids: Tensor, mull: AttentionContext) -> Tensor:
    """The last hidden states `[1, T, D]`, after the final norm, of token ids `[1, T]` at positions `[1, T]`."""
    body: Any = getattr(model, model.base_model_prefix)  # type: ignore[arg-type]
    return body(input_ids=input_ids, position_ids=position_ids, use_cache=False, mull=mull).last_hidden_state


def lm_head(model: nn.Module) -> Head:
    """The output head.

    Raises:
        UserError: the model has no linear output head.
    """
    layer = model.get_output_embeddings()  # type: ignore[operator]
    if not isinstance(layer, nn.Linear):
        raise UserError(f"{type(model).__name__} has no linear output head: choose a causal language model")
    config: Any = model.config
    divisor = getattr(config, "logits_scaling", None)  # Granite divides its logits, Cohere multiplies them
    scale = 1.0 / divisor if divisor else getattr(config, "logit_scale", None) or 1.0
    return Head(layer.weight, layer.bias, getattr(config, "final_logit_softcapping", None), scale)
