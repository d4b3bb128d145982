"""Rewards that were learned: a reward model reads a reply where no rule can say what it is worth.

    reply ─ the part that is judged ─► score of its last token ─ σ ─► weight × σ(score)

DeepSeek-R1 (arXiv 2501.12948 §2.3.4): rules on problems that can be verified, reward models on general prompts, and the
preference reward only in the last part of training, because it is hacked. Left out on purpose: learning the models
(`train.reward`), and models that write their judgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field

from mull.algo.asked import Asked, score
from mull.core.chat import Chat
from mull.core.config import Config
from mull.core.errors import UserError
from mull.core.types import Completion, Message, Problem

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
    from_step: int = Field(default=0, ge=0, description="step from which it counts")


@dataclass(frozen=True)
class RewardModel:
    """A loaded reward model under the name that its part of the reward has.

    Example: `RewardModel("helpful", RewardModelUse(model="runs/a/stages/helpful/model"), model, chat)`
    """

    name: str
    use: RewardModelUse
    model: Any
    chat: Chat
    batch_tokens: int = 8192

    def reads(self, problem: Problem) -> bool:
        """Whether replies to this problem are its business."""
        return problem.domain in self.use.domains

    def counts(self, completion: Completion) -> bool:
        """Whether it counts by now: a completion's version is the number of steps before it."""
        return completion.version >= self.use.from_step

    def earned(self, replies: Sequence[tuple[Problem, str]]) -> list[float]:
        """What each reply earns; 0 for one without the part that is judged, or with words the model does not have."""
        read = [self._asked(problem, text) for problem, text in replies]
        found = iter(score(self.model, [[asked] for asked in read if asked], self.batch_tokens))
        return [self.use.weight * self._shaped(next(found)[0][0]) if asked else 0.0 for asked in read]

    def _asked(self, problem: Problem, text: str) -> Asked | None:
        try:
            return asked_of(self.chat, problem.messages, part_of(self.chat, text, self.use.judged))
        except UserError:
            return None

    def _shaped(self, value: torch.Tensor) -> float:
        return float(torch.sigmoid(value) if self.use.shape == "sigmoid" else value)


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


def asked_of(chat: Chat, prompt: Sequence[Message], text: str) -> Asked:
    """A prompt and a reply as token ids, the score wanted at the last one.

    Raises:
        UserError: a word that a word-level model does not have.
    """
    ids = chat.encode(prompt) + chat.encode_reply(text)
    return Asked(ids, (len(ids) - 1,))
