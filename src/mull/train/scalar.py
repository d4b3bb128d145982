"""Trains scores: pairs of which one is better, labelled sequences, labelled steps.

    groups of sequences ─ pack, a shared beginning once ─► scores at the places asked for ─ loss a group ─► weights

The loss of a step is the sum of its groups' losses over their number, fixed before the step is cut into micro-batches.
Left out on purpose: what the scores are used for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mull.algo.asked import Asked, Group, pack_for, score, scored
from mull.core.errors import StageFailed
from mull.train.optim import OptimConfig, Optimizer
from mull.train.schedule import rate
from mull.train.weights import load_weights, named_weights

__all__ = ["Asked", "Group", "GroupLoss", "ScalarLearner"]

GroupLoss = Callable[[int, list[Tensor]], Tensor]
"""(number of the group in the batch, scores of each of its sequences) → its loss, a scalar"""


class ScalarLearner:
    """A scalar model (`model.scalar`), its optimizer, and the number of steps it has taken (`version`).

    Example: `ScalarLearner(scalar_of(loaded), OptimConfig(lr=1e-5), total_steps=200).fit(pairs, loss)`
    """

    def __init__(self, model: Any, optim: OptimConfig, total_steps: int, *, micro_batch_tokens: int = 4096) -> None:
        self.model = model.eval()
        self.optimizer = Optimizer(model, optim)
        self.total_steps = total_steps
        self.micro_batch_tokens = micro_batch_tokens
        self.version = 0

    @property
    def device(self) -> torch.device:
        return self.model.score.weight.device

    def fit(self, groups: Sequence[Group], loss: GroupLoss) -> dict[str, float]:
        """One optimizer step on the mean of the groups' losses; `grad_norm` is before clipping.

        Raises:
            ValueError: no group.
            StageFailed: the loss or the gradient is not finite; the weights are as before.
        """
        if not groups:
            raise ValueError("nothing to learn from: no group")
        share = rate(self.version, self.total_steps, self.optimizer.config.schedule)
        self.optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        with torch.enable_grad():
            for laid in pack_for(self.model, groups, self.micro_batch_tokens):
                found = scored(self.model, laid)
                value = torch.stack([loss(g, found[k]) for k, g in enumerate(laid.members)]).sum() / len(groups)
                value.backward()
                total += value.detach().double().cpu()
        if not math.isfinite(total):
            self.optimizer.zero_grad()
            raise StageFailed(
                f"the loss is {float(total)} at step {self.version}; the weights are as before it. Usual cause: a "
                "learning rate that is too high"
            )
        norm = self.optimizer.step(share)
        self.optimizer.zero_grad()
        self.version += 1
        return {"loss": float(total), "grad_norm": norm, "lr": share * self.optimizer.config.lr}

    def score(self, groups: Sequence[Group]) -> list[list[Tensor]]:
        """The scores at the asked places of every sequence of every group, in order, on the CPU."""
        return score(self.model, groups, self.micro_batch_tokens)

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs; tensors are live, not copies."""
        weights = named_weights(self.model, trained=True)
        return {"version": self.version, "weights": weights, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            ValueError: the state is of another model or optimizer.
        """
        load_weights(self.model, state["weights"], trained=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.version = state["version"]
