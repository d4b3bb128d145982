"""Packs sequences of unequal length into streams without padding.

Legend: T tokens of a micro-batch's stream, S its segments (one a sequence), N its predicted tokens, those that carry
loss. Token i of a segment is predicted at position i − 1 of the *same* segment, so `predictors_N` points into T one
place before the target and never across a boundary.

Longest first, and neighbours in length together: the split is the same for any order of the input up to ties, and
attention, which works on segments padded to the longest of a micro-batch, wastes little. Left out on purpose:
splitting one sequence over two micro-batches, and sharing a group's prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from mull.algo.samples import Example, Sample


@dataclass(frozen=True)
class Batch:
    """One micro-batch. Tensors are 1-D and on one device; `lengths` has S entries that sum to T.

    `members[s]` is the index that segment s had in the packed list, `counts[s]` its number of predicted tokens.

    Example: `pack([sample], [0.5], micro_batch_tokens=4096)[0]`
    """

    tokens_T: Tensor
    positions_T: Tensor
    predictors_N: Tensor
    targets_N: Tensor
    weight_N: Tensor
    advantage_N: Tensor
    old_logprobs_N: Tensor
    ref_logprobs_N: Tensor | None
    proximal_logprobs_N: Tensor | None
    lengths: tuple[int, ...]
    counts: tuple[int, ...]
    members: tuple[int, ...]

    def to(self, device: torch.device | str) -> Batch:
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: t.to(device) for name, t in tensors.items() if isinstance(t, Tensor)}
        return replace(self, **moved)


def split_by_length(lengths: Sequence[int], micro_batch_tokens: int) -> list[list[int]]:
    """Indices of the sequences of each micro-batch: longest first, at most `micro_batch_tokens` each.

    A sequence longer than that gets a micro-batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    bins: list[list[int]] = []
    room = 0
    for i in order:
        if not bins or lengths[i] > room:
            bins.append([])
            room = micro_batch_tokens
        bins[-1].append(i)
        room -= lengths[i]
    return bins


def pack(samples: Sequence[Sample], scales: Sequence[float], micro_batch_tokens: int) -> list[Batch]:
    """Samples as micro-batches; every token that carries loss gets its sample's scale as weight.

    Raises:
        ValueError: some samples have reference (or proximal) logprobs and others have not.
    """
    given = {(sample.ref_logprobs is not None, sample.proximal_logprobs is not None) for sample in samples}
    if len(given) > 1:
        raise ValueError("reference and proximal logprobs must be given for all samples or for none")
    bins = split_by_length([len(sample.tokens) for sample in samples], micro_batch_tokens)
    return [_pack_samples([samples[i] for i in members], [scales[i] for i in members], members) for members in bins]


def _pack_samples(samples: list[Sample], scales: list[float], members: list[int]) -> Batch:
    picked = [[i for i, on in enumerate(sample.loss_mask) if on] for sample in samples]
    counts = [len(places) for places in picked]

    def per_token(rows: list[tuple[float, ...] | None]) -> Tensor | None:
        if any(row is None for row in rows):
            return None
        return _floats([row[i] for row, places in zip(rows, picked, strict=True) for i in places])  # type: ignore[index]

    return _batch(
        [sample.tokens for sample in samples],
        [[sample.prompt_length + i for i in places] for sample, places in zip(samples, picked, strict=True)],
        members,
        weight_N=_repeated(scales, counts),
        advantage_N=_repeated([sample.advantage for sample in samples], counts),
        old_logprobs_N=per_token([sample.old_logprobs for sample in samples]),
        ref_logprobs_N=per_token([sample.ref_logprobs for sample in samples]),
        proximal_logprobs_N=per_token([sample.proximal_logprobs for sample in samples]),
    )


def pack_examples(examples: Sequence[Example], scale: float, micro_batch_tokens: int) -> list[Batch]:
    """Supervised examples as micro-batches; a token's weight is its own times `scale`; zeros are left out."""
    bins = split_by_length([len(example.tokens) for example in examples], micro_batch_tokens)
    return [_pack_examples([examples[i] for i in members], scale, members) for members in bins]


def _pack_examples(examples: list[Example], scale: float, members: list[int]) -> Batch:
    places = [[i for i, w in enumerate(example.weights) if i and w] for example in examples]
    weights = _floats([ex.weights[i] * scale for ex, picked in zip(examples, places, strict=True) for i in picked])
    nothing = torch.zeros_like(weights)
    return _batch(
        [example.tokens for example in examples],
        places,
        members,
        weight_N=weights,
        advantage_N=nothing,
        old_logprobs_N=nothing,
        ref_logprobs_N=None,
        proximal_logprobs_N=None,
    )


def _batch(
    sequences: Sequence[Sequence[int]], places: list[list[int]], members: list[int], **per_token: Tensor | None
) -> Batch:
    """The stream of `sequences`; `places[s]` are the positions within sequence s that carry loss."""
    lengths = [len(sequence) for sequence in sequences]
    starts = [0, *accumulate(lengths)]
    tokens = torch.tensor([token for sequence in sequences for token in sequence], dtype=torch.long)
    positions = torch.cat([torch.arange(length) for length in lengths])
    predicted = [start + place for start, picked in zip(starts, places, strict=False) for place in picked]
    targets = torch.tensor(predicted, dtype=torch.long)
    return Batch(
        tokens_T=tokens,
        positions_T=positions,
        predictors_N=targets - 1,
        targets_N=tokens[targets],
        lengths=tuple(lengths),
        counts=tuple(len(picked) for picked in places),
        members=tuple(members),
        **per_token,  # type: ignore[arg-type]
    )


def _floats(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _repeated(values: Sequence[float], counts: Sequence[int]) -> Tensor:
    return torch.repeat_interleave(_floats(list(values)), torch.tensor(counts, dtype=torch.long))
