"""Body and head apart give the logits that the model gives whole: tied, with bias, soft-capped, scaled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from mull.core.errors import UserError
from mull.model.attention import ATTENTION, PackedLayout
from mull.model.head import hidden_states, lm_head

torch.set_num_threads(1)
SHAPE: dict[str, Any] = {
    "vocab_size": 29, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tied": ("Llama", {"tie_word_embeddings": True}),
    "untied": ("Llama", {"tie_word_embeddings": False}),
    "bias": ("Phi", {}),
    "soft-capped": ("Gemma2", {"head_dim": 8, "attn_logit_softcapping": None, "final_logit_softcapping": 3.0}),
    "divided": ("Granite", {"logits_scaling": 5.0}),
    "multiplied": ("Cohere", {"logit_scale": 0.25}),
}


def build(kind: str) -> Any:
    name, options = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**SHAPE, **options))
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.5)
    model.set_attn_implementation(ATTENTION)
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_body_then_head_equals_the_whole_model(kind: str) -> None:
    model = build(kind)
    ids = torch.randint(29, (1, 11), generator=torch.Generator().manual_seed(0))
    positions, layout = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3]]), PackedLayout.from_lengths([7, 4])
    expected = model(input_ids=ids, position_ids=positions, mull=layout, use_cache=False).logits
    head = lm_head(model)
    hidden = hidden_states(model, ids, positions, layout)
    assert hidden.shape == (1, 11, 32)
    logits = torch.nn.functional.linear(hidden, head.weight, head.bias) * head.scale
    if head.softcap:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    special = {"bias": head.bias is not None, "soft-capped": head.softcap == 3.0, "divided": head.scale == 0.2}
    assert special.get(kind, kind != "multiplied" or head.scale == 0.25)


def test_a_model_without_a_linear_head_is_refused() -> None:
    model = transformers.LlamaModel(transformers.LlamaConfig(**SHAPE))
    with pytest.raises(UserError, match="LlamaModel has no linear output head"):
        lm_head(model)
