"""What an RL algorithm is made of here: a few settings of one loss kernel, with the published ones as presets.

`loss = Σ_t w_t · (−min(ρ_t A, clip(ρ_t, 1−ε_low, 1+ε_high) A) + β·k3_t)`:
GRPO, Dr. GRPO and DAPO differ in A, w and ε only.
Left out on purpose: anything about sampling (the rollout's matter) and about the optimizer.

GRPO: DeepSeekMath (2402.03300) eq. 3; Dr. GRPO: 2503.20783; DAPO: 2503.14476.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mull.core.config import Config

Aggregation = Literal["sequence", "token", "constant", "prompt"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "grpo": {"advantage_std": True, "aggregation": "sequence", "clip_low": 0.2, "clip_high": 0.2},
    "dr_grpo": {"advantage_std": False, "aggregation": "constant", "clip_low": 0.2, "clip_high": 0.2},
    "dapo": {"advantage_std": True, "aggregation": "token", "clip_low": 0.2, "clip_high": 0.28},
}


class AlgorithmConfig(Config):
    """An algorithm by name, any part of which can be set beside it; a bare name is accepted for the table.

    Example: `AlgorithmConfig(name="dapo", advantage_std=False, kl_coefficient=0.001)`
    """

    name: Literal["grpo", "dr_grpo", "dapo"] = Field(
        default="grpo", description="the preset that every key not written here is taken from"
    )
    advantage_std: bool = Field(
        default=True, description="divide r − mean by the group's standard deviation (GRPO) or not (Dr. GRPO)"
    )
    aggregation: Aggregation = Field(
        default="sequence",
        description="mean over what: outputs (GRPO), tokens (DAPO), a constant (Dr. GRPO), prompts (ScaleRL)",
    )
    constant_tokens: int | None = Field(
        default=None,
        ge=1,
        description='with aggregation "constant": the token limit L of 1/(L·N); default: the sampling limit',
    )
    clip_low: float = Field(default=0.2, ge=0)
    clip_high: float = Field(
        default=0.2,
        ge=0,
        description="the ratio is clipped to [1 − clip_low, 1 + clip_high]; idle with one update a batch",
    )
    kl_coefficient: float = Field(
        default=0.0,
        ge=0,
        description="β of the k3 estimate of KL to the reference model; at 0 no reference model is needed nor computed",
    )
    reference_every: int = Field(
        default=0,
        ge=0,
        description="replace the reference model by the policy every this many steps (R1-Zero: 400); 0 = never",
    )
    minibatches: int = Field(
        default=1, ge=1, description="optimizer steps a batch of rollouts is split into, whole groups together"
    )
    epochs: int = Field(default=1, ge=1, description="passes over a batch of rollouts")

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        if isinstance(values, str):
            values = {"name": values}
        if not isinstance(values, Mapping):
            return values
        name = values.get("name", "grpo")
        preset = PRESETS.get(name, {}) if isinstance(name, str) else {}
        return {**preset, **values}

    @property
    def updates(self) -> int:
        """Optimizer steps a batch. With one, the policy that is updated is the one that sampled."""
        return self.minibatches * self.epochs

    def with_token_limit(self, max_tokens: int) -> AlgorithmConfig:
        """This, with `constant_tokens` set to the sampling limit where the user left it open."""
        if self.constant_tokens is not None:
            return self
        return self.model_copy(update={"constant_tokens": max_tokens})
