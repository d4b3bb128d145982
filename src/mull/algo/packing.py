"""Packs sequences into streams without padding, each prompt once for all its completions that share a stream.

    stream = [prompt a, completion a1, completion a2, prompt b, completion b1, …, a lone sequence, …]

Legend: T tokens of a micro-batch's stream, S its segments, N its predicted tokens, those that carry loss. A segment
attends to itself and, when it has a parent, to all of that; its positions go on where the parent's end. A sequence
that shares nothing is one segment without a parent. The first token of a completion is predicted from its prompt's
last token, so `predictors_N` may name one place several times; it never crosses into another sequence.

Longest first, so that a batch that fits will show it at once and rows of similar length meet in attention. Prompts
are shared by their tokens, whichever group they are of. A group larger than a micro-batch is cut up and its prompt
repeated. Left out on purpose: splitting one sequence over two micro-batches, and prefixes of prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from mull.algo.samples import Example, Sample


@dataclass(frozen=True)
class Batch:
    """One micro-batch. Tensors are 1-D and on one device; `lengths` and `parents` have S entries, −1 is no parent.

    `members[m]` is the index that the m-th sequence of the stream had in the packed list, `counts[m]` the number of
    its predicted tokens, which stand together and in order in every `_N` tensor.

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
    parents: tuple[int, ...]
    counts: tuple[int, ...]
    members: tuple[int, ...]

    def to(self, device: torch.device | str) -> Batch:
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: t.to(device) for name, t in tensors.items() if isinstance(t, Tensor)}
        return replace(self, **moved)

    def filled(self, total: int) -> Batch:
        """The same with a stream of `total` tokens: a segment of token 0 at the end, which nobody looks at."""
        more = total - len(self.tokens_T)
        if more <= 0:
            return self
        return replace(
            self,
            tokens_T=pad(self.tokens_T, (0, more)),
            positions_T=torch.cat([self.positions_T, torch.arange(more, device=self.positions_T.device)]),
            lengths=(*self.lengths, more),
            parents=(*self.parents, -1),
        )


@dataclass(frozen=True)
class Unit:
    """Sequences of one micro-batch; their first `shared` tokens lie there once. Example: `Unit(51, (3, 0))`"""

    shared: int
    members: tuple[int, ...]

    def size(self, lengths: Sequence[int]) -> int:
        """Tokens of the stream that it takes."""
        return self.shared + sum(lengths[i] - self.shared for i in self.members)


def units_of(lengths: Sequence[int], prefixes: Sequence[tuple[int, ...]], micro_batch_tokens: int) -> list[Unit]:
    """Sequences that begin with the same prefix together, longest first, as far as a micro-batch holds them.

    An empty prefix is shared with nobody.
    """
    groups: dict[Any, list[int]] = {}
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        groups.setdefault(prefixes[i] or i, []).append(i)
    units = []
    for members in groups.values():
        shared = len(prefixes[members[0]])
        own = first_fit([lengths[i] - shared for i in members], micro_batch_tokens - shared)
        units += [Unit(shared, tuple(members[k] for k in part)) for part in own]
    return units


def split_units(units: Sequence[Unit], lengths: Sequence[int], micro_batch_tokens: int) -> list[list[Unit]]:
    """The units of each micro-batch: largest first, at most `micro_batch_tokens` together.

    A sequence longer than that gets a micro-batch of its own. The order of the input decides between equals only.
    """
    ordered = sorted(units, key=lambda u: (-u.size(lengths), -u.shared, [-lengths[i] for i in u.members], u.members))
    bins = first_fit([unit.size(lengths) for unit in ordered], micro_batch_tokens)
    return [[ordered[k] for k in part] for part in bins]


def first_fit(sizes: Sequence[int], limit: int) -> list[list[int]]:
    """Places of `sizes`, in order, each in the first bin with room; one that fits in none opens another."""
    bins: list[list[int]] = []
    rooms: list[int] = []
    for i, size in enumerate(sizes):
        k = next((k for k, room in enumerate(rooms) if size <= room), len(bins))
        if k == len(bins):
            bins.append([])
            rooms.append(limit)
        bins[k].append(i)
        rooms[k] -= size
    return bins


def pack(samples: Sequence[Sample], scales: Sequence[float], micro_batch_tokens: int) -> list[Batch]:
    """Samples as micro-batches; every token that carries loss gets its sample's scale as weight.

    Raises:
        ValueError: some samples have reference (or proximal) logprobs and others have not.
    """
    given = {(sample.ref_logprobs is not None, sample.proximal_logprobs is not None) for sample in samples}
    if len(given) > 1:
        raise ValueError("reference and proximal logprobs must be given for all samples or for none")
    lengths = [len(sample.tokens) for sample in samples]
    units = units_of(lengths, [sample.tokens[: sample.prompt_length] for sample in samples], micro_batch_tokens)
    return [_pack_samples(part, samples, scales) for part in split_units(units, lengths, micro_batch_tokens)]


