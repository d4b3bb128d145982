"""The live rows of the local engine: what each one is sampling, as tensors for the step and objects for the ends.

Legend: B live rows, N slots. Rows 0 … B−1 are alive. Left out on purpose: keys and values (`cache`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mull.core.types import Completion, FinishReason
from mull.engine.base import Controller, Request
from mull.engine.sampling import RowSettings, stream_key


@dataclass(frozen=True)
class Sample:
    """One sample of one request, on its way. Example: `Sample(0, request, 3, None)`"""

    index: int
    request: Request
    number: int
    controller: Controller | None

    def completion(
        self, tokens: list[int], logprobs: list[float], finish: FinishReason, version: int, forced: set[int]
    ) -> Completion:
        """What an engine returns for it."""
        return Completion(
            self.request.prompt_ids, tuple(tokens), tuple(logprobs), finish,
            forced=frozenset(forced), sample=self.number, version=version,
        )  # fmt: skip


class Rows:
    """State of the slots. Integer columns and float columns are two tensors, so that moving a row is two copies."""

    KEY, COUNT, POSITION, LIMIT, STOP, TOP_K = range(6)
    TEMPERATURE, TOP_P, MIN_P = range(3)

    def __init__(self, slots: int, vocabulary: int, device: torch.device) -> None:
        self.device = device
        self.vocabulary = vocabulary
        self.live = 0
        self.samples: list[Sample] = []
        self.forced: list[set[int]] = []
        self.ints = torch.zeros(slots, 6, dtype=torch.long, device=device)
        self.floats = torch.zeros(slots, 3, device=device)
        self.tokens = torch.zeros(slots, 64, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(slots, 64, device=device)
        self.stop_sets: dict[frozenset[int], int] = {}
        self.stop_table = torch.zeros(0, vocabulary, dtype=torch.bool, device=device)
        self.tempered = self.truncated = self.controlled = False
        self.longest = 0  # an upper bound of the live rows' positions

    def column(self, which: int) -> Tensor:
        """An integer column of the live rows, `[B]`, a view."""
        return self.ints[: self.live, which]

    def settings(self) -> RowSettings:
        """Sampling settings of the live rows."""
        floats = self.floats[: self.live]
        return RowSettings(
            floats[:, self.TEMPERATURE], floats[:, self.TOP_P], self.column(self.TOP_K), floats[:, self.MIN_P]
        )

    def add(self, samples: Sequence[Sample]) -> list[int]:
        """Take up samples after the live rows; returns their rows."""
        rows = list(range(self.live, self.live + len(samples)))
        ints, floats = [], []
        for sample in samples:
            request, how = sample.request, sample.request.sampling
            key = stream_key(request.seed, request.id, sample.number)
            ints.append([key, 0, len(request.prompt_ids), how.max_tokens, self._stop_set(request.stop_ids), how.top_k])
            floats.append([how.temperature, how.top_p, how.min_p])
        self.ints[rows] = torch.tensor(ints, device=self.device)
        self.floats[rows] = torch.tensor(floats, device=self.device)
        self.samples += samples
        self.forced += [set() for _ in samples]
        self.live += len(samples)
        self.note()
        return rows

    def _stop_set(self, ids: frozenset[int]) -> int:
        if ids not in self.stop_sets:
            self.stop_sets[ids] = len(self.stop_sets)
            row = torch.zeros(1, self.vocabulary, dtype=torch.bool, device=self.device)
            row[0, [i for i in ids if 0 <= i < self.vocabulary]] = True
            self.stop_table = torch.cat([self.stop_table, row])
        return self.stop_sets[ids]

    def note(self) -> None:
        """Look again at what the live rows need."""
        every = [sample.request.sampling for sample in self.samples]
        self.tempered = any(how.temperature != 1 for how in every)
        self.truncated = any(how.top_p < 1 or how.top_k or how.min_p for how in every)
        self.controlled = any(sample.controller for sample in self.samples)
        self.longest = int(self.column(self.POSITION).max()) if self.live else 0

    def record(self, tokens_B: Tensor, logprobs_B: Tensor) -> Tensor:
        """Append a token to every live row; returns which rows end with it, `[B]` bool."""
        counts_B = self.column(self.COUNT)
        if self.longest >= self.tokens.shape[1]:  # positions bound counts from above
            self.tokens = torch.cat([self.tokens, torch.zeros_like(self.tokens)], 1)
            self.logprobs = torch.cat([self.logprobs, torch.zeros_like(self.logprobs)], 1)
        at = torch.arange(self.live, device=self.device)
        self.tokens[at, counts_B] = tokens_B
        self.logprobs[at, counts_B] = logprobs_B
        counts_B += 1
        return self.stop_table[self.column(self.STOP), tokens_B] | (counts_B >= self.column(self.LIMIT))

    def finish(self, row: int, version: int, reason: FinishReason | None = None) -> tuple[int, Completion]:
        """The completion of a row, and its request's index; without a reason it stopped or ran into its limit."""
        sample, count = self.samples[row], int(self.ints[row, self.COUNT])
        tokens = self.tokens[row, :count].tolist()
        if reason is None:
            stopped = bool(tokens) and tokens[-1] in sample.request.stop_ids
            reason = FinishReason.STOP if stopped else FinishReason.LENGTH
        logprobs = self.logprobs[row, :count].tolist()
        return sample.index, sample.completion(tokens, logprobs, reason, version, self.forced[row])

    def remove(self, rows: Sequence[int]) -> tuple[list[int], list[int]]:
        """Forget rows; the last live rows move into their places. Returns (moved from, moved to)."""
        gone = set(rows)
        remaining = self.live - len(gone)
        holes = [row for row in sorted(gone) if row < remaining]
        movers = [row for row in range(remaining, self.live) if row not in gone]
        if movers:
            for tensor in (self.ints, self.floats, self.tokens, self.logprobs):
                tensor[holes] = tensor[movers]
            for source, target in zip(movers, holes, strict=True):
                self.samples[target], self.forced[target] = self.samples[source], self.forced[source]
        del self.samples[remaining:], self.forced[remaining:]
        self.live = remaining
        return movers, holes
