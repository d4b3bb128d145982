"""A prompt computed once for its completions gives the loss and the gradient of computing it for every one.

The unshared side packs every sample alone, which is one plain segment.
"""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import MistralConfig, MistralForCausalLM
from transformers.models.mistral.modeling_mistral import MistralRMSNorm

from mull.algo.losses import weighted_sum
from mull.algo.packing import Batch, pack
from mull.algo.samples import Sample
from mull.model.attention import ATTENTION
from mull.train.learner import Learner
from mull.train.optim import OptimConfig

VOCABULARY = 17


def windowed(dtype: torch.dtype) -> MistralForCausalLM:
    """A model whose every layer looks back four tokens, so that late tokens of a completion miss the prompt."""
    config = MistralConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=4, sliding_window=4, max_position_embeddings=128,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MistralForCausalLM(config)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, MistralRMSNorm):
                setattr(parent, name, torch.nn.RMSNorm(16, eps=1e-6))
    model.set_attn_implementation(ATTENTION)
    return model.to(dtype).eval()  # type: ignore[arg-type]


def drawn(seed: int) -> list[Sample]:
    """Up to three prompts, short and long ones, with completions of very different lengths."""
    rng = random.Random(seed)
    samples = []
    for group in range(rng.randint(1, 3)):
        prompt = tuple(rng.randrange(VOCABULARY) for _ in range(rng.choice([1, 3, 9, 20])))
        for _ in range(rng.randint(1, 5)):
            n = rng.choice([1, 2, 5, 15])
            own = tuple(rng.randrange(VOCABULARY) for _ in range(n))
            mask = tuple(rng.random() < 0.8 for _ in range(n))
            samples.append(Sample(prompt + own, len(prompt), mask, (-1.0,) * n, rng.uniform(-1, 1), group))
    return samples


def result(learner: Learner, batches: list[Batch]) -> tuple[float, dict[str, Tensor]]:
    """Policy-gradient loss and gradients over micro-batches."""
    learner.model.zero_grad()
    total = 0.0
    for batch in batches:
        logprobs_N = learner._forward(learner.model, batch).logprobs_N
        value = weighted_sum(-logprobs_N * batch.advantage_N, batch.weight_N)
        value.backward()
        total += float(value.detach())
    return total, {n: p.grad.clone() for n, p in learner.model.named_parameters() if p.grad is not None}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", ["llama", "window"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@given(seed=st.integers(0, 10**6), limit=st.sampled_from([8, 40, 80, 1000]))
def test_loss_and_gradient_equal_those_of_unshared_prompts(llama, kind, dtype, tolerance, seed, limit) -> None:
    learner = Learner(llama(dtype) if kind == "llama" else windowed(dtype), OptimConfig(), 1)
    samples = drawn(seed)
    scales = [1.0 / (1 + i) for i in range(len(samples))]
    alone = [batch for s, w in zip(samples, scales, strict=True) for batch in pack([s], [w], limit)]
    order = list(range(len(samples)))
    random.Random(seed).shuffle(order)
    loss, gradients = result(learner, alone)
    shared, ours = result(learner, pack([samples[i] for i in order], [scales[i] for i in order], limit))
    assert shared == pytest.approx(loss, rel=tolerance, abs=tolerance)
    assert ours.keys() == gradients.keys()
    for name, gradient in ours.items():
        size = max(1.0, float(gradients[name].abs().max()))
        torch.testing.assert_close(gradient / size, gradients[name] / size, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", ["llama", "window"])
def test_a_sibling_changes_nothing(llama, kind) -> None:
    """Another completion of the same prompt, of the same length, in the same micro-batch: bit for bit the same."""
    learner = Learner(llama() if kind == "llama" else windowed(torch.float64), OptimConfig(), 1)
    prompt, own = (1, 2, 3, 4, 5), (6, 7, 8)
    rows = []
    for sibling in ((9, 9, 9), (10, 3, 11)):
        pair = [Sample(prompt + tail, 5, (True,) * 3, (0.0,) * 3) for tail in (own, sibling)]
        [batch] = pack(pair, [1.0, 1.0], 99)
        rows.append(learner._forward(learner.model, batch).logprobs_N[:3])
    assert torch.equal(rows[0], rows[1])


def test_the_prompt_learns_from_every_completion(llama) -> None:
    """The prompt's own embedding gets the sum of what each completion alone would send it."""
    learner = Learner(llama(), OptimConfig(), 1)
    samples = [Sample((1, 2, tail), 2, (True,), (0.0,), 1.0) for tail in (5, 6, 7)]
    [together] = pack(samples, [1.0] * 3, 99)
    assert together.lengths == (2, 1, 1, 1)
    _, shared = result(learner, [together])
    sums: dict[str, Tensor] = {}
    for sample in samples:
        for name, gradient in result(learner, pack([sample], [1.0], 99))[1].items():
            sums[name] = sums.get(name, torch.zeros_like(gradient)) + gradient
    for name, gradient in shared.items():
        torch.testing.assert_close(gradient, sums[name], rtol=0, atol=1e-10)