def _pack_samples(units: list[Unit], every: Sequence[Sample], scales: Sequence[float]) -> Batch:
    members = [i for unit in units for i in unit.members]
    samples = [every[i] for i in members]
    picked = [[i for i, on in enumerate(sample.loss_mask) if on] for sample in samples]
    counts = [len(places) for places in picked]

    def per_token(rows: list[tuple[float, ...] | None]) -> Tensor | None:
        if any(row is None for row in rows):
            return None
        return _floats([row[i] for row, places in zip(rows, picked, strict=True) for i in places])  # type: ignore[index]

    return _batch(
        units,
        [sample.tokens for sample in samples],
        [[sample.prompt_length + i for i in places] for sample, places in zip(samples, picked, strict=True)],
        weight_N=_repeated([scales[i] for i in members], counts),
        advantage_N=_floats([s.advantages[i] for s, places in zip(samples, picked, strict=True) for i in places]),
        old_logprobs_N=per_token([sample.old_logprobs for sample in samples]),
        ref_logprobs_N=per_token([sample.ref_logprobs for sample in samples]),
        proximal_logprobs_N=per_token([sample.proximal_logprobs for sample in samples]),
    )


def pack_examples(examples: Sequence[Example], scale: float, micro_batch_tokens: int) -> list[Batch]:
    """Supervised examples as micro-batches; a token's weight is its own times `scale`; zeros are left out."""
    lengths = [len(example.tokens) for example in examples]
    units = units_of(lengths, [()] * len(examples), micro_batch_tokens)
    return [_pack_examples(part, examples, scale) for part in split_units(units, lengths, micro_batch_tokens)]


def _pack_examples(units: list[Unit], every: Sequence[Example], scale: float) -> Batch:
    examples = [every[i] for unit in units for i in unit.members]
    places = [[i for i, w in enumerate(example.weights) if i and w] for example in examples]
    weights = _floats([ex.weights[i] * scale for ex, picked in zip(examples, places, strict=True) for i in picked])
    nothing = torch.zeros_like(weights)
    return _batch(
        units,
        [example.tokens for example in examples],
        places,
        weight_N=weights,
        advantage_N=nothing,
        old_logprobs_N=nothing,
        ref_logprobs_N=None,
        proximal_logprobs_N=None,
    )


def _batch(
    units: list[Unit], sequences: Sequence[Sequence[int]], places: list[list[int]], **per_token: Tensor | None
) -> Batch:
    """The stream of `units`; `sequences` are their members in order, `places[m]` those of sequence m with loss."""
    stream = Stream()
    predictors: list[int] = []
    rows = iter(zip(sequences, places, strict=True))
    for unit in units:
        # One sequence alone is one segment: a parent would only split its attention in two.
        shared = unit.shared if len(unit.members) > 1 else 0
        start, parent = 0, -1
        for number in range(len(unit.members)):
            sequence, picked = next(rows)
            if shared and not number:
                start, parent = stream.add(sequence[:shared], 0, -1)
            own, _ = stream.add(sequence[shared:], shared, parent)
            predictors += [start + i - 1 if i <= shared else own + i - 1 - shared for i in picked]
    targets = [sequence[i] for sequence, picked in zip(sequences, places, strict=True) for i in picked]
    return Batch(
        tokens_T=torch.tensor(stream.tokens, dtype=torch.long),
        positions_T=torch.tensor(stream.positions, dtype=torch.long),
        predictors_N=torch.tensor(predictors, dtype=torch.long),
        targets_N=torch.tensor(targets, dtype=torch.long),
        lengths=tuple(stream.lengths),
        parents=tuple(stream.parents),
        counts=tuple(len(picked) for picked in places),
        members=tuple(i for unit in units for i in unit.members),
        **per_token,  # type: ignore[arg-type]
    )


class Stream:
    """Segments as they are laid one after another."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.lengths: list[int] = []
        self.parents: list[int] = []

    def add(self, tokens: Sequence[int], position: int, parent: int) -> tuple[int, int]:
        """Returns where the segment starts and its number; one without tokens is no segment."""
        start = len(self.tokens)
        if tokens:
            self.tokens += tokens
            self.positions += range(position, position + len(tokens))
            self.lengths.append(len(tokens))
            self.parents.append(parent)
        return start, len(self.lengths) - 1


def _floats(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _repeated(values: Sequence[float], counts: Sequence[int]) -> Tensor:
    return torch.repeat_interleave(_floats(list(values)), torch.tensor(counts, dtype=torch.long))
