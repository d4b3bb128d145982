"""Loads and saves Hugging Face causal language models: a directory, a GGUF file, a fetched name or a hub id.

What is saved is a plain model directory that transformers and vLLM load without mull. A directory never needs the
network. Left out on purpose: models with code of their own (`trust_remote_code`), quantised training, shards of a
model on several devices.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import logging as transformers_logging

from mull.core.chat import chat_for
from mull.core.errors import UserError, nearest
from mull.core.files import write_directory
from mull.model import hub
from mull.model.attention import ATTENTION
from mull.model.cache import KNOWN, in_cache
from mull.model.gguf import check_gguf, converted
from mull.model.probe import check_kind

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json")
CAUSAL = frozenset(
    name
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    for name in ([names] if isinstance(names, str) else names)
)
ENCODERS = ("BertLMHeadModel", "RobertaForCausalLM", "ElectraForCausalLM", "XLMRobertaForCausalLM")


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer, and where they came from: a path or a hub id.

    Example: `load_model("runs/a/stages/base/model").model`
    """

    model: Any
    tokenizer: Any
    source: str


@dataclass(frozen=True)
class Place:
    """Where a source was found; `remote` means that the hub may be asked. Example: `Place("org/name", True)`"""

    where: str
    remote: bool = False


def load_model(source: str | Path, dtype: str = "float32", device: str = "cpu") -> LoadedModel:
    """A model in eval mode whose attention is ours, with its tokenizer.

    Args:
        source: a model directory, a `.gguf` file, a name that `mull fetch` knows, or a hub id.
        dtype: float32, bfloat16 or float16.
        device: as torch names it.

    Raises:
        UserError: nothing there, not a causal language model, a kind that is not supported, parts missing.

    Example: `loaded = load_model("smollm2", "bfloat16")`
    """
    if dtype not in DTYPES:
        raise UserError(f"unknown dtype {dtype!r}{nearest(dtype, DTYPES)}")
    place = _locate(source)
    with quietly():
        if place.where.endswith(".gguf"):
            place = Place(str(converted(Path(place.where))))
        model, tokenizer = _weights(place, DTYPES[dtype]), _tokenizer(place)
    model = model.to(device).eval()
    check_kind(model, str(source))
    return LoadedModel(model, tokenizer, place.where)


def check_source(source: str | Path) -> None:
    """What can be known about a source without reading weights; for use before a run starts.

    Raises:
        UserError: as `load_model`, but for the kinds of layers and damaged weights.
    """
    _locate(source)


def save_model(model: Any, tokenizer: Any, directory: Path) -> None:
    """Write a plain Hugging Face directory, atomically; its generation config stops where mull's own sampling does.

    Example: `save_model(loaded.model, loaded.tokenizer, Path("model"))`
    """
    own = getattr(model, "generation_config", None)
    generation = copy.deepcopy(own) if own is not None else GenerationConfig()
    stops = sorted(chat_for(tokenizer, generation).stop_ids)
    generation.eos_token_id = stops if len(stops) > 1 else stops[0]

    def fill(temporary: Path) -> None:
        with quietly():
            model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        generation.save_pretrained(temporary)
        forget_attention(temporary / "config.json")

    write_directory(directory, fill)


def forget_attention(path: Path) -> None:
    """A reader without mull must not be told of an attention that it does not have."""
    config = json.loads(path.read_text(encoding="utf-8"))
    kept = {k: v for k, v in config.items() if not (k.endswith("attn_implementation") and v == ATTENTION)}
    if kept != config:
        path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _locate(source: str | Path) -> Place:
    """Where the source is, checked as far as that is cheap; a directory comes before a name, a name before the hub."""
    text, path = str(source), Path(source).expanduser()
    if path.is_dir():
        _check_directory(path)
        return Place(str(path))
    if text.endswith(".gguf"):
        check_gguf(path)
        return Place(str(path))
    if text in KNOWN:
        found = in_cache(KNOWN[text])
        if found is None:
            raise UserError(f"model {text!r} is not on this machine yet; run: mull fetch {text}")
        return Place(str(found.path))
    if path.exists():
        raise UserError(f"{text} is a file: give a model directory or a .gguf file")
    if text != text.strip() or text.count("/") > 1 or not text or text[0] in "./~" or text.endswith("/"):
        raise UserError(
            f"{text}: no such model directory; give one that exists, or run `mull fetch smollm2` and use smollm2"
        )
    reachable = hub.is_reachable()
    _check_config(hub.hub_config(text, reachable), text)
    return Place(text, remote=reachable)


def _check_directory(path: Path) -> None:
    config = path / "config.json"
    if not config.is_file():
        raise UserError(f"{path} has no config.json: give the directory of a saved model")
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{config} is not JSON ({error}): was it saved completely?") from error
    if not isinstance(values, dict):
        raise UserError(f"{config} is not a model's configuration")
    _check_config(values, str(path))
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise UserError(
            f"{path} has no tokenizer: copy tokenizer.json and tokenizer_config.json of its base model there"
        )


def _check_config(config: dict[str, Any], source: str) -> None:
    """Is it a causal language model by its own word?"""
    names = config.get("architectures") or []
    if not names:
        raise UserError(f"{source}: its config.json names no architecture; save the model with save_pretrained")
    # Encoders are in transformers' list too, because they can be set up as decoders; is_decoder says whether they are.
    encoder = config.get("is_decoder") is False or names[0] in ENCODERS
    if names[0] not in CAUSAL or (encoder and not config.get("is_decoder")):
        raise UserError(
            f"{source}: {names[0]} is not a causal language model; choose a decoder such as LlamaForCausalLM"
        )


def _weights(place: Place, dtype: torch.dtype) -> Any:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            place.where, dtype=dtype, local_files_only=not place.remote, output_loading_info=True
        )
        model, info = loaded
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise UserError(f"{place.where}: its weights cannot be loaded ({_first_line(error)})") from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise UserError(
            f"{place.where}: {len(missing)} weights are missing, such as {missing[0]}; save the model again"
        )
    return model


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer of a model directory.

    Raises:
        UserError: it cannot be loaded.
    """
    return _tokenizer(Place(str(directory)))


GENERIC = ("TokenizersBackend", "PreTrainedTokenizerFast")


def _tokenizer(place: Place) -> Any:
    offline = not place.remote
    try:
        # Where a directory names no class of its own, transformers takes that of the model's family and rebuilds it: a
        # Qwen with a word-level tokenizer.json would get a BPE that drops the words it does not know, and says nothing.
        named = get_tokenizer_config(place.where, local_files_only=offline).get("tokenizer_class")
        kind: Any = PreTrainedTokenizerFast if named in GENERIC else AutoTokenizer
        return kind.from_pretrained(place.where, local_files_only=offline)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{place.where}: its tokenizer cannot be loaded ({_first_line(error)})") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Bars and tables of other libraries would run through our own output."""
    shown, verbosity = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if shown:
            transformers_logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
