"""Sequences that a scalar model scores at some of their places: laid into packed streams, and scored.

    groups of sequences ─ pack, a shared beginning once ─► scores at the places asked for

A group is what belongs together: a pair, or one sequence alone. It is never cut. Left out on purpose: losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mull.algo.packing import Stream, first_fit
from mull.model.attention import PackedLayout
from mull.model.processor import few_shapes, narrow_on_cpu
from mull.model.scalar import scores
from mull.model.wide import wide_products


@dataclass(frozen=True)
class Asked:
    """Token ids, and the places whose scores are wanted. Example: `Asked((1, 5, 9), (2,))`

    Raises:
        ValueError: a place outside the tokens.
    """

    tokens: tuple[int, ...]
    places: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(not 0 <= place < len(self.tokens) for place in self.places):
            raise ValueError(f"places must lie within the {len(self.tokens)} tokens, not {self.places}")


Group = Sequence[Asked]


@dataclass(frozen=True)
class Laid:
    """A micro-batch: groups laid one after another; `at` are the asked places, in order, `counts` how many each has."""

    members: list[int]
    stream: Stream
    at: list[int]
    counts: list[list[int]]


def pack(groups: Sequence[Group], most_tokens: int, few: bool) -> list[Laid]:
    """Micro-batches of at most `most_tokens`: largest group first, each in the first one with room.

    With `few` a segment at the end makes each length one of few, which a CPU's 16-bit kernels like.
    """
    sizes = [sum(len(asked.tokens) for asked in group) for group in groups]
    order = sorted(range(len(groups)), key=lambda i: (-sizes[i], i))
    bins = first_fit([sizes[i] for i in order], most_tokens)
    return [_laid([order[k] for k in part], groups, few) for part in bins]


def pack_for(model: Any, groups: Sequence[Group], most_tokens: int) -> list[Laid]:
    """`pack` as it suits a scalar model's weights and device."""
    return pack(groups, most_tokens, narrow_on_cpu(model.score.weight))


def scored(model: Any, laid: Laid) -> list[list[Tensor]]:
    """The scores of every sequence of every group of a micro-batch, with their gradients."""
    stream, device = laid.stream, model.score.weight.device
    layout = PackedLayout.from_lengths(stream.lengths, device, parents=stream.parents)
    ids, places, at = (torch.tensor(x, device=device) for x in (stream.tokens, stream.positions, laid.at))
    with wide_products(model):
        found_N = scores(model, ids[None], places[None], layout, at)
    rows = iter(found_N.split([count for counts in laid.counts for count in counts]))
    return [[next(rows) for _ in counts] for counts in laid.counts]


@torch.no_grad()
def score(model: Any, groups: Sequence[Group], most_tokens: int) -> list[list[Tensor]]:
    """The scores at the asked places of every sequence of every group, in order, on the CPU."""
    result: list[list[Tensor]] = [[] for _ in groups]
    for laid in pack_for(model, groups, most_tokens):
        for group, found in zip(laid.members, scored(model, laid), strict=True):
            result[group] = [row.cpu() for row in found]
    return result


def _laid(members: list[int], groups: Sequence[Group], few: bool) -> Laid:
    """Each group's common beginning once."""
    laid = Laid(members, Stream(), [], [])
    for number in members:
        group = groups[number]
        shared = _shared(group)
        root, parent = 0, -1
        if shared:
            root, parent = laid.stream.add(group[0].tokens[:shared], 0, -1)
        for asked in group:
            start, _ = laid.stream.add(asked.tokens[shared:], shared, parent)
            laid.at.extend(root + place if place < shared else start + place - shared for place in asked.places)
        laid.counts.append([len(asked.places) for asked in group])
    size = len(laid.stream.tokens)
    if few:
        laid.stream.add([0] * (few_shapes(size) - size), 0, -1)
    return laid


def _shared(group: Group) -> int:
    """Tokens at the beginning that all sequences of a group have in common, less one where that would be all of one."""
    if len(group) < 2:
        return 0
    shortest = min(len(asked.tokens) for asked in group) - 1
    first = group[0].tokens
    agree = (n for n in range(shortest) if any(asked.tokens[n] != first[n] for asked in group))
    return next(agree, shortest)
