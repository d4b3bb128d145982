"""Models are loaded and saved as plain Hugging Face directories, or refused in one line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertLMHeadModel,
    BertModel,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.model import hub
from mull.model.attention import ATTENTION, PackedLayout
from mull.model.head import hidden_states, lm_head
from mull.model.load import check_source, load_model, save_model
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

SHAPE: dict[str, Any] = {
    "vocab_size": 16, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
IDS = [1, 3, 7, 5, 4, 9, 2, 11]


def ours(model: Any, ids: list[int]) -> torch.Tensor:
    """Logits `[T, V]` through our attention."""
    layout, head = PackedLayout.from_lengths([len(ids)]), lm_head(model)
    return hidden_states(model, torch.tensor([ids]), torch.arange(len(ids))[None], layout)[0] @ head.weight.T


def write(model: Any, tokenizer: PreTrainedTokenizerFast, path: Path) -> Path:
    """As anybody's script would save it."""
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def refused(source: str | Path, *parts: str, check: bool) -> None:
    """`check`: whether the cheap look finds it too."""
    for look in (load_model, check_source) if check else (load_model,):
        with pytest.raises(UserError) as caught:
            look(source)
        assert "\n" not in str(caught.value)
        for part in parts:
            assert part in str(caught.value)
    if not check:
        check_source(source)


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_a_tokenizer_comes_back_as_it_was_whatever_the_model_s_family(tmp_path: Path, architecture: str) -> None:
    tokenizer = word_tokenizer(vocabulary(general=True), PAD, BOS, EOS)
    shape = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "feed_forward": 16, "architecture": architecture}
    model = small_model(TinyConfig.model_validate(shape), tokenizer, 0)
    save_model(model, tokenizer, tmp_path / "model")
    text = "3 5 8 make 4 <think> 3 5 + 8 yes so </think> merci"
    loaded = load_model(str(tmp_path / "model"))
    assert loaded.model.config.model_type == architecture
    assert loaded.tokenizer(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert Chat(loaded.tokenizer).decode_pieces(tokenizer(text)["input_ids"]) == Chat(tokenizer).decode_pieces(
        tokenizer(text)["input_ids"]
    )


def test_saved_is_plain_and_computes_the_same(
    tiny_model: Any, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    save_model(tiny_model, tiny_tokenizer, tmp_path / "model")
    assert ATTENTION not in (tmp_path / "model" / "config.json").read_text()
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model", local_files_only=True)
    assert plain.config._attn_implementation == "sdpa"
    loaded = load_model(tmp_path / "model")
    assert loaded.source == str(tmp_path / "model")
    assert not loaded.model.training and loaded.model.config._attn_implementation == ATTENTION
    expected = plain(torch.tensor([IDS])).logits[0]
    torch.testing.assert_close(ours(loaded.model, IDS), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(tiny_model, IDS), expected, atol=1e-5, rtol=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "model").get_vocab() == tiny_tokenizer.get_vocab()
    assert tiny_model.config._attn_implementation == ATTENTION, "saving changed the model at hand"


def test_saving_keeps_every_stop_token(
    tiny_model: Any, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tiny_model.generation_config = GenerationConfig(eos_token_id=[5, 9], max_new_tokens=7)
    save_model(tiny_model, tiny_tokenizer, tmp_path / "model")
    saved = GenerationConfig.from_pretrained(tmp_path / "model")
    assert saved.eos_token_id == [2, 5, 9]
    assert saved.max_new_tokens == 7
    assert tiny_model.generation_config.eos_token_id == [5, 9]
    save_model(tiny_model, tiny_tokenizer, tmp_path / "model")  # over what is there
    assert load_model(tmp_path / "model").model.generation_config.eos_token_id == [2, 5, 9]


@torch.no_grad()
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)), id="qwen2"),
        pytest.param(lambda: MistralForCausalLM(MistralConfig(**SHAPE, head_dim=8, sliding_window=3)), id="window"),
        pytest.param(
            lambda: Qwen2ForCausalLM(
                Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=3, max_window_layers=1)
            ),
            id="window of some layers",
        ),
    ],
)
def test_other_families_compute_as_their_authors_meant(
    model: Any, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path = write(model(), tiny_tokenizer, tmp_path / "other")
    check_source(path)
    plain = AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager")
    torch.testing.assert_close(
        ours(load_model(path).model, IDS), plain(torch.tensor([IDS])).logits[0], atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_types_of_16_bits(dtype: str, tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path) -> None:
    path = write(tiny_model, tiny_tokenizer, tmp_path / "model")
    assert load_model(path, dtype).model.dtype == getattr(torch, dtype)
    with pytest.raises(UserError, match="did you mean 'float16'"):
        load_model(path, "flaot16")


T5_SHAPE = {"vocab_size": 16, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: BertModel(BertConfig(**SHAPE)), "BertModel"),
        (lambda: BertLMHeadModel(BertConfig(**SHAPE)), "BertLMHeadModel"),
        (lambda: T5ForConditionalGeneration(T5Config(**T5_SHAPE)), "T5ForConditionalGeneration"),
    ],
)
def test_what_is_no_causal_model_is_refused(model: Any, name: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    refused(write(model(), tiny_tokenizer, tmp_path / "m"), name, "not a causal language model", check=True)


SMALL = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 2}


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: MambaForCausalLM(MambaConfig(**SMALL, state_size=2)), id="mamba"),
        pytest.param(lambda: RwkvForCausalLM(RwkvConfig(**SMALL, attention_hidden_size=8)), id="rwkv"),
        pytest.param(
            lambda: RecurrentGemmaForCausalLM(RecurrentGemmaConfig(**SHAPE, head_dim=8, lru_width=16)), id="hybrid"
        ),
    ],
)
def test_a_recurrent_model_is_refused_by_name(model: Any, tiny_tokenizer: Any, tmp_path: Path) -> None:
    made = model()
    path = write(made, tiny_tokenizer, tmp_path / "m")
    refused(path, type(made).__name__, "is not supported", "Llama", check=False)


