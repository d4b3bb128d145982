"""Stage `distil`: a student towards a teacher's next-token distributions, word for word of the same vocabulary.

    data     ─ mark ─► token ids ─► divergence at the marked tokens ─► weights      somebody's traces, epochs over them
    tasks    ─ the student samples ─► the same at its own tokens ─► weights          on policy, steps

On traces the student learns all that the teacher would say after each prefix, not only what it did say; on policy it is
corrected where it goes by itself (Agarwal et al. 2306.13649). Fine-tuning on a teacher's traces alone, as DeepSeek-R1
did (2501.12948 §2.4), is stage `sft`, and takes any two vocabularies. Left out on purpose: hidden states and attention
as targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator
from torch import nn

from mull.algo.divergence import Kind
from mull.algo.samples import Example
from mull.core.chat import Chat
from mull.core.types import Completion, Group
from mull.engine.base import Engine
from mull.rewards.score import RewardConfig, Scorer
from mull.rollout.collect import SamplingConfig, sample_groups
from mull.tasks.conversations import TraceSpec
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import TaskSpec
from mull.train.learner import Learner
from mull.train.loop import Checkpointing, Loop
from mull.train.optim import OptimConfig
from mull.train.rl import RowsOf, describe
from mull.train.schedule import ScheduleConfig


class DistilConfig(Checkpointing):
    """A student, its teacher, and on whose words it learns: `data` (traces) or `tasks` (its own)."""

    kind: Literal["distil"]
    init: str = Field(description="the student: a stage, a model directory, a GGUF file or a hub id")
    teacher: str = Field(description="a model of the same vocabulary: a stage, a directory or a hub id")
    data: tuple[TraceSpec, ...] = Field(default=(), description="stages that sample, and files of conversations")
    epochs: int = Field(default=2, ge=1, description="with data")
    batch_tokens: int = Field(default=8192, ge=16, description="with data: tokens a step, about")
    max_tokens: int = Field(default=0, ge=0, description="with data: longer ones are left out; 0: what does not fit")
    tasks: tuple[TaskSpec, ...] = ()
    steps: int = Field(default=100, ge=1, description="with tasks")
    prompts: int = Field(default=32, ge=1, description="with tasks: problems a step")
    samples: int = Field(default=4, ge=1, description="with tasks: completions a problem")
    sampling: SamplingConfig = SamplingConfig()
    reward: RewardConfig = Field(default=RewardConfig(), description="with tasks: what the log calls right")
    divergence: Literal["auto", "forward", "reverse", "jsd"] = "auto"
    """"auto": forward on data, reverse on the student's own words."""
    distil_temperature: float = Field(default=1.0, gt=0, description="softens both distributions")
    optim: OptimConfig = OptimConfig(lr=5e-5, schedule=ScheduleConfig(warmup=10, decay="cosine", final=0.1))
    micro_batch_tokens: int = Field(default=2048, ge=1, description="most tokens of one forward and backward pass")
    slots: int = Field(default=256, ge=1, description="sequences decoded side by side")
    template: Literal["auto", "r1-zero"] = Field(default="auto", description="auto: the model's own, if it has one")
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _one_source(self) -> DistilConfig:
        if bool(self.data) == bool(self.tasks):
            raise ValueError("name data (traces to learn on) or tasks (the student's own samples), one of the two")
        return self

    @property
    def kind_of_divergence(self) -> Kind:
        """The divergence, with "auto" resolved."""
        if self.divergence == "auto":
            return "forward" if self.data else "reverse"
        return self.divergence


def distil_on_data(
    learner: Learner, teacher: nn.Module, steps: Sequence[Sequence[Example]], config: DistilConfig, loop: Loop
) -> dict[str, Any]:
    """Train in place on given sequences; returns what was done.

    Raises:
        StageFailed: a loss that is not finite.
        Stopped: somebody asked to stop; the state is saved.
    """
    loop.resume(learner)
    metrics = loop.last_metrics()
    for step in loop.steps(learner, len(steps)):
        metrics = learner.distil(steps[step], teacher, config.kind_of_divergence, config.distil_temperature)
        loop.log(step, metrics)
    return {"steps": len(steps), "divergence": metrics.get("divergence")}


def distil_on_policy(
    engine: Engine,
    learner: Learner,
    teacher: nn.Module,
    chat: Chat,
    problems: TaskIterator,
    score: Scorer,
    config: DistilConfig,
    seed: int,
    loop: Loop,
    rows: RowsOf,
) -> dict[str, Any]:
    """Train in place on the student's own samples; verdicts are recorded and decide nothing.

    Raises:
        StageFailed: a loss that is not finite.
        Stopped: somebody asked to stop; the state is saved.
    """
    cursor = loop.resume(learner)
    if cursor:
        problems.restore(cursor["problems"])
    engine.load_weights(learner.weights(), learner.version)
    metrics = loop.last_metrics()
    for step in loop.steps(learner, config.steps, lambda: {"problems": problems.state()}):
        draws = problems.next(config.prompts)
        groups = sample_groups(engine, chat, draws, score, config.sampling.sampling(), config.samples, seed)
        engine.rest()
        metrics = learner.distil(examples_of(groups), teacher, config.kind_of_divergence, config.distil_temperature)
        engine.load_weights(learner.weights(), learner.version)
        table = rows(step, groups, frozenset(group.draw for group in groups))
        metrics = {**metrics, **describe(table)}
        loop.log(step, metrics, table)
    return metrics


def examples_of(groups: Sequence[Group]) -> list[Example]:
    """Every sampled token of every completion, forced ones left out."""
    return [_example(scored.completion) for group in groups for scored in group.samples]


def _example(done: Completion) -> Example:
    weights = [float(i not in done.forced) for i in range(len(done.token_ids))]
    return Example(done.prompt_ids + done.token_ids, (*[0.0] * len(done.prompt_ids), *weights))
