"""Trains scores: pairs of which one is better, labelled sequences, labelled steps.

    groups of sequences ─ pack, a shared beginning once ─► scores at the places asked for ─ loss a group ─► weights

A group is what one term of the loss compares: a pair, or one sequence alone. It is never cut, and the loss of a step is
the sum of its groups' losses over their number, fixed before the step is cut into micro-batches. Left out on purpose:
what the scores are used for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mull.algo.packing import Stream, first_fit
from mull.core.errors import StageFailed
from mull.model.attention import PackedLayout
from mull.model.processor import few_shapes, narrow_on_cpu
from mull.model.scalar import scores
from mull.model.wide import wide_products
from mull.train.optim import OptimConfig, Optimizer
from mull.train.schedule import rate
from mull.train.weights import load_weights, named_weights


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
GroupLoss = Callable[[int, list[Tensor]], Tensor]
"""(number of the group in the batch, scores of each of its sequences) → its loss, a scalar"""


@dataclass(frozen=True)
class _Laid:
    """A micro-batch: groups laid one after another; `at` are the asked places, in order, `counts` how many each has."""

    members: list[int]
    stream: Stream
    at: list[int]
    counts: list[list[int]]


class ScalarLearner:
    """A scalar model (`model.scalar`), its optimizer, and the number of steps it has taken (`version`).

    Example: `ScalarLearner(scalar_of(loaded), OptimConfig(lr=1e-5), total_steps=200).fit(pairs, loss)`
    """

    def __init__(self, model: Any, optim: OptimConfig, total_steps: int, *, micro_batch_tokens: int = 4096) -> None:
        self.model = model.eval()
        self.optimizer = Optimizer(model, optim)
        self.total_steps = total_steps
        self.micro_batch_tokens = micro_batch_tokens
        self.version = 0

    @property
    def device(self) -> torch.device:
        return self.model.score.weight.device

    def fit(self, groups: Sequence[Group], loss: GroupLoss) -> dict[str, float]:
        """One optimizer step on the mean of the groups' losses; `grad_norm` is before clipping.

        Raises:
            ValueError: no group.
            StageFailed: the loss or the gradient is not finite; the weights are as before.
        """
        if not groups:
            raise ValueError("nothing to learn from: no group")
        share = rate(self.version, self.total_steps, self.optimizer.config.schedule)
        self.optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        with torch.enable_grad():
            for laid in self._packed(groups):
                found = self._scored(laid)
                value = torch.stack([loss(g, found[k]) for k, g in enumerate(laid.members)]).sum() / len(groups)
                value.backward()
                total += value.detach().double().cpu()
        if not math.isfinite(total):
            self.optimizer.zero_grad()
            raise StageFailed(
                f"the loss is {float(total)} at step {self.version}; the weights are as before it. Usual cause: a "
                "learning rate that is too high"
            )
        norm = self.optimizer.step(share)
        self.optimizer.zero_grad()
        self.version += 1
        return {"loss": float(total), "grad_norm": norm, "lr": share * self.optimizer.config.lr}

    @torch.no_grad()
    def score(self, groups: Sequence[Group]) -> list[list[Tensor]]:
        """The scores at the asked places of every sequence of every group, in order, on the CPU."""
        result: list[list[Tensor]] = [[] for _ in groups]
        for laid in self._packed(groups):
            for group, found in zip(laid.members, self._scored(laid), strict=True):
                result[group] = [row.cpu() for row in found]
        return result

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs; tensors are live, not copies."""
        weights = named_weights(self.model, trained=True)
        return {"version": self.version, "weights": weights, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            ValueError: the state is of another model or optimizer.
        """
        load_weights(self.model, state["weights"], trained=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.version = state["version"]

    def _packed(self, groups: Sequence[Group]) -> list[_Laid]:
        """Largest group first, each in the first micro-batch with room."""
        sizes = [sum(len(asked.tokens) for asked in group) for group in groups]
        order = sorted(range(len(groups)), key=lambda i: (-sizes[i], i))
        bins = first_fit([sizes[i] for i in order], self.micro_batch_tokens)
        few = narrow_on_cpu(self.model.score.weight)
        return [_laid([order[k] for k in part], groups, few) for part in bins]

    def _scored(self, laid: _Laid) -> list[list[Tensor]]:
        stream = laid.stream
        layout = PackedLayout.from_lengths(stream.lengths, self.device, parents=stream.parents)
        ids, places, at = (torch.tensor(x, device=self.device) for x in (stream.tokens, stream.positions, laid.at))
        with wide_products(self.model):
            found_N = scores(self.model, ids[None], places[None], layout, at)
        rows = iter(found_N.split([count for counts in laid.counts for count in counts]))
        return [[next(rows) for _ in counts] for counts in laid.counts]


def _laid(members: list[int], groups: Sequence[Group], few: bool) -> _Laid:
    """Each group's common beginning once; with `few` a segment at the end makes the length one of few."""
    laid = _Laid(members, Stream(), [], [])
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
