"""Loads and saves Hugging Face causal language models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mull.core.errors import UserError
from mull.core.files import write_directory
from mull.model.attention import ATTENTION


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer, and where they came from. Example: `load_model("runs/a/stages/base/model").model`"""

    model: Any
    tokenizer: Any
    source: str


def load_model(source: str | Path, dtype: str = "float32", device: str = "cpu") -> LoadedModel:
    """Load a model directory."""
    if not Path(source).is_dir():
        raise UserError(f"{source}: no such directory")
    model = AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, dtype), local_files_only=True)
    model.set_attn_implementation(ATTENTION)
    return LoadedModel(
        model.to(device).eval(), AutoTokenizer.from_pretrained(source, local_files_only=True), str(source)
    )


def check_source(source: str) -> None:
    """Cheap validation before a run."""
    if not Path(source).is_dir():
        raise UserError(f"{source}: no such directory")


def save_model(model: Any, tokenizer: Any, directory: Path) -> None:
    """Write a plain Hugging Face directory, atomically."""

    def fill(path: Path) -> None:
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)

    write_directory(directory, fill)
