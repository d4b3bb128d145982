"""What an RL algorithm is made of here: a few settings of one loss kernel, with the published ones as presets.

`loss = Σ_t w_t · (ℓ_t(ρ, v_t A) + β·KL_t)`: an advantage A, a surrogate ℓ of the ratio ρ, a weight w (what the loss is
the mean over), an importance weight v, a KL term. The published algorithms differ in these and in nothing else.
Left out on purpose: anything about sampling (the rollout's matter) and about the optimizer.

GRPO: DeepSeekMath (2402.03300) eq. 3; Dr. GRPO: 2503.20783; DAPO: 2503.14476; RLOO: 2402.14740; REINFORCE++:
2501.03262; GSPO: 2507.18071; CISPO: MiniMax-M1 (2506.13585), with ScaleRL's (2510.13786) bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mull.core.config import Config

Advantage = Literal["group_std", "group_mean", "leave_one_out", "group_batch_std", "batch"]
Aggregation = Literal["sequence", "token", "constant", "prompt"]
Name = Literal["grpo", "dr_grpo", "dapo", "rloo", "reinforce_pp", "reinforce_pp_baseline", "gspo", "cispo"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "grpo": {},
    "dr_grpo": {"advantage": "group_mean", "aggregation": "constant"},
    "dapo": {"aggregation": "token", "clip_high": 0.28},
    "rloo": {"advantage": "leave_one_out", "aggregation": "constant", "kl_in": "reward", "kl_estimator": "k1"},
    "reinforce_pp": {"advantage": "batch", "aggregation": "token", "kl_in": "reward", "kl_estimator": "k1"},
    "reinforce_pp_baseline": {"advantage": "group_batch_std", "aggregation": "token", "kl_estimator": "k2"},
    "gspo": {"surrogate": "gspo", "clip_low": 3e-4, "clip_high": 4e-4},
    "cispo": {"surrogate": "cispo", "aggregation": "token", "clip_low": 1.0, "clip_high": 4.0},
}


class AlgorithmConfig(Config):
    """An algorithm by name, any part of which can be set beside it; a bare name is accepted for the table.

    Example: `AlgorithmConfig(name="dapo", advantage="group_mean", kl_coefficient=0.001)`
    """

    name: Name = Field(default="grpo", description="the preset that every key not written here is taken from")
    advantage: Advantage = Field(
        default="group_std",
        description="r − mean of the group: over its deviation (GRPO), as it is (Dr. GRPO), against the others' mean "
        "(RLOO), over the batch's deviation; or r whitened over the batch (REINFORCE++)",
    )
    surrogate: Literal["clip", "gspo", "cispo"] = Field(
        default="clip", description="PPO's clipped ratio a token, GSPO's a sequence, or CISPO's weight"
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
    clip_low: float = Field(default=0.2, ge=0, le=1)
    clip_high: float = Field(
        default=0.2,
        ge=0,
        description="the ratio is clipped to [1 − clip_low, 1 + clip_high]; idle with one update a batch",
    )
    dual_clip: float | None = Field(
        default=None, gt=1, description="with clip: a bad token's ratio counts at most so much (PPO's dual clip, 3)"
    )
    importance: Literal["none", "token", "sequence"] = Field(
        default="none",
        description="correct for a sampler whose logprobs differ from the learner's: by a weight a token or a sequence",
    )
    importance_cap: float = Field(default=2.0, gt=1, description="largest such weight C")
    importance_rule: Literal["clip", "mask"] = Field(
        default="clip", description="clip: weights above C become C; mask: outside [1/C, C] they become 0"
    )
    kl_coefficient: float = Field(
        default=0.0,
        ge=0,
        description="β of the KL to the reference model; at 0 no reference model is needed nor computed",
    )
    kl_in: Literal["loss", "reward"] = Field(
        default="loss", description="a term of every token's loss, or taken off the reward before the advantage"
    )
    kl_estimator: Literal["k1", "k2", "k3"] = Field(default="k3", description="see algo/kl.py for their gradients")
    reference_every: int = Field(
        default=0,
        ge=0,
        description="replace the reference model by the policy every this many steps (R1-Zero: 400); 0 = never",
    )
    mask_truncated: bool = Field(
        default=False,
        description="leave samples that hit the token limit out of the loss, numerator and denominator alike; their "
        "reward still counts in the baseline",
    )
    minibatches: int = Field(
        default=1, ge=1, le=1024, description="optimizer steps a batch of rollouts is split into, whole groups together"
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

    @model_validator(mode="after")
    def _fits(self) -> AlgorithmConfig:
        if self.kl_in == "reward" and self.kl_estimator != "k1":
            raise ValueError(
                f'kl_in = "reward" needs kl_estimator = "k1": as a reward, {self.kl_estimator} has another gradient '
                "than the KL's"
            )
        if self.reference_every and not self.kl_coefficient:
            raise ValueError("reference_every needs kl_coefficient above 0: without a KL there is no reference model")
        if self.dual_clip is not None and self.surrogate != "clip":
            raise ValueError(f'dual_clip belongs to surrogate = "clip"; leave it out with {self.surrogate!r}')
        if self.dual_clip is not None and self.dual_clip <= 1 + self.clip_high:
            raise ValueError(f"dual_clip must be above 1 + clip_high, which is {1 + self.clip_high:g}")
        return self

    @property
    def updates(self) -> int:
        """Optimizer steps a batch. With one, the policy that is updated is the one that sampled."""
        return self.minibatches * self.epochs

    def with_token_limit(self, max_tokens: int) -> AlgorithmConfig:
        """This, with `constant_tokens` set to the sampling limit where the user left it open."""
        if self.constant_tokens is not None:
            return self
        return self.model_copy(update={"constant_tokens": max_tokens})
