"""Stage `rl`: reinforcement learning from verdicts. This is the spine; each line is one verb, each verb one file.

    collect    rollout/collect.py   what the policy said, and how good it was (rewards/score.py)
    advantages algo/advantages.py   better than its siblings?
    update     train/learner.py     the only line that changes weights (algo/losses.py)

One process, on policy: the engine and the learner share the weights, so a sync only counts the version up.
R1-Zero: arXiv 2501.12948 §2.2. Left out on purpose: critics (`ppo`), asynchrony, more than one process (`backend`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.algo.samples import sample_of
from mull.core.chat import Chat
from mull.core.types import Group
from mull.engine.base import Engine
from mull.model.flops import FORWARD, TRAINED, working_parameters
from mull.model.lora import LoraConfig
from mull.rewards.score import RewardConfig, Scorer
from mull.rollout.collect import CollectConfig, SamplingConfig, collect
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import TaskSpec
from mull.train.learner import Learner
from mull.train.loop import Checkpointing, Loop
from mull.train.optim import OptimConfig
from mull.train.parity import check_parity
from mull.verify.policy import count

RowsOf = Callable[[int, Sequence[Group], frozenset[int]], list[dict[str, Any]]]
"""(step, groups, draws that trained) → rows of the rollout file."""


class PolicyConfig(CollectConfig, Checkpointing):
    """What every kind of learning from verdicts needs to know."""

    init: str = Field(description="a stage, a model directory, a GGUF file or a hub id")
    tasks: tuple[TaskSpec, ...] = Field(min_length=1)
    steps: int = Field(default=100, ge=1)
    algorithm: AlgorithmConfig = AlgorithmConfig(name="dapo")
    sampling: SamplingConfig = SamplingConfig()
    reward: RewardConfig = RewardConfig()
    template: Literal["auto", "r1-zero"] = Field(default="auto", description="auto: the model's own, if it has one")
    optim: OptimConfig = OptimConfig()
    micro_batch_tokens: int = Field(default=2048, ge=1, description="most tokens of one forward and backward pass")
    slots: int = Field(default=256, ge=1, description="sequences decoded side by side")
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora: LoraConfig | None = Field(
        default=None, description="train low-rank adapters beside frozen weights; merged when the stage is done"
    )
    retire_at: float | None = Field(
        default=None, gt=0, le=1, description="pass rate from which a problem is no longer drawn"
    )

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if self.lora and self.algorithm.reference_every:
            raise ValueError("algorithm.reference_every: with lora the reference is the model without adapters; set 0")
        return self


class RLConfig(PolicyConfig):
    """R1-Zero and its relatives."""

    kind: Literal["rl"]


def train_rl(
    engine: Engine,
    learner: Learner,
    chat: Chat,
    problems: TaskIterator,
    score: Scorer,
    config: PolicyConfig,
    seed: int,
    loop: Loop,
    rows: RowsOf,
) -> dict[str, float]:
    """Train the learner's model in place; returns the last step's metrics.

    Raises:
        StageFailed: a loss that is not finite, or an engine that disagrees with the learner at the first step.
        Stopped: somebody asked to stop; the state is saved.
    """
    cursor = loop.resume(learner)
    if cursor:
        problems.restore(cursor["problems"])
    engine.load_weights(learner.weights(), learner.version)
    metrics = loop.last_metrics()
    for step in loop.steps(learner, config.steps, lambda: {"problems": problems.state()}):
        collected = collect(engine, chat, problems, score, config, config.sampling, seed)
        if step == 0:
            check_first_step(learner, collected.all)
        weights_PG = advantages(collected.kept, config.algorithm, learner.kl_penalties(collected.kept))
        engine.rest()
        metrics = learner.update(collected.kept, weights_PG)
        engine.load_weights(learner.weights(), learner.version)
        problems.note(collected.all)
        live = frozenset(group.draw for group, row in zip(collected.kept, weights_PG, strict=True) if any(row))
        table = rows(step, collected.all, live)
        cost = sampling_flops(learner.model, collected.all) + training_flops(learner.model, metrics["tokens"])
        metrics = {**metrics, **describe(table), "flops": cost}
        loop.log(step, metrics, table)
    return metrics


def check_first_step(learner: Learner, groups: Sequence[Group]) -> None:
    """Stop unless the learner gives the engine's tokens the engine's probabilities.

    Raises:
        StageFailed: they differ; names the worst token.
    """
    completions = [scored.completion for group in groups for scored in group.samples]
    dtype = next(learner.model.parameters()).dtype
    check_parity(completions, learner.logprobs([sample_of(c) for c in completions]), dtype)


def sampling_flops(model: Any, groups: Sequence[Group]) -> float:
    """2·N for every token that was sampled, and for every prompt's once a group, whose samples share it."""
    tokens = sum(
        len(group.samples[0].completion.prompt_ids) + sum(len(scored.completion.token_ids) for scored in group.samples)
        for group in groups
    )
    return float(FORWARD * working_parameters(model) * tokens)


def training_flops(model: Any, tokens: float) -> float:
    """6·N for every token of the streams that were trained on, prompts included, in every epoch.

    Passes that only look (a reference's, old logprobs again for importance weights, the check at the first step) are
    left out.
    """
    return float(TRAINED * working_parameters(model) * tokens)


def describe(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What a step's rollouts look like: means over all that was sampled; shares of chains are over thoughts."""

    def mean(values: list[float]) -> float:
        return math.fsum(values) / len(values) if values else float("nan")

    thoughts = [row for row in rows if row["thinking_tokens"] > 0]
    evidence = [row for row in rows if not row["excluded"]]
    return {
        "reward": mean([row["reward"] for row in evidence]),
        "pass_rate": mean([float(row["verdict"] == "correct") for row in evidence]),
        "completion_tokens": mean([row["tokens"] for row in rows]),
        "thinking_tokens": mean([row["thinking_tokens"] for row in rows]),
        "checks": mean([float(row["checks"]) for row in rows]),
        "thinks": len(thoughts) / max(1, len(rows)),
        "language": mean([row["language_share"] for row in rows if row["language_share"] is not None]),
        "well_formed": mean([float(row["well_formed"]) for row in rows]),
        "truncated": mean([float(row["finish"] == "length") for row in rows]),
        "excluded": float(len(rows) - len(evidence)),
        **{f"verdict_{kind}": float(number) for kind, number in count(row["verdict"] for row in rows).items()},
        "live_groups": float(len({row["group"] for row in rows if row["trained"]})),
    }
