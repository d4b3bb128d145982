"""A model's weights by name, tied ones once, and back into the model.

Left out on purpose: files (`checkpoint`, `model.load`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def named_weights(model: nn.Module, trained: bool = False) -> dict[str, Tensor]:
    """Parameters (tied ones once; `trained`: without frozen ones) and persistent buffers by name, not copied."""
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: tensor for name, tensor in model.state_dict().items() if name not in every}
    kept = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad or not trained}
    return {**kept, **buffers}


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], trained: bool = False) -> None:
    """Copy `weights` (as of `named_weights`) into the model's own tensors.

    Raises:
        ValueError: names or shapes differ.
    """
    own = named_weights(model, trained)
    if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
        odd = sorted(own.keys() ^ weights.keys()) or [n for n in own if own[n].shape != weights[n].shape]
        raise ValueError(f"these weights are of another model: {odd[0]} differs")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])
