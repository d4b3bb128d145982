"""AdamW for everything, or Muon for the matrices of the body and AdamW for the rest.

Muon orthogonalises an update; that is meant for matrices which map one hidden space to another. Rows of an embedding
table or of a head are no such thing and would all be moved at one rate, seen or not, so they go to AdamW together with
norms and biases, tied or not. Gradients are clipped by one global norm over both. Of 16-bit weights a float32 copy is
kept and stepped: at a learning rate of 1e-5 an update is smaller than half the distance to the next bfloat16 number, so
that without the copy most updates would vanish. Left out on purpose: sharded optimizers.

AdamW: 1711.05101; Muon: Jordan et al. (2024), see `muon`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mull.core.config import Config
from mull.core.errors import StageFailed
from mull.train.muon import Muon
from mull.train.schedule import ScheduleConfig

Share = Annotated[float, Field(ge=0, lt=1)]


class OptimConfig(Config):
    """An optimizer and its learning-rate schedule.

    Example: `OptimConfig(name="muon", lr=4e-3, muon_lr=1e-2, schedule=ScheduleConfig(warmup=30, decay="linear"))`
    """

    name: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(default=1e-5, gt=0, description="peak learning rate of AdamW")
    betas: tuple[Share, Share] = (0.9, 0.95)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        description="decoupled decay of matrices and embeddings; vectors (norms, biases) are never decayed",
    )
    muon_lr: float = Field(
        default=1e-2, gt=0, description='peak learning rate of Muon; about that of AdamW with `muon_scale = "adamw"`'
    )
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)
    muon_steps: int = Field(default=4, ge=1, description="Newton–Schulz iterations")
    muon_scale: Literal["original", "adamw"] = Field(
        default="original",
        description="size of an update: by the matrix's shape, or matched to AdamW's usual root mean square",
    )
    grad_clip: float = Field(default=1.0, ge=0, description="largest global gradient norm; 0 = no clipping")
    schedule: ScheduleConfig = ScheduleConfig()


def table_parameters(model: nn.Module) -> set[int]:
    """Ids of the parameters that are embedding tables or output heads."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    for name in ("get_input_embeddings", "get_output_embeddings"):
        module = getattr(model, name, lambda: None)()
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor):
            tables.add(id(weight))
    return tables


def split_parameters(model: nn.Module) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
    """(matrices of the body, everything else) among the trainable parameters, by name; tied ones appear once."""
    tables = table_parameters(model)
    matrices, others = {}, {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            body = parameter.ndim == 2 and id(parameter) not in tables
            (matrices if body else others)[name] = parameter
    return matrices, others


class Optimizer:
    """One or two torch optimizers that step together.

    Example: `optimizer.step(rate=0.5)` after `loss.backward()`
    """

    def __init__(self, model: nn.Module, config: OptimConfig) -> None:
        matrices, others = split_parameters(model)
        self.config = config
        self.parameters = [*matrices.values(), *others.values()]
        if not self.parameters:
            raise ValueError("the model has no trainable parameter")
        self.stepped = [_master(parameter) for parameter in self.parameters]
        body, rest = self.stepped[: len(matrices)], self.stepped[len(matrices) :]
        self.optimizers: list[torch.optim.Optimizer] = []
        if config.name == "muon":
            if body:
                self.optimizers.append(_muon(body, config))
            adamw = rest
        else:
            adamw = self.stepped
        if adamw:
            self.optimizers.append(_adamw(adamw, config))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in (*self.parameters, *self.stepped):
            parameter.grad = None

    def step(self, rate: float) -> float:
        """Clip and apply the gradients at `rate` of the peak learning rates; returns their norm before clipping.

        Raises:
            StageFailed: the norm is not finite; nothing has been changed.
        """
        for parameter, master in self._copies():
            master.grad = None if parameter.grad is None else parameter.grad.float()
        gradients = [p.grad for p in self.stepped if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        size = float(norm)
        if not math.isfinite(size):
            raise StageFailed(f"the gradient norm is {size}; the weights are as before this step")
        if self.config.grad_clip:
            torch.nn.utils.clip_grads_with_norm_(self.stepped, self.config.grad_clip, norm)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate
            optimizer.step()
        with torch.no_grad():
            for parameter, master in self._copies():
                parameter.copy_(master)
        return size

    def _copies(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        """(16-bit parameter, its float32 copy)"""
        return [pair for pair in zip(self.parameters, self.stepped, strict=True) if pair[0] is not pair[1]]

    def state_dict(self) -> dict[str, Any]:
        """Plain containers and tensors."""
        return {
            "name": self.config.name,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "masters": [master.detach() for _, master in self._copies()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over moments and counters; learning rates and other settings stay this configuration's.

        Raises:
            ValueError: the state is of another optimizer or another model.
        """
        if state["name"] != self.config.name or len(state["optimizers"]) != len(self.optimizers):
            raise ValueError(f"the checkpoint is of optimizer {state['name']!r}, this stage has {self.config.name!r}")
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            current = optimizer.state_dict()["param_groups"]
            groups = [
                {**group, "params": old["params"]} for group, old in zip(current, saved["param_groups"], strict=True)
            ]
            optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
        with torch.no_grad():
            for (_, master), values in zip(self._copies(), state["masters"], strict=True):
                master.copy_(values)


def _master(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter itself, or a float32 copy of a 16-bit one."""
    if parameter.dtype not in (torch.bfloat16, torch.float16):
        return parameter
    return nn.Parameter(parameter.detach().float())


def _adamw(parameters: list[nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


def _muon(matrices: list[nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    return Muon(
        matrices,
        lr=config.muon_lr,
        weight_decay=config.weight_decay,
        momentum=config.muon_momentum,
        steps=config.muon_steps,
        scale=config.muon_scale,
    )
