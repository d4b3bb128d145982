"""The step-1 check sees each of the faults that it is there for, and passes an honest engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mull.algo.samples import sample_of
from mull.core.errors import StageFailed
from mull.core.types import Completion, FinishReason
from mull.train.learner import Learner
from mull.train.optim import OptimConfig
from mull.train.parity import check_parity


@pytest.fixture
def sampled(llama: Callable) -> Callable[..., list[Completion]]:
    return lambda seed=0, **how: sample(llama(torch.float32, seed=seed, attention="eager"), **how)


def sample(model, temperature: float = 1.0, count: int = 5) -> list[Completion]:
    """Completions with the logprobs of a plain, unpacked transformers forward."""
    rows = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, 17, (4 + 3 * seed + 2,), generator=generator)
        with torch.no_grad():
            logp = torch.log_softmax(model(input_ids=ids[None]).logits[0] / temperature, -1)
        old = [float(logp[i - 1, ids[i]]) for i in range(4, len(ids))]
        forced = frozenset({1})
        old[1] = 0.0
        tokens = ids.tolist()
        rows.append(Completion(tuple(tokens[:4]), tuple(tokens[4:]), tuple(old), FinishReason.STOP, forced=forced))
    return rows


@pytest.fixture
def learner(llama: Callable) -> Learner:
    return Learner(llama(torch.float32), OptimConfig(), 1)


def theirs(learner: Learner, completions: list[Completion]) -> list[torch.Tensor]:
    return learner.logprobs([sample_of(c) for c in completions])


def test_an_honest_engine_passes_and_forced_tokens_are_not_compared(learner: Learner, sampled: Callable) -> None:
    completions = sampled()
    parity = check_parity(completions, theirs(learner, completions))
    assert parity.worst < 1e-4 and parity.tokens == sum(len(c.token_ids) - 1 for c in completions)


def test_another_temperature_stops_the_stage_and_names_the_token(learner: Learner, sampled: Callable) -> None:
    """Fault 7."""
    completions = sampled(temperature=0.7)
    with pytest.raises(StageFailed, match=r"sample \d+, token \d+ \(id \d+\): engine -\d.*learner -\d.*temperature"):
        check_parity(completions, theirs(learner, completions))


def test_another_version_of_the_weights_stops_the_stage(learner: Learner, sampled: Callable) -> None:
    completions = sampled(seed=1)
    with pytest.raises(StageFailed):
        check_parity(completions, theirs(learner, completions))


def test_the_worst_token_is_the_one_named(learner: Learner, sampled: Callable) -> None:
    completions = sampled()
    rows = theirs(learner, completions)
    rows[3][5] += 0.5
    with pytest.raises(StageFailed, match=f"sample 3, token 5 \\(id {completions[3].token_ids[5]}\\)"):
        check_parity(completions, rows)


def test_nan_is_a_disagreement(learner: Learner, sampled: Callable) -> None:
    completions = sampled()
    rows = theirs(learner, completions)
    rows[2][4] = float("nan")
    with pytest.raises(StageFailed, match="sample 2, token 4"):
        check_parity(completions, rows)


def test_16_bits_are_judged_by_mean_and_p99(learner: Learner, sampled: Callable) -> None:
    completions = sampled(count=12)
    rows = theirs(learner, completions)
    shaken = [row + 0.02 for row in rows]
    check_parity(completions, shaken, torch.bfloat16)
    with pytest.raises(StageFailed):
        check_parity(completions, shaken, torch.float32)
    with pytest.raises(StageFailed):
        check_parity(completions, [row + 0.1 for row in rows], torch.bfloat16)


def test_nothing_to_compare_is_no_disagreement_and_lengths_must_match(learner: Learner, sampled: Callable) -> None:
    assert check_parity([], []).tokens == 0
    completions = sampled()
    with pytest.raises(ValueError, match="completion 0"):
        check_parity(completions, [torch.zeros(1)] * len(completions))
