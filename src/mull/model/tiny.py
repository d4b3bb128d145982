"""A small model and its word-level tokenizer, made on the user's machine: a base model before it has read anything.

Plain Hugging Face classes, so that everything that works on it works on Llama or Qwen. Embeddings start at a standard
deviation of 0.2 instead of 0.02: with 40 words and tied embeddings the small start costs most of the first 300 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from mull.core.config import Config
from mull.model.attention import ATTENTION

TEMPLATE = "{{ bos_token }} {% for message in messages %}{{ message['content'] }}{% endfor %}"


class TinyConfig(Config):
    """The shape of a small model."""

    architecture: Literal["llama", "qwen2"] = "llama"
    hidden: int = Field(default=96, ge=8, description="width of the residual stream")
    layers: int = Field(default=3, ge=1)
    heads: int = Field(default=4, ge=1)
    kv_heads: int = Field(default=2, ge=1, description="key/value heads; divides heads")
    feed_forward: int = Field(default=256, ge=8)
    max_positions: int = Field(default=512, ge=16, description="longest prompt plus completion, in tokens")
    embedding_std: float = Field(default=0.2, gt=0)

    @model_validator(mode="after")
    def _heads_fit(self) -> TinyConfig:
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden must be heads times an even width; {self.hidden} is not with {self.heads} heads")
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads must divide heads; {self.kv_heads} does not divide {self.heads}")
        return self


def word_tokenizer(words: Sequence[str], pad: str, bos: str, eos: str) -> PreTrainedTokenizerFast:
    """A tokenizer that splits at white space and knows exactly `words`, in id order."""
    ids = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.WordLevel(ids, unk_token=pad))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=pad, bos_token=bos, eos_token=eos, unk_token=pad,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.chat_template = TEMPLATE
    return tokenizer


FAMILIES = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}


def small_model(config: TinyConfig, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    """A freshly initialised model of the given shape, its weights fixed by `seed` (float32)."""
    special: dict[str, Any] = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")
    }
    shape_of, model_of = FAMILIES[config.architecture]
    shape = shape_of(
        vocab_size=len(tokenizer), hidden_size=config.hidden, intermediate_size=config.feed_forward,
        num_hidden_layers=config.layers, num_attention_heads=config.heads, num_key_value_heads=config.kv_heads,
        max_position_embeddings=config.max_positions, tie_word_embeddings=True, rms_norm_eps=1e-5,
        **special,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_of(shape)
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                std = config.embedding_std if "embed" in name else weight.shape[1] ** -0.5
                torch.nn.init.normal_(weight, std=std)
    model.set_attn_implementation(ATTENTION)
    return model
