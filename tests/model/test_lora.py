"""Adapters: nothing at first, then a low-rank change, the same logits merged and apart, the old model with them off."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from mull.core.errors import UserError
from mull.model.lora import LoraConfig, adapters_off, add_lora, has_lora, merge_lora
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
IDS = torch.tensor([[1, 5, 9, 12, 7, 3]])
CONFIG = LoraConfig(rank=4, alpha=8.0)


def tiny() -> LlamaForCausalLM:
    model = small_model(TinyConfig(hidden=32, layers=2, feed_forward=48), TOKENIZER, 0)
    model.set_attn_implementation("sdpa")
    return model.eval()


def logits(model: LlamaForCausalLM) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def disturb(model: LlamaForCausalLM) -> None:
    """As if trained: adapters that change something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


def test_fresh_adapters_change_nothing_and_only_they_train() -> None:
    plain, model = tiny(), tiny()
    add_lora(model, CONFIG, seed=0)
    assert torch.equal(logits(model), logits(plain)) and has_lora(model) and not has_lora(plain)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 7 * 2 and all("lora_" in name for name in trained)  # A and B of 7 layers, 2 blocks


def test_merged_and_unmerged_give_the_same_logits_and_off_gives_the_old_ones() -> None:
    plain, model = tiny(), tiny()
    add_lora(model, CONFIG, seed=0)
    disturb(model)
    apart = logits(model)
    assert (apart - logits(plain)).abs().max() > 0.1
    with adapters_off(model):
        assert torch.equal(logits(model), logits(plain))
    assert torch.equal(logits(model), apart)
    assert sum(p.requires_grad for p in model.parameters()) == 28
    merge_lora(model)
    torch.testing.assert_close(logits(model), apart, rtol=1e-5, atol=1e-5)
    assert not has_lora(model) and all(p.requires_grad for p in model.parameters())


def test_a_merged_model_is_saved_as_a_plain_one(tmp_path: Path) -> None:
    model = tiny()
    add_lora(model, CONFIG, seed=0)
    disturb(model)
    apart = logits(model)
    merge_lora(model)
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("adapter*"))
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert {n for n, _ in again.named_parameters()} == {n for n, _ in tiny().named_parameters()}
    torch.testing.assert_close(logits(again), apart, rtol=1e-5, atol=1e-5)


def test_the_seed_fixes_the_adapters_and_leaves_the_generator_alone() -> None:
    models = [tiny() for _ in range(3)]
    before = torch.get_rng_state()
    for model, seed in zip(models, (0, 0, 1), strict=True):
        add_lora(model, CONFIG, seed)
    assert torch.equal(before, torch.get_rng_state())
    first, same, other = ([p for p in m.parameters() if p.requires_grad and p.abs().sum() > 0] for m in models)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_adapters_of_a_16_bit_model_are_float32() -> None:
    model = tiny().bfloat16()
    add_lora(model, CONFIG, seed=0)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    disturb(model)
    apart = logits(model)
    merge_lora(model)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert (logits(model) - apart).float().abs().max() < 0.1


def test_chosen_layers_and_mistakes() -> None:
    model = tiny()
    add_lora(model, LoraConfig(targets=("q_proj", "v_proj")), seed=0)
    assert sum(p.requires_grad for p in model.parameters()) == 2 * 2 * 2
    for wrong in (("q_proj", "v_porj"), ("embed_tokens",), ("lm_head",), ("mlp",)):
        with pytest.raises(UserError, match=rf"lora\.targets: no linear layer '{wrong[-1]}'"):
            add_lora(tiny(), LoraConfig(targets=wrong), seed=0)
