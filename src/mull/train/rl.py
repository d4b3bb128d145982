"""Stage `rl`: reinforcement learning from verdicts. This is the spine; each line is one verb, each verb one file.

    collect    rollout/collect.py   what the policy said, and how good it was (rewards/score.py)
    advantages algo/advantages.py   better than its siblings?
    process    train/process.py     better step by step? (only with a process reward model)
    update     train/learner.py     the only line that changes weights (algo/losses.py)

One process, on policy: the engine and the learner share the weights, so a sync only counts the version up.
R1-Zero: arXiv 2501.12948 §2.2. Left out on purpose: critics (`ppo`), asynchrony, more than one process (`backend`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.algo.samples import pushes, sample_of
from mull.core.chat import Chat
from mull.core.types import Group
from mull.engine.base import Engine
from mull.model.flops import FORWARD, TRAINED, working_parameters
from mull.model.lora import LoraConfig
from mull.rewards.score import RULES, RewardConfig, Scorer
from mull.rollout.collect import CollectConfig, SamplingConfig, collect
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import TaskSpec
from mull.train.learner import Learner
from mull.train.loop import Checkpointing, Loop
from mull.train.monitor import Monitor, MonitorConfig
from mull.train.optim import OptimConfig
from mull.train.parity import check_parity
from mull.train.process import Process, ProcessConfig, outcome_alone
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
    monitor: MonitorConfig | None = Field(
        default=None, description="look at held-out problems now and then, and warn when reward models are gamed"
    )
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
    process: ProcessConfig | None = Field(default=None, description="reward steps by a process reward model")

    @model_validator(mode="after")
    def _nothing_ignored(self) -> Self:
        """What process supervision replaces must not be asked for."""
        if self.process and self.process.mode == "process":
            if self.algorithm.advantage != "group_std":
                raise ValueError(
                    'process.mode = "process" has advantages of its own; set algorithm.advantage = "group_std", '
                    'or process.mode = "both"'
                )
            if self.algorithm.kl_coefficient and self.algorithm.kl_in == "reward":
                raise ValueError('process.mode = "process" replaces the reward; set algorithm.kl_in = "loss"')
            if self.reward.models or self.reward.language_weight or self.reward.overlong_buffer or self.max_rounds > 1:
                raise ValueError(
                    'process.mode = "process" replaces the reward: reward.models, language_weight, overlong_buffer and '
                    'max_rounds would be ignored; leave them out, or set process.mode = "both"'
                )
        return self


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
    process: Process = outcome_alone,
    monitor: Monitor | None = None,
) -> dict[str, float]:
    """Train the learner's model in place; returns the last step's metrics.

    Raises:
        StageFailed: a loss that is not finite, or an engine that disagrees with the learner at the first step.
        Stopped: somebody asked to stop; the state is saved.
    """
    cursor = loop.resume(learner)
    if cursor:
        restore(cursor, problems, monitor)
    engine.load_weights(learner.weights(), learner.version)
    metrics = loop.last_metrics()
    for step in loop.steps(learner, config.steps, lambda: cursors(problems, monitor)):
        collected = collect(engine, chat, problems, score, config, config.sampling, seed)
        if step == 0:
            check_first_step(learner, collected.all)
        weights_PG = advantages(collected.kept, config.algorithm, learner.kl_penalties(collected.kept))
        weights_PG = process(collected.kept, weights_PG)
        engine.rest()
        metrics = learner.update(collected.kept, weights_PG)
        engine.load_weights(learner.weights(), learner.version)
        problems.note(collected.all)
        live = frozenset(
            group.draw for group, row in zip(collected.kept, weights_PG, strict=True) if any(map(pushes, row))
        )
        table = rows(step, collected.all, live)
        cost = sampling_flops(learner.model, collected.all) + training_flops(learner.model, metrics["tokens"])
        metrics = {**metrics, **describe(table), "flops": cost}
        metrics |= monitor.look(step, metrics) if monitor else {}
        loop.log(step, metrics, table)
    return metrics


def cursors(problems: TaskIterator, monitor: Monitor | None) -> dict[str, Any]:
    """What a checkpoint keeps besides the learner."""
    return {"problems": problems.state()} | ({"monitor": monitor.state()} if monitor else {})


def restore(cursor: dict[str, Any], problems: TaskIterator, monitor: Monitor | None) -> None:
    """Undo `cursors`."""
    problems.restore(cursor["problems"])
    if monitor:
        monitor.restore(cursor["monitor"])


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
    learned = [sum(paid.values()) for paid in map(_learned, rows) if paid]
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
        **({"learned": mean(learned)} if learned else {}),
        "live_groups": float(len({row["group"] for row in rows if row["trained"]})),
    }


def _learned(row: dict[str, Any]) -> dict[str, float]:
    """What reward models paid for a sample."""
    return {name: value for name, value in json.loads(row["parts"]).items() if name not in RULES}
