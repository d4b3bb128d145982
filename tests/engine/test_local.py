"""The local engine against `generate` and full forward passes; independence of how the work is batched."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from mull.core.types import Completion, FinishReason
from mull.engine import local
from mull.engine.base import Request, Sampling
from mull.engine.cache import DecodeCache, Prefill, Prefix
from mull.engine.local import LocalEngine
from mull.model.attention import PackedLayout

EOS, VOCABULARY = 2, 23


def reference(model: Any, request: Request, stop: int | None) -> tuple[list[int], list[float]]:
    """Greedy tokens of `generate`, and the distance of the two largest logits at each of them."""
    ids = torch.tensor([request.prompt_ids])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=request.sampling.max_tokens,
        eos_token_id=stop, pad_token_id=0, return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    top = torch.stack(out.logits)[:, 0].topk(2).values
    return out.sequences[0, ids.shape[1] :].tolist(), (top[:, 0] - top[:, 1]).tolist()


def assert_greedy(completion: Completion, tokens: list[int], gaps: list[float]) -> None:
    """Equal, or parted at a place where the reference's own choice is rounding."""
    ours = list(completion.token_ids)
    if ours != tokens:
        pairs = zip(ours, tokens, strict=False)
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(tokens)))
        assert first < len(gaps) and gaps[first] < 1e-5, f"differs at {first}: {ours} against {tokens}"


@pytest.mark.parametrize("stop", [None, EOS])
@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_greedy_equals_generate(kit: Any, kind: str, stop: int | None) -> None:
    build = getattr(kit, f"build_{kind}")
    stop_ids = frozenset() if stop is None else frozenset({stop})
    requests = kit.ragged(64, kit.greedy, stop_ids=stop_ids)
    found = LocalEngine(build(), slots=8).generate(requests)
    theirs = build("eager")
    theirs.generation_config.eos_token_id = stop
    ended = 0
    for request, (completion,) in zip(requests, found, strict=True):
        assert_greedy(completion, *reference(theirs, request, stop))
        stopped = completion.token_ids[-1] in stop_ids
        assert completion.finish is (FinishReason.STOP if stopped else FinishReason.LENGTH)
        ended += stopped
    assert stop is None or 5 < ended < 64


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma"])
def test_logprobs_equal_a_full_forward(kit: Any, kind: str, temperature: float) -> None:
    model = getattr(kit, f"build_{kind}")()
    requests = kit.ragged(
        24, lambda n: Sampling(n, temperature=temperature, top_p=0.95), n=2, stop_ids=frozenset({EOS})
    )
    found = [c for row in LocalEngine(model, slots=8).generate(requests) for c in row]
    logits = kit.full_logits(model, [c.prompt_ids + c.token_ids for c in found])
    for completion, logits_TV in zip(found, logits, strict=True):
        start = len(completion.prompt_ids)
        expected = (logits_TV[start - 1 : -1] / temperature).log_softmax(-1)
        expected = expected.gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)


def keyed(requests: list[Request], found: list[tuple[Completion, ...]]) -> dict[tuple[str, int], tuple[int, ...]]:
    return {(r.id, c.sample): c.token_ids for r, row in zip(requests, found, strict=True) for c in row}


def test_samples_do_not_depend_on_slots_order_or_neighbours(kit: Any, llama: Any) -> None:
    mixed = [(1.0, 1.0, 0), (0.7, 0.9, 0), (1.3, 1.0, 5), (0.0, 1.0, 0)]
    requests = [
        replace(r, n=1 + i % 4, sampling=Sampling(r.sampling.max_tokens, *mixed[i % 4]), stop_ids=frozenset({EOS}))
        for i, r in enumerate(kit.ragged(20, Sampling))
    ]
    found = keyed(requests, LocalEngine(llama, slots=8).generate(requests))
    assert len(set(found.values())) > len(found) // 2
    for slots in (1, 64):
        assert keyed(requests, LocalEngine(llama, slots=slots, prefill_tokens=32).generate(requests)) == found
    shuffled = random.Random(0).sample(requests, len(requests))
    assert keyed(shuffled, LocalEngine(llama, slots=8).generate(shuffled)) == found
    alone = keyed(requests[3:4], LocalEngine(llama, slots=8).generate(requests[3:4]))
    assert alone.items() <= found.items()