class LeakyLlama(LlamaForCausalLM):
    """Mixes every token with the one before it, as a short convolution would, without regard to segments."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.model.norm.register_forward_hook(lambda module, given, out: out + out.roll(1, dims=1))


class Deaf(LlamaForCausalLM):
    """Places tokens by where they stand in the stream, whatever positions it is told."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        rotary = self.model.rotary_emb
        told = rotary.forward
        rotary.forward = lambda x, position_ids: told(x, torch.arange(x.shape[1])[None] ** 2)  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", [LeakyLlama, Deaf])
def test_a_segment_that_shines_through_is_seen(
    kind: type[LlamaForCausalLM], tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tiny_model, tiny_tokenizer, tmp_path / "m")
    load_model(path)
    monkeypatch.setattr("mull.model.load.AutoModelForCausalLM", kind)
    refused(path, "more than their own past", check=False)


def test_missing_things_are_named(
    tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULL_CACHE", str(tmp_path / "cache"))
    refused(tmp_path / "absent", "no such model directory", check=True)
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "config.json", check=True)
    tiny_model.save_pretrained(tmp_path / "silent")
    refused(tmp_path / "silent", "tokenizer", check=True)
    refused("smollm2", "run: mull fetch smollm2", check=True)
    refused(tmp_path / "absent.gguf", "absent.gguf", check=True)
    (tmp_path / "bad.gguf").write_bytes(b"GIF89a..")
    refused(tmp_path / "bad.gguf", "not a GGUF file", check=True)
    refused(tmp_path / "silent" / "config.json", "is a file", check=True)
    for text, part in [("{", "not JSON"), ("[]", "not a model"), ("{}", "no architecture")]:
        (tmp_path / "silent" / "config.json").write_text(text)
        refused(tmp_path / "silent", part, check=True)


def test_damaged_weights(tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path) -> None:
    path = write(tiny_model, tiny_tokenizer, tmp_path / "m")
    weights = load_file(path / "model.safetensors")
    missing = "model.layers.1.mlp.up_proj.weight"
    save_file({k: v for k, v in weights.items() if k != missing}, path / "model.safetensors", {"format": "pt"})
    refused(path, missing, check=False)
    (path / "model.safetensors").write_bytes(b"\0" * 40)
    refused(path, "weights cannot be loaded", check=False)
    (path / "model.safetensors").unlink()
    refused(path, "weights cannot be loaded", check=False)


def test_a_hub_that_cannot_be_reached_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: refused
    started = time.monotonic()
    refused("somebody/a-model", "cannot be reached", "mull fetch smollm2", check=True)
    assert time.monotonic() - started < 5
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("asked although offline"))
    refused("somebody/a-model", "cannot be reached", check=True)


def test_a_directory_asks_no_network(
    tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tiny_model, tiny_tokenizer, tmp_path / "m")
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("a directory asked the network"))
    assert json.loads((path / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    load_model(path)
    assert not hub.is_offline()
