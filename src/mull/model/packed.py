"""Where the segments of a packed stream lie, and attention over them.

Legend: T tokens of the stream, R rows of a block (one a segment), Q queries and L keys of a row, H heads, D head width.

A row of a segment is its parent's tokens, if it has one, then its own. Rows of similar size are padded to the longest
of their block, for the attention alone. Where a segment is longer than its parent the row asks with all its tokens and
the plain causal kernel, which skips what lies ahead, serves it; the parent's answers there are thrown away. A segment
that is the shorter one asks with its own tokens only, under a mask. Either way the work is at most twice what is
needed, and nothing of the size T × T exists. Left out on purpose: parents of parents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class Block:
    """Rows that attend together: `queries` and `keys` long, padding included.

    `causal` rows ask with every token of theirs. The others ask with their last tokens, `own_R` of `total_R`.
    """

    rows: int
    queries: int
    keys: int
    causal: bool
    own_R: Tensor
    total_R: Tensor
    masks: dict[tuple[int | None, torch.dtype], Tensor] = field(default_factory=dict)

    def mask(self, window: int | None, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores, 0 or −inf, made once for all layers of a kind; None: causal, nothing else."""
        if self.causal and not (window and window < self.keys):
            return None
        if (window, dtype) not in self.masks:
            seen = self._seen(window)
            self.masks[window, dtype] = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(
                ~seen, -torch.inf
            )
        return self.masks[window, dtype]

    def _seen(self, window: int | None) -> Tensor:
        """True where a query may look: at itself and the keys before it, the last `window` of them."""
        steps_L = torch.arange(self.keys, device=self.own_R.device)
        at = steps_L[:, None]
        if not self.causal:
            own_R1, total_R1 = self.own_R[:, None], self.total_R[:, None]
            at_RQ = total_R1 - own_R1 + torch.minimum(steps_L[None, : self.queries], own_R1 - 1)
            at = at_RQ[:, None, :, None]
        distance = at - steps_L
        return (distance >= 0) & (distance < window) if window else distance >= 0


