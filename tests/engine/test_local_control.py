"""What happens around decoding: forced tokens, cancellation, leaving early, weights, mistakes, the model's modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from mull.core.errors import UserError
from mull.core.types import Completion, FinishReason
from mull.engine.base import Request, Sampling
from mull.engine.local import LocalEngine

EOS = 2


def ids(completions: Sequence[Completion]) -> list[tuple[int, ...]]:
    return [completion.token_ids for completion in completions]


@dataclass
class Script:
    """Forces the tokens of a script at their positions; keeps what it was shown."""

    script: dict[int, int]
    shown: list[tuple[int, ...]] = field(default_factory=list)

    def next(self, generated: Sequence[int]) -> int | None:
        self.shown.append(tuple(generated))
        return self.script.get(len(generated))


def test_forced_tokens_are_recorded_and_the_rest_is_sampled_as_before(kit: Any, llama: Any) -> None:
    plain = Request("r", (5, 6, 7), Sampling(20), n=6)
    scripts = [Script({8: 4, 9: 9} if sample % 2 else {}) for sample in range(6)]
    forced = Request("r", (5, 6, 7), Sampling(20), n=6, controller=scripts.__getitem__)
    other = Request("other", (8,), Sampling(20), n=3)
    engine = LocalEngine(llama, slots=4)
    before, (after, beside) = engine.generate([plain])[0], engine.generate([forced, other])
    assert ids(beside) == ids(engine.generate([other])[0])
    for sample, (a, b) in enumerate(zip(before, after, strict=True)):
        assert scripts[sample].shown == [b.token_ids[:i] for i in range(20)]
        if sample % 2 == 0:
            assert a.token_ids == b.token_ids and not b.forced
            continue
        assert b.token_ids[:8] == a.token_ids[:8] and b.token_ids[8:10] == (4, 9)
        assert b.forced == {8, 9} and b.logprobs[8:10] == (0.0, 0.0)
        logits = kit.full_logits(llama, [b.prompt_ids + b.token_ids])[0]
        expected = logits.log_softmax(-1)[range(2, 22), list(b.token_ids)]
        sampled = [i for i in range(20) if i not in b.forced]
        torch.testing.assert_close(torch.tensor(b.logprobs)[sampled], expected[sampled], atol=1e-4, rtol=0)


def test_forcing_what_would_be_sampled_changes_no_token(llama: Any) -> None:
    engine = LocalEngine(llama)
    plain = engine.generate([Request("r", (5, 6), Sampling(15))])[0][0]
    script = Script(dict(enumerate(plain.token_ids[:9])))
    forced = engine.generate([Request("r", (5, 6), Sampling(15), controller=lambda _: script)])[0][0]
    assert forced.token_ids == plain.token_ids and forced.forced == set(range(9))
    assert forced.logprobs[9:] == pytest.approx(plain.logprobs[9:], abs=1e-6)


def test_a_forced_stop_token_ends_the_sample(llama: Any) -> None:
    request = Request("r", (5,), Sampling(9), stop_ids=frozenset({EOS}), controller=lambda _: Script({0: 4, 1: EOS}))
    (completion,) = LocalEngine(llama).generate([request])[0]
    assert completion.token_ids == (4, EOS) and completion.finish is FinishReason.STOP


def test_a_controller_that_forces_no_token_is_a_fault(llama: Any) -> None:
    engine = LocalEngine(llama)
    with pytest.raises(ValueError, match="forces 23"):
        engine.generate([Request("r", (5,), Sampling(9), controller=lambda _: Script({0: 23}))])
    assert engine.generate([Request("r", (5,), Sampling(3))])


def test_cancelling_waiting_and_running_samples(llama: Any) -> None:
    short = Request("short", (5,), Sampling(3))
    running, waiting = Request("running", (6,), Sampling(50), n=2), Request("waiting", (7,), Sampling(50), n=3)
    kept = Request("kept", (8, 9), Sampling(12), n=2)
    engine = LocalEngine(llama, slots=4)
    found: dict[int, list[Any]] = {0: [], 1: [], 2: [], 3: []}
    for finished in engine.stream([short, running, kept, waiting]):
        found[finished.request].append(finished.completion)
        if finished.request == 0:
            engine.cancel("running")
            engine.cancel("waiting")
            engine.cancel("nobody")
    assert [c.finish for c in found[1] + found[3]] == [FinishReason.CANCELLED] * 5
    assert [len(c.token_ids) for c in found[1]] == [3, 3]
    alone = engine.generate([running])[0]
    assert all(c.token_ids == alone[c.sample].token_ids[:3] for c in found[1])
    assert ids(found[2]) == ids(engine.generate([kept])[0])
    assert sorted(c.sample for c in found[3]) == [0, 1, 2]


def test_a_cancellation_does_not_outlive_its_stream(llama: Any) -> None:
    engine = LocalEngine(llama)
    request = Request("r", (5,), Sampling(4))
    engine.cancel("r")
    for _ in engine.stream([request]):
        engine.cancel("r")
    assert engine.generate([request])[0][0].finish is FinishReason.LENGTH


def test_leaving_a_stream_early_leaves_the_engine_usable(kit: Any, llama: Any) -> None:
    engine = LocalEngine(llama, slots=4)
    requests = kit.ragged(12, Sampling)
    whole = engine.generate(requests)
    stream = engine.stream(requests)
    next(stream)
    with pytest.raises(UserError, match="already streaming"):
        engine.generate(requests)
    with pytest.raises(ValueError, match="in flight"):
        engine.load_weights({}, 1)
    with pytest.raises(ValueError, match="in flight"):
        engine.rest()
    stream.close()
    engine.load_weights({}, 1)
    again = engine.generate(requests)
    assert [c.token_ids for row in again for c in row] == [c.token_ids for row in whole for c in row]
    assert {c.version for row in again for c in row} == {1}


@pytest.mark.parametrize("early", [False, True])
def test_the_model_is_left_as_it_was(kit: Any, early: bool) -> None:
    model = kit.build_llama()
    model.train()
    for layer in model.model.layers:
        layer.gradient_checkpointing = True
    model.model.layers[1].mlp.eval()  # a part its owner froze
    before = [(m.training, getattr(m, "gradient_checkpointing", None)) for m in model.modules()]
    stream = LocalEngine(model, slots=2).stream(kit.ragged(5, Sampling))
    next(stream)
    assert not any(m.training for m in model.modules())
    assert not any(getattr(m, "gradient_checkpointing", False) for m in model.modules())
    if early:
        stream.close()
    else:
        list(stream)
    assert [(m.training, getattr(m, "gradient_checkpointing", None)) for m in model.modules()] == before


@pytest.mark.parametrize(
    ("requests", "word"),
    [
        ([Request("r", (), Sampling(4))], "no token"),
        ([Request("r", (5,), Sampling(4), n=0)], "n must be"),
        ([Request("r", (5,) * 200, Sampling(57))], "lower max_tokens"),
        ([Request("r", (5,), Sampling(4)), Request("r", (6,), Sampling(4))], "same id"),
        ([Request("r", (5, 23), Sampling(4))], "outside the model's 23"),
        ([Request("r", (-1,), Sampling(4))], "outside the model's 23"),
    ],
)
def test_bad_requests_are_refused_before_anything_runs(llama: Any, requests: list[Request], word: str) -> None:
    engine = LocalEngine(llama)
    with pytest.raises(UserError, match=word):
        engine.generate(requests)
    assert len(engine.generate([Request("ok", (5,) * 200, Sampling(56))])[0][0].token_ids) == 56


def test_no_slots_are_refused(llama: Any) -> None:
    with pytest.raises(UserError, match="slots"):
        LocalEngine(llama, slots=0)
