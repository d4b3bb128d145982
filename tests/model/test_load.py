"""Models are loaded and saved as plain Hugging Face directories, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertModel, MambaConfig, MambaForCausalLM, Qwen2Config
from transformers import Qwen2ForCausalLM

from mull.core.errors import UserError
from mull.model.attention import ATTENTION, PackedLayout
from mull.model.head import hidden_states, lm_head
from mull.model.load import check_source, load_model, save_model
from mull.model.tiny import TinyConfig, tiny_llama, word_tokenizer

TOKENIZER = word_tokenizer(["<pad>", "<bos>", "<eos>", "a", "b"], "<pad>", "<bos>", "<eos>")
SHAPE = TinyConfig(hidden=16, layers=2, heads=2, kv_heads=1, feed_forward=32)


def test_saved_loads_in_plain_transformers_with_the_same_logits(tmp_path: Path) -> None:
    model = tiny_llama(SHAPE, TOKENIZER, seed=0)
    save_model(model, TOKENIZER, tmp_path / "model")
    assert ATTENTION not in json.loads((tmp_path / "model" / "config.json").read_text()).values()
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    ids = torch.tensor([[1, 3, 4, 3, 2]])
    loaded = load_model(tmp_path / "model").model
    hidden = hidden_states(loaded, ids, torch.arange(5)[None], PackedLayout.from_lengths([5]))
    torch.testing.assert_close(hidden @ lm_head(loaded).weight.T, plain(ids).logits, atol=1e-5, rtol=1e-5)
    assert load_model(tmp_path / "model").tokenizer.get_vocab() == TOKENIZER.get_vocab()


def test_another_family_of_models_loads_too(tmp_path: Path) -> None:
    shape = Qwen2Config(
        vocab_size=5, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    save_model(Qwen2ForCausalLM(shape), TOKENIZER, tmp_path / "qwen")
    assert load_model(tmp_path / "qwen").model.config.model_type == "qwen2"


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_what_is_no_causal_model_is_refused(tmp_path: Path) -> None:
    shape = BertConfig(
        vocab_size=5, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )  # fmt: skip
    save_model(BertModel(shape), TOKENIZER, tmp_path / "bert")
    refused(tmp_path / "bert", "BertModel", "no causal language model")


def test_a_recurrent_model_is_refused_by_name(tmp_path: Path) -> None:
    save_model(
        MambaForCausalLM(MambaConfig(vocab_size=5, hidden_size=8, state_size=2, num_hidden_layers=1)),
        TOKENIZER,
        tmp_path / "mamba",
    )
    refused(tmp_path / "mamba", "mamba", "not supported")


def test_missing_things_are_named(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "no such model")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "config.json")
    tiny_llama(SHAPE, TOKENIZER, seed=0).save_pretrained(tmp_path / "silent")
    refused(tmp_path / "silent", "tokenizer")
    with pytest.raises(UserError, match="unknown dtype"):
        load_model(tmp_path / "silent", "float8")
    check_source("somebody/a-model-of-the-hub")
