"""One advantage a token: the same as one a completion where they are equal, else the plain sum over tokens."""

from __future__ import annotations

import pytest
import torch

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.algo.samples import live_samples, sample_of
from mull.train.learner import Learner
from mull.train.optim import OptimConfig


def gradients(model, groups, weights, algorithm) -> dict[str, torch.Tensor]:
    learner, found = Learner(model, OptimConfig(), 10, micro_batch_tokens=48, algorithm=algorithm), {}

    def keep(share: float) -> float:
        found.update({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        return 0.0

    learner.optimizer.step = keep  # type: ignore[method-assign]
    learner.update(groups, weights)
    return found


@pytest.mark.parametrize("name", ["grpo", "dapo", "cispo"])
def test_equal_ones_are_one(llama, rollouts, name) -> None:
    algorithm, groups = AlgorithmConfig(name=name), rollouts()
    whole = advantages(groups, algorithm)
    apart = [
        [(a,) * len(s.completion.token_ids) for a, s in zip(row, group.samples, strict=True)]
        for row, group in zip(whole, groups, strict=True)
    ]
    one, two = (gradients(llama(), groups, weights, algorithm) for weights in (whole, apart))
    for key, gradient in one.items():
        torch.testing.assert_close(two[key], gradient)


def test_different_ones_weigh_each_token(llama, rollouts) -> None:
    model, groups = llama(), rollouts(prompts=2, samples=2)
    weights = [
        [tuple(0.1 * (i + t) - 0.4 for t in range(len(s.completion.token_ids))) for i, s in enumerate(group.samples)]
        for group in groups
    ]
    found = gradients(model, groups, weights, AlgorithmConfig(name="dapo"))
    plain = llama(attention="sdpa")
    loss, tokens = 0.0, 0
    for row, group in zip(weights, groups, strict=True):
        for advantage, scored in zip(row, group.samples, strict=True):
            done = scored.completion
            ids = torch.tensor([done.prompt_ids + done.token_ids])
            logprobs = torch.log_softmax(plain(input_ids=ids).logits[0, :-1], -1).gather(1, ids[0, 1:, None])[:, 0]
            for t in range(len(done.token_ids)):
                if t not in done.forced:
                    loss = loss - advantage[t] * logprobs[len(done.prompt_ids) - 1 + t]
                    tokens += 1
    (loss / tokens).backward()  # type: ignore[union-attr]
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(found[name], parameter.grad)


def test_a_row_of_another_length_is_refused_and_one_of_zeros_pushes_nothing(rollouts) -> None:
    groups = rollouts(prompts=1, samples=2)
    done = groups[0].samples[0].completion
    with pytest.raises(ValueError, match=f"must have {len(done.token_ids)} entries"):
        sample_of(done, (1.0,) * (len(done.token_ids) + 1))
    zeros = [[(0.0,) * len(s.completion.token_ids) for s in groups[0].samples]]
    assert live_samples(groups, zeros) == []
