"""LoRA: low-rank adapters beside frozen linear layers, by peft, inside the model that everything else already knows.

    y = W x + (α / r) · B A x,   A [r, in] random, B [out, r] zero      2106.09685 eq. 3

The adapters are injected in place: the model keeps its class, so that engine, learner and saving need not know of them.
With the adapters off the model is the one it was made from: the reference model of a KL term, for free. Merging adds
B A to W once, at the end, in float32; a 16-bit model is never merged and unmerged, which would round it every time.
Left out on purpose: quantised bases, several adapters, dropout (the policy that is trained is the one that sampled).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from pydantic import Field
from torch import nn

from mull.core.config import Config
from mull.core.errors import UserError, nearest


class LoraConfig(Config):
    """Adapters of a training stage. Example: `LoraConfig(rank=16, alpha=32.0)`"""

    rank: int = Field(default=32, ge=1, description="r; small ranks are enough for reinforcement learning")
    alpha: float = Field(default=64.0, gt=0, description="the adapters' output is scaled by alpha / rank")
    targets: tuple[str, ...] = Field(
        default=(), description='names of linear layers, such as "q_proj"; default: all but the output head'
    )


def add_lora(model: nn.Module, config: LoraConfig, seed: int) -> None:
    """Freeze `model` and put fresh adapters beside its linear layers, in place; they change nothing yet (B = 0).

    Raises:
        UserError: `targets` names no layer of this model.
    """
    _check_targets(model, config.targets)
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules=list(config.targets) or "all-linear",
    )
    model.requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(settings, model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # small, and what the optimizer steps


def _check_targets(model: nn.Module, targets: tuple[str, ...]) -> None:
    """Raises UserError for a name that is no linear layer of the body: peft would drop it, or adapt tied tables."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    layers = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head}
    for target in targets:
        if target not in layers:
            raise UserError(f"lora.targets: no linear layer {target!r} in the model's body{nearest(target, layers)}")


def has_lora(model: nn.Module) -> bool:
    """Whether `model` carries adapters."""
    return any(True for _ in _adapted(model))


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Inside, the model is the one that `add_lora` was given."""
    layers = [layer for _, _, layer in _adapted(model)]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for layer in layers:
            layer.enable_adapters(False)
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter in trained:
            parameter.requires_grad_(True)


def merge_lora(model: nn.Module) -> None:
    """Add the adapters to the weights and take them away, in place: a plain model again, every weight trainable.

    A model without adapters stays as it is.
    """
    for parent, name, layer in list(_adapted(model)):
        layer.merge()  # type: ignore[operator]
        setattr(parent, name, layer.get_base_layer())
    model.requires_grad_(True)
    for trace in ("peft_config", "_hf_peft_config_loaded"):
        model.__dict__.pop(trace, None)


def _adapted(model: nn.Module) -> Iterator[tuple[nn.Module, str, BaseTunerLayer]]:
    """(parent, name in it, layer) of every layer with adapters."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, BaseTunerLayer):
                yield parent, name, child
