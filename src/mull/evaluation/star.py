"""STaR's choices (arXiv 2203.14465): who is asked again with a hint, what the hint says, what is learned.

    every problem ─ n samples ─► right ones                                       ┐
    problems without a right one ─ the answer as a hint ─ n samples ─► right ones ┴─ the problem's own prompt ─► traces

What is learned never shows the hint: a trace begins with the problem as it stands in the task. In plain text the hint
is a sentence after the prompt. The embedded world's models have never read a hint, and one made of its words helps them
no more than asking again does (docs/recipes.md); there only a hint that the recipe writes is used.
Left out on purpose: asking, learning and their order (the recipe's).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator

from mull.core.types import Message, Problem
from mull.evaluation.evaluate import AskingConfig
from mull.rollout.select import KeepConfig
from mull.tasks.world.words import lexicon
from mull.train.loop import Checkpointing
from mull.train.optim import OptimConfig
from mull.train.schedule import ScheduleConfig

HINT = "{prompt}\n\n(The answer is {answer}.)"


class StarConfig(AskingConfig, Checkpointing):
    """A model that learns from its own right answers, over and over, always from where it began."""

    kind: Literal["star"]
    init: str = Field(description="a stage, a model directory, a GGUF file or a hub id; every iteration learns from it")
    iterations: int = Field(default=3, ge=1)
    samples: int = Field(default=4, ge=1, description="completions a problem, and again with the hint")
    rationalise: bool = Field(default=True, description="ask again, with the answer as a hint, where none was right")
    hint: str = Field(
        default="",
        description="a prompt of {prompt} and {answer}; empty: a sentence, but none in the embedded world",
    )
    keep: KeepConfig = KeepConfig()
    epochs: int = Field(default=2, ge=1)
    batch_tokens: int = Field(default=8192, ge=16, description="tokens a step of learning, about")
    optim: OptimConfig = OptimConfig(lr=5e-5, schedule=ScheduleConfig(warmup=10, decay="cosine", final=0.1))
    micro_batch_tokens: int = Field(default=2048, ge=1, description="most tokens of one forward and backward pass")

    @field_validator("hint")
    @classmethod
    def _whole(cls, value: str) -> str:
        if value and ("{prompt}" not in value or "{answer}" not in value):
            raise ValueError("a hint needs {prompt} and {answer} where the problem's text and its answer belong")
        return value

    @field_validator("keep")
    @classmethod
    def _right(cls, value: KeepConfig) -> KeepConfig:
        if value.verdict != "correct":
            raise ValueError('star learns from right answers alone; leave out verdict = "any"')
        return value


def unsolved(rows: Iterable[Mapping[str, Any]], problems: Sequence[Problem]) -> list[Problem]:
    """The problems to which no sample was right."""
    solved = {row["problem_id"] for row in rows if row["verdict"] == "correct"}
    return [problem for problem in problems if problem.id not in solved]


def hinted(problem: Problem, hint: str) -> Problem | None:
    """The problem with its answer in the prompt's last message; None without an answer to tell or words to tell it."""
    template = hint or ("" if lexicon(problem.task) else HINT)
    answer = problem.data.get("answer")
    if not template or isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        return None
    *before, last = problem.messages
    # In one pass: a prompt that holds "{answer}" itself stays as it is.
    text = str(answer).join(part.replace("{prompt}", last.content) for part in template.split("{answer}"))
    return replace(problem, messages=(*before, Message(last.role, text)))


def seed_of(seed: int, iteration: int, part: str) -> int:
    """A seed for the samples of one part of an iteration, so that no two iterations draw alike."""
    return int(hashlib.sha256(f"star {seed} {iteration} {part}".encode()).hexdigest()[:7], 16)
