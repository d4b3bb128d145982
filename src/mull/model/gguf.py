"""GGUF files to plain Hugging Face directories, once.

transformers reads a GGUF file but takes many times longer than for safetensors, and refuses to save what it read. Here
the model is rebuilt from its configuration without the quantisation and written in float32: exactly the numbers of
the file. Two losses on the way are mended: tied embeddings that come back untied, and SmolLM2's pre-tokenizer.
Left out on purpose: writing GGUF, and computing with quantised weights.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from mull.core.errors import UserError
from mull.core.files import sha256_file, write_directory
from mull.model.cache import cache_root

MAGIC = b"GGUF"


def check_gguf(path: Path) -> None:
    """A cheap look at the first bytes.

    Raises:
        UserError: no such file, or not a GGUF file.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if magic != MAGIC:
        raise UserError(f"{path}: not a GGUF file (its first bytes are {magic!r}); give the path of a whole .gguf file")


def converted(path: Path) -> Path:
    """The directory in the cache that holds this file's model, made now if it was not there. Known by its contents.

    Raises:
        UserError: not a GGUF file, or of a model that transformers cannot read.
    """
    check_gguf(path)
    directory = cache_root() / "models" / f"gguf-{sha256_file(path)[:16]}"
    if not (directory / "config.json").is_file():
        convert_gguf(path, directory)
    return directory


def convert_gguf(path: Path, directory: Path) -> None:
    """Write the model and tokenizer of a GGUF file as a plain Hugging Face directory in float32; atomic.

    Raises:
        UserError: not a GGUF file, or of a model that transformers cannot read.
    """
    check_gguf(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name, local_files_only=True)
        read: Any = AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=torch.float32, local_files_only=True
        )
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError, struct.error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{path}: this GGUF file cannot be converted ({reason})") from None
    _repair_tokenizer(tokenizer, _pre_tokenizer_name(path))
    model = _without_quantization(read)

    def fill(target: Path) -> None:
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)

    write_directory(directory, fill)


def _without_quantization(read: Any) -> Any:
    """The same weights in a model that may be saved. Equal input and output embeddings are tied again."""
    values = read.config.to_dict()
    values.pop("quantization_config", None)
    values.pop("_name_or_path", None)
    head, embedding = read.get_output_embeddings().weight, read.get_input_embeddings().weight
    values["tie_word_embeddings"] = head.shape == embedding.shape and bool(torch.equal(head, embedding))
    config = AutoConfig.for_model(**values)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model = model.to_empty(device="cpu")
    model.load_state_dict(read.state_dict(), strict=not values["tie_word_embeddings"])
    model.tie_weights()
    for name, buffer in read.named_buffers():  # rotary frequencies and the like are not in the state dict
        model.get_buffer(name).copy_(buffer)
    model.generation_config = read.generation_config
    return model


def _pre_tokenizer_name(path: Path) -> str:
    """What the file says of how text is cut before merging, such as "smollm" or "qwen2"; "" where it says nothing."""
    field = GGUFReader(path).get_field("tokenizer.ggml.pre")
    return str(field.contents()) if field else ""


def _repair_tokenizer(tokenizer: Any, kind: str) -> None:
    """SmolLM2 comes back without the step that makes every digit a token; all its numbers would be read wrongly."""
    if kind == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
