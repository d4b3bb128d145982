"""One attention function for packed training and cached decoding, registered with transformers as "mull".

What a layer attends to is said by a context that travels through the model's forward as the keyword `mull`:
`PackedLayout` (here) for a stream of sequences without padding, the local engine's cache for decoding. So one module
with one copy of the weights serves both. Registering a function without an entry in the mask registry would silently
drop masks; ours is there and builds none, because every context masks by construction.

Legend: T tokens of a stream, S segments, L longest of a block, H heads, D head width.
Left out on purpose: soft-capped scores, attention sinks and position biases, which are refused by name; dropout of
scores, because sampling and learning must see one policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from mull.core.errors import UserError

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


@dataclass(frozen=True)
class Block:
    """Segments of similar length, padded to the longest for the attention alone.

    `gather_SL` are stream positions (padding repeats the segment's last token), `real_N` the places of the flattened
    block that are no padding.
    """

    gather_SL: Tensor
    real_N: Tensor


@dataclass(frozen=True)
class PackedLayout:
    """Where the segments of a packed stream lie. Attention is causal within a segment and nowhere else.

    Example: `model(input_ids=ids_1T, position_ids=positions_1T, mull=PackedLayout.from_lengths([3, 5]))`
    """

    lengths: tuple[int, ...]
    blocks: tuple[Block, ...]
    restore_T: Tensor

    @classmethod
    def from_lengths(
        cls, lengths: Sequence[int], device: torch.device | str = "cpu", waste: float = 0.25
    ) -> PackedLayout:
        """A layout for segments of these lengths, in stream order.

        Segments share a block while the shortest is at least `1 − waste` of the longest; few blocks mean few calls,
        little waste means little padding.

        Raises:
            ValueError: no segment, or one without tokens.
        """
        if not lengths or min(lengths) < 1:
            raise ValueError("a packed stream needs segments of at least one token each")
        starts = torch.cumsum(torch.tensor([0, *lengths[:-1]]), 0)
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        runs: list[list[int]] = []
        for i in order:
            if not runs or lengths[i] < (1 - waste) * lengths[runs[-1][0]]:
                runs.append([])
            runs[-1].append(i)
        blocks, seen = [], []
        for run in runs:
            sizes_S1 = torch.tensor([lengths[i] for i in run])[:, None]
            steps_1L = torch.arange(int(sizes_S1[0]))[None]
            gather_SL = starts[run][:, None] + torch.minimum(steps_1L, sizes_S1 - 1)
            real_N = (steps_1L < sizes_S1).flatten().nonzero().flatten()
            blocks.append(Block(gather_SL.to(device), real_N.to(device)))
            seen.append(gather_SL.flatten()[real_N])
        restore_T = torch.empty(sum(lengths), dtype=torch.long)
        restore_T[torch.cat(seen)] = torch.arange(sum(lengths))
        return cls(tuple(lengths), tuple(blocks), restore_T.to(device))

    def attend(
        self, layer: int, query_1HTD: Tensor, key_1HTD: Tensor, value_1HTD: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Causal attention of every segment to itself, `[1, T, H, D]`."""
        query_THD, key_THD, value_THD = (x[0].transpose(0, 1) for x in (query_1HTD, key_1HTD, value_1HTD))
        parts = []
        for block in self.blocks:
            segments, longest = block.gather_SL.shape
            at = block.gather_SL.flatten()
            query, key, value = (
                x.index_select(0, at).view(segments, longest, x.shape[1], x.shape[2]).transpose(1, 2)
                for x in (query_THD, key_THD, value_THD)
            )
            mask_LL = _window_mask(longest, window, query.device) if window and window < longest else None
            out_SHLD = scaled_dot_product_attention(
                query, key, value, attn_mask=mask_LL, is_causal=mask_LL is None, scale=scaling, enable_gqa=True
            )
            parts.append(out_SHLD.transpose(1, 2).flatten(0, 1).index_select(0, block.real_N))
        return torch.cat(parts).index_select(0, self.restore_T)[None]


def _window_mask(length: int, window: int, device: torch.device) -> Tensor:
    """True where a token may look: at itself and the `window − 1` tokens before it."""
    steps = torch.arange(length, device=device)
    distance_LL = steps[:, None] - steps[None]
    return (distance_LL >= 0) & (distance_LL < window)
