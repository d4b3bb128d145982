"""A learner's exact state as a directory: whole or absent, and read without running anything from it.

    weights.safetensors     the model's weights, tied ones once
    reference.safetensors   only where the reference model is replaced on the way
    critic.safetensors      only where there is a critic
    optimizer.pt            optimizer state and every random state; loads with `weights_only=True`
    state.json              version, and the caller's own JSON (cursors, counts) under "extra"

Left out on purpose: sharded checkpoints, and pruning old ones (the run's matter).
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mull.core.files import write_directory, write_json

PARTS = ("weights", "reference", "critic")


class Trained(Protocol):
    """What can be saved and continued: a `Learner`, a `ScalarLearner`."""

    @property
    def version(self) -> int: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def save_checkpoint(directory: Path, learner: Trained, extra: Mapping[str, Any] | None = None) -> None:
    """Write the learner's state, the process's random states and `extra` (plain JSON) to `directory`, atomically."""
    write_directory(directory, lambda target: fill_checkpoint(target, learner, extra))


def fill_checkpoint(target: Path, learner: Trained, extra: Mapping[str, Any] | None = None) -> None:
    """Write the files of a checkpoint into an existing directory that somebody else renames into place."""
    state = learner.state_dict()
    for name in PARTS:
        if name in state:
            tensors = {key: value.contiguous() for key, value in state[name].items()}
            save_file(tensors, target / f"{name}.safetensors")
    with (target / "optimizer.pt").open("wb") as file:  # given a path, torch does not say why a disk refuses
        torch.save({"optimizer": state["optimizer"], "random": random_states()}, file)
    write_json(target / "state.json", {"version": state["version"], "extra": dict(extra or {})})


def load_checkpoint(directory: Path, learner: Trained) -> dict[str, Any]:
    """Put `learner` and the process's random states where `save_checkpoint` found them; returns `extra`.

    Raises:
        FileNotFoundError: `directory` is no checkpoint.
        ValueError: it is one of another model or optimizer.
    """
    record = json.loads((directory / "state.json").read_text(encoding="utf-8"))
    stored = torch.load(directory / "optimizer.pt", map_location="cpu", weights_only=True)
    state: dict[str, Any] = {"version": record["version"], "optimizer": stored["optimizer"]}
    for name in PARTS:
        if (directory / f"{name}.safetensors").exists():
            state[name] = load_file(directory / f"{name}.safetensors")
    learner.load_state_dict(state)
    restore_random_states(stored["random"])
    return record["extra"]


def random_states() -> dict[str, Any]:
    """The states of every global generator (torch, its CUDA devices, numpy, Python) as plain containers and tensors."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    devices: list[Tensor] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": devices,
        "python": random.getstate(),
        "numpy": [torch.from_numpy(np.asarray(keys, dtype=np.int64)), int(position), int(has_gauss), float(gauss)],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Undo everything drawn since `random_states`."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
