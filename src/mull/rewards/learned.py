"""Rewards that were learned: a reward model reads a reply where no rule can say what it is worth.

    reply ─ the part that is judged ─► score of its last token ─ σ ─► weight × σ(score)

DeepSeek-R1 (arXiv 2501.12948 §2.3.4): rules on problems that can be verified, reward models on general prompts, and the
preference reward only in the last part of training, because it is hacked. Imports no torch: the model itself is in
`judge`. Left out on purpose: learning the models (`train.reward`), and models that write their judgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import Field

from mull.core.chat import Chat
from mull.core.config import Config
from mull.core.errors import UserError
from mull.core.types import Completion, Problem

Judged = Literal["whole", "answer", "thought"]
"""What of a reply is read: all of it, what follows its thought, or the thought alone."""


class RewardModelUse(Config):
    """One reward model at work."""

    model: str = Field(description="a stage of kind reward_model, or a directory of a model with one score")
    domains: tuple[str, ...] = Field(
        default=("general",), min_length=1, description="domains of problems whose replies it reads"
    )
    judged: Judged = Field(default="answer", description="as it was trained: answer, thought or whole")
    weight: float = Field(default=1.0, gt=0)
    shape: Literal["sigmoid", "raw"] = Field(default="sigmoid", description="σ(score), between 0 and 1; or the score")
    template: Literal["auto", "r1-zero"] = Field(default="auto", description="the prompt that it was trained with")
    from_step: int = Field(default=0, ge=0, description="step from which it counts")


class Reads(Protocol):
    """What a reward needs of a reward model."""

    @property
    def name(self) -> str: ...
    def reads(self, problem: Problem) -> bool: ...
    def counts(self, completion: Completion) -> bool: ...
    def earned(self, replies: Sequence[tuple[Problem, str]]) -> list[float]: ...


def part_of(chat: Chat, reply: str, judged: Judged, where: str = "reply") -> str:
    """What of a reply is judged; a reply without a thought is all answer.

    Raises:
        UserError: it has no such part.
    """
    before, closed, after = reply.partition(chat.tags.think_close)
    text = {"whole": reply, "answer": after if closed else reply, "thought": before if closed else ""}[judged]
    text = text.replace(chat.tags.think_open, "", 1).strip() if judged == "thought" else text.strip()
    if not text:
        raise UserError(f"{where}: it has no {judged}; choose another value for judged, or mend the data")
    return text
