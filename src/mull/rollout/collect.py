"""Draw problems, generate, score; drop groups that teach nothing and draw again, under a cap.

A group whose rewards are all equal has no advantage and no gradient. Dynamic sampling (DAPO, 2503.14476 §3.2) replaces
it by another problem until the batch is full or `max_rounds` are spent; what was dropped is still returned, for the
log: a pass rate over the kept groups alone would say too much. Left out on purpose: asynchrony.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import Field, field_validator

from mull.core.chat import Chat
from mull.core.config import Config
from mull.core.types import Completion, Group, Problem, Scored
from mull.engine.base import Controller, Engine, Request, Sampling
from mull.tasks.iterator import Draw, TaskIterator

Score = Callable[[Sequence[tuple[Problem, Completion]]], list[Scored]]
"""What completions are worth, all of a round at once: a reward model reads many at a time."""


class SamplingConfig(Config):
    """How completions are sampled in training: from the model's own distribution, or the ratio is wrong."""

    max_tokens: int = Field(default=256, ge=1, description="longest completion, in tokens")
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("top_p")
    @classmethod
    def _whole(cls, value: float) -> float:
        if value < 1.0:
            raise ValueError(
                "top_p below 1 in training scales every ratio by the probability that was cut off and runs collapse; "
                "set top_p = 1.0 and use top_p in evaluate stages only"
            )
        return value

    @field_validator("top_k", "min_p")
    @classmethod
    def _off(cls, value: float) -> float:
        if value:
            raise ValueError("truncated sampling in training makes runs collapse; set top_k = 0 and min_p = 0")
        return value

    def sampling(self) -> Sampling:
        return Sampling(self.max_tokens, self.temperature, self.top_p, self.top_k, self.min_p)


class CollectConfig(Config):
    """How many rollouts make a step."""

    prompts: int = Field(default=16, ge=1, description="groups a step")
    group_size: int = Field(default=16, description="completions a prompt")
    max_rounds: int = Field(
        default=1, ge=1, description="1: keep constant groups; more: replace them, at most so many times"
    )

    @field_validator("group_size")
    @classmethod
    def _group(cls, value: int) -> int:
        if value < 2:
            raise ValueError("a group of one has nothing to compare with; set group_size to 2 or more (16 is usual)")
        return value


@dataclass(frozen=True)
class Collected:
    """`kept` is what trains; `all` is everything that was sampled, in the order drawn.

    Example: `collect(engine, chat, problems, score, config, sampling, seed=0).kept`
    """

    kept: tuple[Group, ...]
    all: tuple[Group, ...]


def collect(
    engine: Engine,
    chat: Chat,
    problems: TaskIterator,
    score: Score,
    config: CollectConfig,
    sampling: SamplingConfig,
    seed: int,
) -> Collected:
    """`config.prompts` groups of what the policy says now, and how good each sample is.

    Every random number of a sample depends on (seed, draw, sample, position), so a resumed run draws the same.
    """
    kept: list[Group] = []
    every: list[Group] = []
    for _ in range(config.max_rounds):
        draws = problems.next(config.prompts - len(kept))
        groups = sample_groups(engine, chat, draws, score, sampling.sampling(), config.group_size, seed)
        every += groups
        kept += groups if config.max_rounds == 1 else [group for group in groups if is_informative(group)]
        if len(kept) == config.prompts:
            break
    return Collected(tuple(kept), tuple(every))


def sample_groups(
    engine: Engine,
    chat: Chat,
    draws: Sequence[Draw],
    score: Score,
    sampling: Sampling,
    n: int,
    seed: int,
    controller: Callable[[int], Controller] | None = None,
) -> list[Group]:
    """One scored group of `n` completions for every draw; `controller` may force tokens of sample i."""
    requests = [
        Request(
            f"{draw.problem.id}#{draw.draw}", chat.encode(draw.problem.messages), sampling, n, seed, chat.stop_ids,
            controller,
        )
        for draw in draws
    ]  # fmt: skip
    answers = engine.generate(requests)
    asked = [(draw.problem, done) for draw, every in zip(draws, answers, strict=True) for done in every]
    scored = iter(score(asked))
    return [
        Group(draw.problem, tuple(itertools.islice(scored, len(every))), draw.draw)
        for draw, every in zip(draws, answers, strict=True)
    ]


def is_informative(group: Group) -> bool:
    """Whether the usable samples of a group differ in reward."""
    return len({scored.reward for scored in group.samples if not scored.excluded}) > 1
