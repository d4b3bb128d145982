"""A language model's trunk with one number at every position: reward models, process reward models, critics.

    s_t = w · h_t      h_t the last hidden state after the final norm, w starts at 0

What is saved is transformers' `…ForSequenceClassification` with one label, which other trainers and servers load as a
reward model. Left out on purpose: biases, several heads, quantiles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from mull.core.errors import UserError
from mull.core.files import write_directory
from mull.model.attention import ATTENTION, AttentionContext
from mull.model.head import hidden_states
from mull.model.load import LoadedModel, forget_attention, load_tokenizer, quietly


class LoadedScalar(NamedTuple):
    """A scalar model and its tokenizer. Example: `load_scalar("runs/a/stages/reward/model").model`"""

    model: Any
    tokenizer: Any


def scalar_of(loaded: LoadedModel) -> Any:
    """A scalar model on the trunk of a causal one, which it takes over; every score is 0 at first.

    Raises:
        UserError: transformers has no such model of this family.
    """
    config = loaded.model.config
    config.num_labels, config.problem_type = 1, "regression"
    if config.pad_token_id is None:
        config.pad_token_id = loaded.tokenizer.pad_token_id or loaded.tokenizer.eos_token_id
    try:
        with torch.device("meta"):
            model: Any = AutoModelForSequenceClassification.from_config(config)
    except ValueError:
        raise UserError(f"{config.model_type}: transformers has no model of this family with a score") from None
    if not isinstance(getattr(model, "score", None), nn.Linear):
        raise UserError(f"{type(model).__name__} has no linear score; choose a Llama or Qwen model")
    trunk = getattr(loaded.model, loaded.model.base_model_prefix)
    setattr(model, model.base_model_prefix, trunk)
    weight = next(trunk.parameters())
    model.score = nn.Linear(config.hidden_size, 1, bias=False, dtype=weight.dtype, device=weight.device)
    nn.init.zeros_(model.score.weight)
    model.config._attn_implementation = ATTENTION
    return model.eval()


def scores(model: Any, tokens_1T: Tensor, positions_1T: Tensor, context: AttentionContext, at_N: Tensor) -> Tensor:
    """The scores at positions `at_N` of a packed stream, `[N]`, in fp32 or better."""
    hidden_ND = hidden_states(model, tokens_1T, positions_1T, context)[0].index_select(0, at_N)
    precise = torch.promote_types(hidden_ND.dtype, torch.float32)
    return (hidden_ND.to(precise) @ model.score.weight.to(precise).T)[:, 0]


def save_scalar(model: Any, tokenizer: Any, directory: Path) -> None:
    """Write a plain Hugging Face directory, atomically."""

    def fill(temporary: Path) -> None:
        with quietly():
            model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        forget_attention(temporary / "config.json")

    write_directory(directory, fill)


def check_scalar(source: str | Path) -> None:
    """Raises UserError where there is no model directory."""
    if not (Path(source).expanduser() / "config.json").is_file():
        raise UserError(
            f"{source}: no model directory; name a stage of kind prm or reward_model, or one saved with one label"
        )


def load_scalar(source: str | Path, dtype: torch.dtype = torch.float32) -> LoadedScalar:
    """A saved scalar model in eval mode.

    Raises:
        UserError: nothing there, or no model with one score.
    """
    check_scalar(source)
    path = Path(source).expanduser()
    try:
        with quietly():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                path, dtype=dtype, attn_implementation=ATTENTION, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{source}: its weights cannot be loaded ({str(error).strip().splitlines()[0]})") from error
    score = getattr(model, "score", None)
    if info["missing_keys"] or not isinstance(score, nn.Linear) or score.out_features != 1 or score.bias is not None:
        raise UserError(f"{source}: no model with one score; a reward model has `score.weight` of one row")
    return LoadedScalar(model.eval(), load_tokenizer(path))
