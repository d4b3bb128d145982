"""Loads and saves Hugging Face causal language models.

A directory never needs the network; a hub id does. Whatever is loaded attends through "mull", and is refused in one
line when it can't: no causal model, or layers that do not attend (recurrent and hybrid kinds).
Left out on purpose: quantised inference, and adapters.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from mull.core.errors import UserError
from mull.core.files import write_directory
from mull.model.attention import ATTENTION, PackedLayout
from mull.model.head import hidden_states

logging.disable_progress_bar()  # the command line shows its own
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
HINT = "name a model directory, a stage, or a hub id that can be reached"


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer, and where they came from. Example: `load_model("runs/a/stages/base/model").model`"""

    model: Any
    tokenizer: Any
    source: str


def load_model(source: str | Path, dtype: str = "float32", device: str = "cpu") -> LoadedModel:
    """A causal language model in eval mode with "mull" attention, and its tokenizer.

    Raises:
        UserError: it is missing, of another kind, not supported, or has no tokenizer; or the dtype is unknown.
    """
    if dtype not in DTYPES:
        raise UserError(f"unknown dtype {dtype!r}: choose {' or '.join(DTYPES)}")
    check_source(source)
    local = Path(source).is_dir()
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{source}: no usable tokenizer here ({_first_line(error)})") from None
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=DTYPES[dtype], local_files_only=local)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{source}: cannot be loaded as a causal language model ({_first_line(error)})") from None
    _attend_through_mull(model, str(source))
    return LoadedModel(model.to(device).eval(), tokenizer, str(source))


def check_source(source: str | Path) -> None:
    """A cheap look, before anything runs: is this a causal language model?

    Raises:
        UserError: no such directory, no configuration, or a model of another kind.
    """
    path = Path(source)
    if not path.is_dir():
        looks_local = str(source).startswith((".", "/", "~")) or str(source).count("/") != 1
        if looks_local:
            raise UserError(f"{source}: no such model; {HINT}")
        return
    config = path / "config.json"
    if not config.exists():
        raise UserError(f"{source}: no model here (config.json is missing); {HINT}")
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
        kind = values.get("model_type", "")
    except (ValueError, AttributeError):
        raise UserError(f"{config}: not a model configuration") from None
    names = values.get("architectures") or []
    wrong_head = bool(names) and not any("CausalLM" in name or "LMHead" in name for name in names)
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or wrong_head:
        what = names[0] if names else kind or "unknown"
        raise UserError(f"{source}: a {what} is no causal language model; choose one that generates text left to right")


def _attend_through_mull(model: Any, source: str) -> None:
    """Switch the attention over, and see that every layer uses it.

    Raises:
        UserError: some layer does not: a recurrent, hybrid or otherwise unsupported kind.
    """
    kind = model.config.model_type
    calls: list[int] = []

    class Counted(PackedLayout):
        def attend(self, layer: int, *rest: Any) -> Any:
            calls.append(layer)
            return super().attend(layer, *rest)

    try:
        model.set_attn_implementation(ATTENTION)
        with torch.no_grad():
            ids = torch.zeros(1, 2, dtype=torch.long, device=model.device)
            hidden_states(model, ids, torch.arange(2, device=model.device)[None], Counted.from_lengths([2]))
    except UserError:
        raise
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{source}: models of kind {kind} are not supported ({_first_line(error)})") from None
    layers = getattr(model.config, "num_hidden_layers", None)
    if sorted(calls) != list(range(layers or len(calls))) or not calls:
        raise UserError(f"{source}: models of kind {kind} are not supported: not every layer attends to tokens")


def save_model(model: Any, tokenizer: Any, directory: Path) -> None:
    """A plain Hugging Face directory that transformers and vLLM load as it is; atomic."""

    def fill(path: Path) -> None:
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)

    write_directory(directory, fill)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
