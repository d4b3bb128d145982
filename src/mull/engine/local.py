"""The local engine: continuous batching over one model in this process.

    waiting samples ──admit──► live rows ──step──► finished ──► caller
       (prompt computed once      │  ▲
        for all its samples)      └──┘ one token a row: head → pick → record → body

A row that ends makes room at once: waiting samples take it, else the last live row moves into it and the batch
shrinks. New rows are taken up a few at a time, so that a prompt pass is not paid for every single one.
One loop, one thread; it runs only while its caller iterates. Left out on purpose: preemption, sharing
of prompts that are only partly equal, chunked prefill of very long prompts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mull.core.errors import UserError
from mull.core.types import Completion, FinishReason
from mull.engine.base import Capabilities, Finished, Request
from mull.engine.cache import DecodeCache, Prefill, Prefix
from mull.engine.linear import DecodingWeights
from mull.engine.rows import Rows, Sample
from mull.engine.sampling import pick, uniforms
from mull.model.attention import PackedLayout
from mull.model.head import hidden_states, lm_head
from mull.model.processor import return_memory


@contextmanager
def decoding(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode with gradient checkpointing off; afterwards every module is as it was."""
    checkpointed = [m for m in model.modules() if getattr(m, "gradient_checkpointing", False)]
    training = [m for m in model.modules() if m.training]
    for module in checkpointed:
        module.gradient_checkpointing = False  # type: ignore[assignment]
    model.eval()
    try:
        yield
    finally:
        for module in checkpointed:
            module.gradient_checkpointing = True  # type: ignore[assignment]
        for module in training:
            module.training = True


class LocalEngine:
    """Decodes with a Hugging Face model whose attention is "mull".

    Args:
        model: shared with the learner, when there is one; the engine never changes it.
        slots: sequences decoded side by side.
        prefill_tokens: prompt tokens computed in one pass, about.

    Example: `LocalEngine(model, slots=64).generate([Request("p", (1, 5), Sampling(32), stop_ids=frozenset({2}))])`
    """

    capabilities = Capabilities(force_tokens=True, cancel=True, logprobs=True)

    def __init__(self, model: Any, *, slots: int = 256, prefill_tokens: int = 4096) -> None:
        if slots < 1:
            raise UserError(f"slots must be 1 or more, not {slots}")
        self.model = model
        self.slots = slots
        self.prefill_tokens = prefill_tokens
        self.version = 0
        self.weights = DecodingWeights(model)
        self._busy = False
        self._cancelled: set[str] = set()

    def generate(self, requests: Sequence[Request]) -> list[tuple[Completion, ...]]:
        """All samples of every request, in order.

        Raises:
            UserError: an empty prompt, one with an unknown token id, one that does not fit with its completion,
                no sample wanted, or two requests of one id.
            ValueError: a controller forces a token id that the model does not have.
        """
        found: list[list[Completion]] = [[] for _ in requests]
        for finished in self.stream(requests):
            found[finished.request].append(finished.completion)
        return [tuple(sorted(row, key=lambda completion: completion.sample)) for row in found]

    def stream(self, requests: Sequence[Request]) -> Iterator[Finished]:
        """Samples as they end. Leaving the iterator early drops the rest.

        Raises:
            UserError: as `generate`, or the engine is already streaming.
            ValueError: as `generate`.
        """
        self._check(requests)
        self._busy = True
        try:
            with decoding(self.model), self.weights.used():
                yield from self._run(requests)
        finally:
            self._busy = False
            self._cancelled.clear()

    def cancel(self, request_id: str) -> None:
        """End a request's samples at their next token; they come back as cancelled. Nothing while none is in flight."""
        if self._busy:
            self._cancelled.add(request_id)

    def load_weights(self, weights: Mapping[str, Tensor], version: int) -> None:
        """Count the version up. The learner here changes the very tensors that decoding reads, or makes copies of.

        Raises:
            ValueError: samples are in flight: their first tokens would come from one policy, the rest from another.
        """
        if self._busy:
            raise ValueError("weights can't change while samples are in flight")
        self.version = version
        self.weights.forget()

    def rest(self) -> None:
        """Hand back the memory that decoding took; the next stream takes it again.

        Raises:
            ValueError: samples are in flight.
        """
        if self._busy:
            raise ValueError("memory can't be handed back while samples are in flight")
        self.weights.drop()
        return_memory()

    def _check(self, requests: Sequence[Request]) -> None:
        if self._busy:
            raise UserError("this engine is already streaming: finish or close that iterator first")
        if len({request.id for request in requests}) != len(requests):
            raise UserError("two requests have the same id: ids fix the random numbers and must differ")
        limit = getattr(self.model.config, "max_position_embeddings", None)
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        for request in requests:
            if not request.prompt_ids:
                raise UserError(f"request {request.id}: the prompt has no token")
            if min(request.prompt_ids) < 0 or max(request.prompt_ids) >= vocabulary:
                raise UserError(
                    f"request {request.id}: the prompt has a token id outside the model's {vocabulary}: "
                    "the tokenizer is not this model's"
                )
            if request.n < 1:
                raise UserError(f"request {request.id}: n must be 1 or more, not {request.n}")
            needed = len(request.prompt_ids) + request.sampling.max_tokens
            if limit and needed > limit:
                raise UserError(
                    f"request {request.id}: {len(request.prompt_ids)} prompt tokens and max_tokens "
                    f"{request.sampling.max_tokens} exceed the model's {limit} positions; lower max_tokens"
                )

    def _run(self, requests: Sequence[Request]) -> Iterator[Finished]:
        batch = _Batch(self, requests)
        while batch.waiting or batch.rows.live:
            for index, completion in batch.step():
                yield Finished(index, completion)


