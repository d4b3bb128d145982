"""A loaded reward model: replies in, what they earn out, many at a time.

Left out on purpose: what it is used for (`learned`), and training it (`train.reward`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mull.algo.asked import Asked, score
from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.core.types import Completion, Message, Problem
from mull.rewards.learned import RewardModelUse, part_of


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


def asked_of(chat: Chat, prompt: Sequence[Message], text: str) -> Asked:
    """A prompt and a reply as token ids, the score wanted at the last one.

    Raises:
        UserError: a word that a word-level model does not have.
    """
    ids = chat.encode(prompt) + chat.encode_reply(text)
    return Asked(ids, (len(ids) - 1,))
