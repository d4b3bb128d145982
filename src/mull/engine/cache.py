"""Keys and values of the sequences being decoded: one preallocated block a layer, live rows first.

Rows 0 … B−1 are alive. A row that ends is overwritten by a new sequence or by the last live row, so that the batch a
step works on is always dense and costs nothing to keep so. The time axis grows by doubling.

Legend: B live rows, K key/value heads, R query heads a key/value head, H = K·R, D head width, C capacity in time.
Left out on purpose: paging (sequences here are short of memory's limits) and quantised caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mull.model.attention import PackedLayout


@dataclass
class Prefill:
    """The context of a prompt pass: attends like a packed stream and keeps what every layer's keys and values were.

    Example: `context = Prefill(PackedLayout.from_lengths([6, 9])); hidden_states(model, ids, positions, context)`
    """

    layout: PackedLayout
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def attend(
        self, layer: int, query_1HTD: Tensor, key_1HTD: Tensor, value_1HTD: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        assert layer == len(self.keys), "layers must attend in order"
        self.keys.append(key_1HTD[0])
        self.values.append(value_1HTD[0])
        return self.layout.attend(layer, query_1HTD, key_1HTD, value_1HTD, scaling, window)

    def segment(self, start: int, end: int) -> Prefix:
        """Copies of one prompt's keys and values, `[K, T, D]` a layer."""
        return Prefix([k[:, start:end].clone() for k in self.keys], [v[:, start:end].clone() for v in self.values])


@dataclass(frozen=True)
class Prefix:
    """A prompt's keys and values, one `[K, T, D]` a layer. Example: `cache.put(rows, prefix)`"""

    keys: list[Tensor]
    values: list[Tensor]

    @property
    def length(self) -> int:
        return self.keys[0].shape[1]


class DecodeCache:
    """The context of a decoding step: every live row has one new token at its own position.

    Before a forward pass the engine calls `begin(positions)`.

    Example: `cache.begin(positions_B); body(input_ids=tokens_B1, position_ids=positions_B1, mull=cache)`
    """

    def __init__(self, slots: int, longest: int) -> None:
        """Room for `slots` sequences, none of which will ever have more than `longest` positions."""
        self.slots = slots
        self.longest = longest
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    @property
    def capacity(self) -> int:
        """Positions a row can hold at present."""
        return self.keys[0].shape[2] if self.keys else 0

    def put(self, rows: Sequence[int], prefix: Prefix) -> None:
        """Start sequences in `rows` from a prompt."""
        if not self.keys:
            for store, parts in ((self.keys, prefix.keys), (self.values, prefix.values)):
                store += [part.new_zeros(self.slots, part.shape[0], 0, part.shape[2]) for part in parts]
        self.reserve(prefix.length + 1)
        at = torch.tensor(rows, device=self.keys[0].device)
        for store, parts in ((self.keys, prefix.keys), (self.values, prefix.values)):
            for block, part in zip(store, parts, strict=True):
                block[at, :, : prefix.length] = part

    def reserve(self, length: int, rows: int | None = None) -> None:
        """Make room for rows of `length` positions; capacity at least doubles when it grows, up to what is needed.

        `rows` is how many rows there will be from now on (None: as many as before): by the time that sequences are
        long, most of them have ended, and what grows then is only the rest.
        """
        if length <= self.capacity:
            return
        capacity = max(length, min(max(2 * self.capacity, 64), self.longest))
        for store in (self.keys, self.values):
            for i, block in enumerate(store):
                block = block[:rows]
                grown = block.new_zeros(block.shape[0], block.shape[1], capacity, block.shape[3])
                grown[:, :, : block.shape[2]] = block
                store[i] = grown

    def move(self, sources: Sequence[int], targets: Sequence[int], length: int) -> None:
        """Copy the first `length` positions of rows `sources` onto rows `targets`."""
        if not sources:
            return
        at = torch.tensor(sources, device=self.keys[0].device)
        to = torch.tensor(targets, device=self.keys[0].device)
        for store in (self.keys, self.values):
            for block in store:
                block[to, :, :length] = block[at, :, :length]

    def begin(self, positions_B: Tensor, longest: int, more: bool = True) -> None:
        """The next forward pass has one token a live row, at these positions, all below `longest`.

        `more`: rows may still be added.
        """
        self.reserve(longest, None if more else len(positions_B))
        self._length = longest
        heads, capacity = self.keys[0].shape[1], self.capacity
        rows_B = torch.arange(len(positions_B), device=positions_B.device)
        heads_1K = torch.arange(heads, device=positions_B.device)[None]
        self._places = ((rows_B[:, None] * heads + heads_1K) * capacity + positions_B[:, None]).flatten()
        self._age_BL = positions_B[:, None] - torch.arange(longest, device=positions_B.device)
        self._masks: dict[int, Tensor] = {}

    def attend(
        self, layer: int, query_BH1D: Tensor, key_BK1D: Tensor, value_BK1D: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Store the new keys and values, then attend to all that a row has; `[B, 1, H, D]`."""
        keys, values = self.keys[layer], self.values[layer]
        for block, new in ((keys, key_BK1D), (values, value_BK1D)):
            block.view(-1, block.shape[-1]).index_copy_(0, self._places, new.reshape(-1, block.shape[-1]))
        rows, heads, _, width = query_BH1D.shape
        # Query heads that share a key head become query positions of it: grouped-query attention without copies.
        query_BKRD = query_BH1D.reshape(rows, keys.shape[1], -1, width)
        out_BKRD = scaled_dot_product_attention(
            query_BKRD,
            keys[:rows, :, : self._length],
            values[:rows, :, : self._length],
            attn_mask=self._mask(window, query_BH1D.dtype),
            scale=scaling,
        )
        return out_BKRD.reshape(rows, 1, heads, -1)

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """0 where a row may look and −∞ elsewhere, `[B, 1, 1, L]`; layers with the same window share it."""
        reach = window if window and window < self._length else 0
        if reach not in self._masks:
            hidden_BL = self._age_BL < 0
            if reach:
                hidden_BL |= self._age_BL >= reach
            mask_BL = torch.zeros_like(hidden_BL, dtype=dtype).masked_fill_(hidden_BL, float("-inf"))
            self._masks[reach] = mask_BL[:, None, None]
        return self._masks[reach]