class _Batch:
    """The state of one `stream`: waiting samples, live rows, their cache and last hidden states."""

    def __init__(self, engine: LocalEngine, requests: Sequence[Request]) -> None:
        self.engine = engine
        self.model = engine.model
        self.head = lm_head(engine.model)
        self.device = self.head.weight.device
        self.waiting = deque(
            Sample(index, request, number, request.controller(number) if request.controller else None)
            for index, request in enumerate(requests)
            for number in range(request.n)
        )
        slots = min(engine.slots, len(self.waiting))
        self.rows = Rows(slots, self.head.weight.shape[0], self.device)
        self.cache = DecodeCache(slots, max((len(r.prompt_ids) + r.sampling.max_tokens for r in requests), default=0))
        self.slots = slots
        self.hidden = torch.zeros(slots, self.head.weight.shape[1], dtype=self.head.weight.dtype, device=self.device)
        self.prefixes: dict[tuple[int, ...], tuple[Prefix, Tensor]] = {}

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Completion]]:
        """One token for every live row, after taking up new ones; returns what ended."""
        done = self._drop_cancelled() if self.engine._cancelled else []
        free = self.slots - self.rows.live
        if self.waiting and free >= max(1, self.slots // 16):
            self._admit(free)
        if not self.rows.live:
            return done
        tokens_B, logprobs_B = self._next_tokens()
        ends = self.rows.record(tokens_B, logprobs_B).nonzero().flatten().tolist()
        if ends:
            done += [self.rows.finish(row, self.engine.version) for row in ends]
            tokens_B = self._remove(ends, tokens_B)
        if self.rows.live:
            self._forward(tokens_B)
        return done

    def _next_tokens(self) -> tuple[Tensor, Tensor]:
        rows, head = self.rows, self.head
        logits_BV = self.engine.weights.logits(self.hidden[: rows.live], head.weight, head.bias)
        if head.scale != 1.0:
            logits_BV *= head.scale
        if head.softcap:
            logits_BV = head.softcap * torch.tanh(logits_BV / head.softcap)
        counts_B = rows.column(Rows.COUNT)
        uniform_B = uniforms(rows.column(Rows.KEY), counts_B)
        picked = pick(logits_BV, uniform_B, rows.settings(), rows.tempered, rows.truncated)
        tokens_B, logprobs_B = picked.tokens, picked.logprobs
        if rows.controlled:
            self._force(tokens_B, logprobs_B)
        return tokens_B, logprobs_B

    def _force(self, tokens_B: Tensor, logprobs_B: Tensor) -> None:
        for row, sample in enumerate(self.rows.samples):
            if sample.controller is None:
                continue
            count = int(self.rows.ints[row, Rows.COUNT])
            token = sample.controller.next(self.rows.tokens[row, :count].tolist())
            if token is not None:
                if not 0 <= token < self.rows.vocabulary:
                    raise ValueError(f"request {sample.request.id}: its controller forces {token}, which is no token")
                tokens_B[row], logprobs_B[row] = token, 0.0
                self.rows.forced[row].add(count)

    def _forward(self, tokens_B: Tensor) -> None:
        positions_B = self.rows.column(Rows.POSITION)
        self.rows.longest += 1
        self.cache.begin(positions_B.clone(), self.rows.longest, more=bool(self.waiting))
        hidden_B1D = hidden_states(self.model, tokens_B[:, None], positions_B[:, None], self.cache)
        self.hidden[: self.rows.live] = hidden_B1D[:, 0]
        positions_B += 1

    def _remove(self, ends: list[int], tokens_B: Tensor) -> Tensor:
        movers, holes = self.rows.remove(ends)
        self.cache.move(movers, holes, self.rows.longest)
        if movers:
            tokens_B[holes] = tokens_B[movers]
        self.rows.note()
        return tokens_B[: self.rows.live]

    def _drop_cancelled(self) -> list[tuple[int, Completion]]:
        gone, self.engine._cancelled = self.engine._cancelled, set()
        done = [
            (s.index, s.completion([], [], FinishReason.CANCELLED, self.engine.version, set()))
            for s in self.waiting
            if s.request.id in gone
        ]
        self.waiting = deque(s for s in self.waiting if s.request.id not in gone)
        ends = [row for row, s in enumerate(self.rows.samples) if s.request.id in gone]
        if ends:
            done += [self.rows.finish(row, self.engine.version, FinishReason.CANCELLED) for row in ends]
            movers, holes = self.rows.remove(ends)
            self.cache.move(movers, holes, self.rows.longest)
            self.hidden[holes] = self.hidden[movers]
            self.rows.note()
        return done

    def _admit(self, free: int) -> None:
        """Fill free slots from the queue; all samples of one prompt start from one prompt pass."""
        taken = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        self._prefill([prompt for sample in taken if (prompt := sample.request.prompt_ids) not in self.prefixes])
        rows = self.rows.add(taken)
        starts: dict[tuple[int, ...], list[int]] = {}
        for row, sample in zip(rows, taken, strict=True):
            starts.setdefault(sample.request.prompt_ids, []).append(row)
        for prompt, places in starts.items():
            prefix, last_D = self.prefixes[prompt]
            self.cache.put(places, prefix)
            self.hidden[places] = last_D
        later = {sample.request.prompt_ids for sample in self.waiting}
        self.prefixes = {prompt: value for prompt, value in self.prefixes.items() if prompt in later}

    def _prefill(self, prompts: list[tuple[int, ...]]) -> None:
        """Compute prompts, each different one once, and those of waiting samples while there is room."""
        wanted = dict.fromkeys(prompts)
        if not wanted:
            return
        room = self.engine.prefill_tokens - sum(map(len, wanted))
        for sample in self.waiting:
            prompt = sample.request.prompt_ids
            if prompt not in wanted and prompt not in self.prefixes:
                room -= len(prompt)
                if room < 0:
                    break
                wanted[prompt] = None
        items = list(wanted)
        while items:
            part, size = [], 0
            while items and (not part or size + len(items[0]) <= self.engine.prefill_tokens):
                part.append(items.pop(0))
                size += len(part[-1])
            self._prompt_pass(part)

    def _prompt_pass(self, prompts: list[tuple[int, ...]]) -> None:
        lengths = [len(ids) for ids in prompts]
        context = Prefill(PackedLayout.from_lengths(lengths, self.device))
        ids_1T = torch.tensor([token for ids in prompts for token in ids], device=self.device)[None]
        positions_1T = torch.cat([torch.arange(n, device=self.device) for n in lengths])[None]
        hidden_TD = hidden_states(self.model, ids_1T, positions_1T, context)[0]
        start = 0
        for prompt, length in zip(prompts, lengths, strict=True):
            last_D = hidden_TD[start + length - 1].clone()
            self.prefixes[prompt] = context.segment(start, start + length), last_D
            start += length