@dataclass(frozen=True)
class PackedLayout:
    """Where the segments of a packed stream lie. A token sees its segment up to itself, and the whole of its parent.

    `keys_N` are the stream positions of all blocks' keys, one block after another (padding repeats a row's last
    token), `queries_N` those of the queries where they are others; `restore_T` finds each token's answer.

    Example: `model(input_ids=ids_1T, position_ids=positions_1T, mull=PackedLayout.from_lengths([3, 5]))`
    """

    lengths: tuple[int, ...]
    blocks: tuple[Block, ...]
    keys_N: Tensor
    queries_N: Tensor
    restore_T: Tensor

    @classmethod
    def from_lengths(
        cls,
        lengths: Sequence[int],
        device: torch.device | str = "cpu",
        waste: float = 0.25,
        parents: Sequence[int] | None = None,
    ) -> PackedLayout:
        """A layout for segments of these lengths, in stream order.

        Rows share a block while the smallest is at least `1 − waste` of the largest; few blocks mean few calls,
        little waste means little padding. `parents[s]` is the segment that s goes on from, −1 for none.

        Raises:
            ValueError: no segment, one without tokens, or a parent that has a parent.
        """
        if not lengths or min(lengths) < 1:
            raise ValueError("a packed stream needs segments of at least one token each")
        parents = [-1] * len(lengths) if parents is None else parents
        if any(parent >= 0 and parents[parent] >= 0 for parent in parents):
            raise ValueError("a segment's parent can't have a parent itself")
        before = [lengths[parent] if parent >= 0 else 0 for parent in parents]
        blocks, keys, queries, done = [], [], [], 0
        restore_T = torch.empty(sum(lengths), dtype=torch.long)
        for run in _runs(lengths, before, waste):
            rows = _Rows.of(run, lengths, before, parents)
            queries_RQ = rows.keys_RL if rows.causal else rows.own_RQ
            # A row that asks with its parent's tokens too has its own answers after those.
            skip_R1 = rows.total_R[:, None] - rows.own_R[:, None] if rows.causal else 0
            answers_RQ = done + torch.arange(len(run))[:, None] * queries_RQ.shape[1] + skip_R1 + rows.steps_1Q
            restore_T[rows.own_RQ[rows.real_RQ]] = answers_RQ[rows.real_RQ]
            done += queries_RQ.numel()
            count, width = queries_RQ.shape
            own_R, total_R = rows.own_R.to(device), rows.total_R.to(device)
            blocks.append(Block(count, width, rows.keys_RL.shape[1], rows.causal, own_R, total_R))
            keys.append(rows.keys_RL.flatten())
            queries.append(queries_RQ.flatten())
        keys_N, queries_N = torch.cat(keys).to(device), torch.cat(queries).to(device)
        return cls(tuple(lengths), tuple(blocks), keys_N, queries_N, restore_T.to(device))

    def attend(
        self, layer: int, query_1HTD: Tensor, key_1HTD: Tensor, value_1HTD: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Attention of every token to what it may see, `[1, T, H, D]`."""
        # On CPUs the 16-bit kernel is the slower one: five times, measured without AMX.
        dtype, wide = query_1HTD.dtype, query_1HTD.device.type == "cpu" and query_1HTD.dtype.itemsize == 2
        gathered = (
            x[0].transpose(0, 1).index_select(0, at_N).to(torch.float32 if wide else dtype)
            for x, at_N in ((query_1HTD, self.queries_N), (key_1HTD, self.keys_N), (value_1HTD, self.keys_N))
        )
        sizes_Q = [block.rows * block.queries for block in self.blocks]
        sizes_L = [block.rows * block.keys for block in self.blocks]
        parts = zip(
            *(x.split(size) for x, size in zip(gathered, (sizes_Q, sizes_L, sizes_L), strict=True)), strict=True
        )
        out = []
        for block, part in zip(self.blocks, parts, strict=True):
            query, key, value = (x.unflatten(0, (block.rows, -1)).transpose(1, 2) for x in part)
            mask = block.mask(window, query.dtype)
            out_RHQD = scaled_dot_product_attention(
                query, key, value, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=True
            )
            out.append(out_RHQD.transpose(1, 2).flatten(0, 1))
        return torch.cat(out).index_select(0, self.restore_T)[None].to(dtype)


@dataclass(frozen=True)
class _Rows:
    """Stream positions of a block's rows: of all their keys, and of their own tokens; padding repeats the last.

    `real_RQ` is False at the padding of `own_RQ`, `steps_1Q` counts along it.
    """

    causal: bool
    own_R: Tensor
    total_R: Tensor
    keys_RL: Tensor
    own_RQ: Tensor
    real_RQ: Tensor
    steps_1Q: Tensor

    @classmethod
    def of(cls, run: list[int], lengths: Sequence[int], before: Sequence[int], parents: Sequence[int]) -> _Rows:
        starts = [0, *accumulate(lengths)]
        start_R1 = torch.tensor([starts[i] for i in run])[:, None]
        origin_R1 = torch.tensor([starts[parents[i]] if parents[i] >= 0 else 0 for i in run])[:, None]
        own_R1, before_R1 = (torch.tensor([x[i] for i in run])[:, None] for x in (lengths, before))
        total_R1 = own_R1 + before_R1
        at_RL = torch.minimum(torch.arange(int(total_R1.max()))[None], total_R1 - 1)
        past_RL = at_RL - before_R1
        keys_RL = torch.where(past_RL < 0, origin_R1 + at_RL, start_R1 + past_RL)
        steps_1Q = torch.arange(int(own_R1.max()))[None]
        own_RQ = start_R1 + torch.minimum(steps_1Q, own_R1 - 1)
        causal = lengths[run[0]] >= before[run[0]]
        return cls(causal, own_R1[:, 0], total_R1[:, 0], keys_RL, own_RQ, steps_1Q < own_R1, steps_1Q)


def _runs(own: Sequence[int], before: Sequence[int], waste: float) -> list[list[int]]:
    """Segments of each block: of one kind (causal or masked), largest row first, similar in size."""
    order = sorted(range(len(own)), key=lambda i: (own[i] < before[i], -own[i] - before[i], -own[i], i))
    runs: list[list[int]] = []
    for i in order:
        first = runs[-1][0] if runs else i
        alike = own[i] + before[i] >= (1 - waste) * (own[first] + before[first])
        same_kind = (own[i] < before[i]) == (own[first] < before[first])
        # Masked rows are padded in two directions, and queries are the dear one.
        if not runs or not alike or not same_kind or (own[i] < before[i] and own[i] < (1 - 2 * waste) * own[first]):
            runs.append([])
        runs[-1].append(i)
    return runs
