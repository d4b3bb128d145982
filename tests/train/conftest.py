"""A tiny Llama and rollouts of it, for everything that trains."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Verdict, VerdictKind
from mull.model.attention import ATTENTION

VOCABULARY = 17


def build_llama(
    dtype: torch.dtype = torch.float64, seed: int = 0, tied: bool = True, attention: str = ATTENTION
) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.3)
    if dtype is torch.float64:
        _norms_in_full_precision(model)
    model.set_attn_implementation(attention)
    return model.to(dtype).eval()  # type: ignore[arg-type]


def _norms_in_full_precision(model: LlamaForCausalLM) -> None:
    """transformers' norm computes in fp32 even in a float64 model, which would drown finite differences in rounding."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LlamaRMSNorm):
                setattr(parent, name, torch.nn.RMSNorm(child.weight.shape[0], eps=child.variance_epsilon))


def build_groups(prompts: int = 4, samples: int = 4, seed: int = 0, version: int = 0) -> list[Group]:
    """Random token ids with random 0/1 rewards, some forced tokens, old logprobs near a uniform policy's."""
    rng = random.Random(seed)

    def completion(prompt: tuple[int, ...], number: int) -> Completion:
        length = rng.randint(1, 14)
        tokens = tuple(rng.randrange(VOCABULARY) for _ in range(length))
        old = tuple(rng.uniform(-4.0, -2.0) for _ in range(length))
        forced = frozenset(i for i in range(1, length) if rng.random() < 0.15)
        finish = FinishReason.LENGTH if length > 11 else FinishReason.STOP
        return Completion(prompt, tokens, old, finish, forced=forced, sample=number, version=version)

    groups = []
    for number in range(prompts):
        prompt = tuple(rng.randrange(VOCABULARY) for _ in range(rng.randint(1, 5)))
        rewards = [float(rng.random() < 0.5) for _ in range(samples - 2)] + [0.0, 1.0]
        verdict = Verdict(VerdictKind.WRONG)
        rows = tuple(Scored(completion(prompt, i), verdict, reward) for i, reward in enumerate(rewards))
        groups.append(Group(Problem(f"p/{number}", (Message("user", "?"),), "number", {}), rows, draw=number))
    return groups


@pytest.fixture
def llama() -> Callable[..., LlamaForCausalLM]:
    return build_llama


@pytest.fixture
def rollouts() -> Callable[..., list[Group]]:
    return build_groups
