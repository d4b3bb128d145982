"""Random models small enough that a property can be tried a hundred times."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from mull.engine.base import Request, Sampling
from mull.model.attention import ATTENTION, PackedLayout

torch.set_num_threads(1)
VOCABULARY, EOS = 23, 2
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": EOS,
}  # fmt: skip


def randomised(model: Any, seed: int = 0) -> Any:
    """Weights large enough that distributions are far from uniform and every position matters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for weight in model.parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=1.5 * weight.shape[1] ** -0.5)
    return model.eval()


def build_llama(attention: str = ATTENTION) -> LlamaForCausalLM:
    model = randomised(LlamaForCausalLM(LlamaConfig(**SHAPE)))
    model.set_attn_implementation(attention)
    return model


def build_mistral(attention: str = ATTENTION) -> MistralForCausalLM:
    """A window of 6, far below the lengths that the tests decode."""
    model = randomised(MistralForCausalLM(MistralConfig(**SHAPE, head_dim=8, sliding_window=6)))
    model.set_attn_implementation(attention)
    return model


def build_gemma(attention: str = ATTENTION) -> Gemma2ForCausalLM:
    """Capped logits, every other layer with a window, a scale of its own."""
    config = Gemma2Config(
        **SHAPE, head_dim=8, sliding_window=6, attn_logit_softcapping=None, final_logit_softcapping=3.0,
        query_pre_attn_scalar=5,
    )  # fmt: skip
    model = randomised(Gemma2ForCausalLM(config))
    model.set_attn_implementation(attention)
    return model


def ragged(count: int, sampling: Callable[[int], Sampling], longest: int = 40, **extra: Any) -> list[Request]:
    """Requests with prompts of 1 to `longest` tokens and lengths of 1 to 40."""
    rng = random.Random(count)
    return [
        Request(
            f"r{number}",
            tuple(rng.randrange(3, VOCABULARY) for _ in range(rng.randint(1, longest))),
            sampling(rng.randint(1, 40)),
            **extra,
        )
        for number in range(count)
    ]


@torch.no_grad()
def full_logits(model: Any, sequences: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Logits `[T, V]` of every sequence by one packed pass."""
    lengths = [len(sequence) for sequence in sequences]
    ids = torch.tensor([[token for sequence in sequences for token in sequence]])
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    layout = PackedLayout.from_lengths(lengths)
    logits = model(input_ids=ids, position_ids=positions, mull=layout, use_cache=False).logits
    return list(logits[0].split(lengths))


def greedy(tokens: int) -> Sampling:
    return Sampling(tokens, temperature=0)


@pytest.fixture(scope="session")
def kit() -> ModuleType:
    """The functions above."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def llama() -> LlamaForCausalLM:
    return build_llama()
