"""GGUF files become plain model directories that compute what the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mull.core.errors import UserError
from mull.model.gguf import convert_gguf, converted
from mull.model.load import check_source, load_model

IDS = torch.tensor([[1, 40, 7, 90, 200, 33, 5]])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_converted_computes_what_was_written(write_gguf: Any, tmp_path: Path, tied: bool) -> None:
    original = write_gguf(tmp_path / "a.gguf", tied=tied)
    convert_gguf(tmp_path / "a.gguf", tmp_path / "plain")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", local_files_only=True)
    torch.testing.assert_close(plain(IDS).logits, original(IDS).logits, atol=1e-5, rtol=1e-5)
    assert plain.config.tie_word_embeddings is tied
    assert "quantization_config" not in (tmp_path / "plain" / "config.json").read_text()
    assert plain.generation_config.eos_token_id == 2


@torch.no_grad()
def test_quantised_weights_are_those_that_transformers_reads(write_gguf: Any, tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "q.gguf", kind=gguf.GGMLQuantizationType.Q8_0)
    convert_gguf(tmp_path / "q.gguf", tmp_path / "plain")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="q.gguf", dtype=torch.float32)
    for name, weight in read.state_dict().items():
        assert torch.equal(weight, plain.state_dict()[name]), name
    assert torch.equal(plain(IDS).logits, read(IDS).logits)
    change = (plain(IDS).logits - original(IDS).logits).abs().max()
    assert 0 < change < 0.1 * original(IDS).logits.abs().max()  # it was quantised, and not garbled


def test_smollm_keeps_every_digit_a_token(write_gguf: Any, tmp_path: Path) -> None:
    for pre, pieces in (("smollm", ["ĊĊ", "1", "2", "Ġt"]), ("gpt-2", ["Ċ", "Ċ", "12", "Ġt"])):
        write_gguf(tmp_path / f"{pre}.gguf", pre=pre)
        convert_gguf(tmp_path / f"{pre}.gguf", tmp_path / pre)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / pre)
        ids = tokenizer("\n\n12 t", add_special_tokens=False)["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids) == pieces
        assert tokenizer.decode(ids) == "\n\n12 t"
        assert tokenizer.eos_token == "<|im_end|>"
        turns = [{"role": "user", "content": "t"}]
        assert tokenizer.apply_chat_template(turns, tokenize=False) == "<|im_start|>t<|im_end|><|im_start|>"


def test_a_gguf_file_loads_and_is_converted_once(write_gguf: Any, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.gguf"
    write_gguf(path)
    check_source(path)
    loaded = load_model(path)
    first = converted(path)
    assert first.parent == cache / "models"
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    path.rename(tmp_path / "b.gguf")  # the same contents under another name
    assert converted(tmp_path / "b.gguf") == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    assert loaded.tokenizer.eos_token_id == 2


def test_what_is_no_whole_gguf_file_is_refused_and_leaves_nothing(write_gguf: Any, tmp_path: Path, cache: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    whole = (tmp_path / "a.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "head.gguf").write_bytes(whole[:40])
    (tmp_path / "other.gguf").write_bytes(b"PK\x03\x04")
    for name, part in (
        ("cut", "cannot be converted"),
        ("head", "cannot be converted"),
        ("other", "not a GGUF"),
        ("no", "cannot be read"),
    ):
        with pytest.raises(UserError, match=part) as caught:
            converted(tmp_path / f"{name}.gguf")
        assert "\n" not in str(caught.value)
    assert not list(cache.rglob("*"))


def test_an_architecture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "never-heard-of")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(UserError, match="cannot be converted"):
        converted(tmp_path / "x.gguf")