def test_seed_and_id_change_the_samples(llama: Any) -> None:
    base = Request("a", (5, 6, 7), Sampling(30), n=2)
    others = [base, replace(base, id="b"), replace(base, id="c", seed=1)]
    rows = [row for request in others for row in LocalEngine(llama).generate([request])]
    assert len({completion.token_ids for row in rows for completion in row}) == 6


def test_any_of_several_stop_ids_ends_a_sample(llama: Any) -> None:
    stops = frozenset({EOS, 7, 11})
    requests = [
        Request("several", (5, 6), Sampling(60), n=40, stop_ids=stops),
        Request("none", (5, 6), Sampling(60), n=4),
        Request("one", (5, 6), Sampling(60), n=4, stop_ids=frozenset({7})),
    ]
    several, none, one = LocalEngine(llama, slots=16).generate(requests)
    ends = {c.token_ids[-1] for c in several if c.finish is FinishReason.STOP}
    assert ends == stops
    assert all(not stops & set(c.token_ids[:-1]) for c in several)
    assert all(len(c.token_ids) == 60 and c.finish is FinishReason.LENGTH for c in none)
    assert all(c.token_ids.index(7) == len(c.token_ids) - 1 for c in one if c.finish is FinishReason.STOP)


def test_cache_grows_and_compacts_without_a_trace(kit: Any, llama: Any) -> None:
    """Lengths from 1 to 180 side by side: growth past 64 and 128 while rows move into the gaps of ended ones."""
    rng = random.Random(1)
    requests = [
        Request(f"g{i}", tuple(rng.randrange(3, VOCABULARY) for _ in range(rng.choice([1, 9, 70]))), kit.greedy(length))
        for i, length in enumerate([180, 1, 90, 3, 64, 65, 2, 150, 7, 33, 120, 1, 5])
    ]
    found = LocalEngine(llama, slots=6).generate(requests)
    theirs = kit.build_llama("eager")
    for request, (completion,) in zip(requests, found, strict=True):
        assert_greedy(completion, *reference(theirs, request, None))
        assert len(completion.token_ids) == request.sampling.max_tokens


def test_prompts_are_computed_once_for_all_their_samples(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []

    def counted(layout: PackedLayout) -> Prefill:
        passes.extend(layout.lengths)
        return Prefill(layout)

    monkeypatch.setattr(local, "Prefill", counted)
    requests = [Request(f"p{n}", tuple(range(3, 3 + n)), Sampling(9), n=7) for n in (2, 5, 11)]
    LocalEngine(llama, slots=4).generate(requests)
    assert sorted(passes) == [2, 5, 11]
    passes.clear()
    equal = [Request(f"e{i}", (4, 5, 6), Sampling(1 + i)) for i in range(9)]
    rows = LocalEngine(llama, slots=4).generate(equal)
    assert passes == [3] and [len(row[0].token_ids) for row in rows] == list(range(1, 10))


def test_the_cache_grows_no_further_than_the_longest_sample() -> None:
    cache, part = DecodeCache(2, longest=70), torch.ones(1, 5, 4)
    cache.put([0], Prefix([part], [part]))
    assert cache.capacity == 64
    cache.reserve(65)
    assert cache.capacity == 70
    assert torch.equal(cache.keys[0][0, :, :5], part)


def test_nothing_asked_nothing_given(llama: Any) -> None:
    assert LocalEngine(llama).generate([]) == []


def test_what_grows_after_the_last_sample_was_taken_up_is_only_what_lives() -> None:
    cache, part = DecodeCache(4, longest=200), torch.arange(20.0).view(1, 5, 4)
    cache.put(range(4), Prefix([part], [part + 1]))
    cache.begin(torch.tensor([5, 9]), 70, more=True)
    assert cache.keys[0].shape == (4, 1, 128, 4)  # others may still come
    cache.begin(torch.tensor([128, 99]), 129, more=False)
    assert cache.keys[0].shape == (2, 1, 200, 4)
    for row in range(2):
        assert torch.equal(cache.keys[0][row, :, :5], part) and torch.equal(cache.values[0][row, :, :5], part + 1)
