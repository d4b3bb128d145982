"""One attention function for packed training and cached decoding, registered with transformers as "mull".

What a layer attends to is said by a context that travels through the model's forward as the keyword `mull`:
`PackedLayout` (in `packed`) for a stream of sequences without padding, the local engine's cache for decoding. So one
module with one copy of the weights serves both. Registering a function without an entry in the mask registry would
silently drop masks; ours is there and builds none, because every context masks by construction.

Legend: T tokens of a stream, H heads, D head width.
Left out on purpose: soft-capped scores, attention sinks and position biases, which are refused by name; dropout of
scores, because sampling and learning must see one policy.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from mull.core.errors import UserError
from mull.model.packed import PackedLayout

__all__ = ["ATTENTION", "AttentionContext", "PackedLayout", "mull_attention"]

ATTENTION = "mull"
REFUSED = ("softcap", "s_aux", "position_bias", "alibi")
"""Keyword arguments that would change the scores in a way that is not implemented here."""


class AttentionContext(Protocol):
    """Says what the tokens of this forward pass see."""

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None, /
    ) -> Tensor:
        """Attention output `[1, T, H, D]`; keys and values may have fewer heads than queries."""
        ...


def mull_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    mull: AttentionContext | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The function that transformers calls in every layer; delegates to the context.

    Raises:
        UserError: the model needs a kind of attention that is not implemented.
        ValueError: forward was called without `mull=`.
    """
    for name in REFUSED:
        if kwargs.get(name) is not None:
            raise UserError(f"this model's attention uses {name}, which mull does not support: choose another model")
    if mull is None:
        raise ValueError('attention "mull" needs a context: call the model with mull=PackedLayout(...)')
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return mull.attend(int(getattr(module, "layer_idx", 0)), query, key, value, scale, sliding_window), None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    return None


AttentionInterface.register(ATTENTION, mull_attention)
AttentionMaskInterface.register(ATTENTION, _no_mask)
