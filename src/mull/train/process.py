"""Process supervision in an rl stage: steps are rewarded by a process reward model.

    r_j = σ(score of step j's last token) ─► algo.process ─► one advantage a token

`mode = "process"` is DeepSeekMath's (2402.03300 §4.1.3): these advantages take the place of the outcome's. "both" adds
`weight` times them to the outcome's. In the paper the answer is part of the last step; here the steps stand in the
thought, so once the thought is closed its last step lasts to the completion's end. An output without a step gets no
process reward; neither do the tokens of a line that the token limit cut off, nor a sample that is excluded.
Left out on purpose: learning the model (`train.prm`), and keeping it up with the policy (the paper's §4.1.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from pydantic import Field

from mull.algo.process import Steps, process_advantages
from mull.algo.samples import Advantage
from mull.analysis.steps import Split, split_steps
from mull.core.chat import Chat
from mull.core.config import Config
from mull.core.types import Group, Scored
from mull.train.scalar import Asked, ScalarLearner

Weights = Sequence[Sequence[Advantage]]
Process = Callable[[Sequence[Group], Weights], Weights]
"""(groups, advantages of their outcomes) → the advantages that train"""


class ProcessConfig(Config):
    """Which process reward model, and what becomes of the outcome."""

    model: str = Field(description="a prm stage, or a directory of a model with one score")
    mode: Literal["process", "both"] = Field(
        default="process", description="steps in place of the outcome (DeepSeekMath), or both, added"
    )
    weight: float = Field(default=1.0, gt=0, description='with mode = "both": of the steps\' advantages')


def outcome_alone(groups: Sequence[Group], outcome_PG: Weights) -> Weights:
    """No process supervision."""
    return outcome_PG


class ProcessSupervision:
    """Weighs the tokens of rollouts by their steps. `scorer` only scores, it is never trained here.

    Example: `ProcessSupervision(scorer, chat, ProcessConfig(model="prm"))(groups, advantages(groups, algorithm))`
    """

    def __init__(self, scorer: ScalarLearner, chat: Chat, config: ProcessConfig) -> None:
        self.scorer, self.chat, self.config = scorer, chat, config

    def __call__(self, groups: Sequence[Group], outcome_PG: Weights) -> list[list[Advantage]]:
        """One advantage a token for every usable sample; 0 for excluded ones."""
        return [
            [
                self._token_weights(scored, outcome, steps)
                for scored, outcome, steps in zip(group.samples, row, process_advantages(rewarded), strict=True)
            ]
            for group, row, rewarded in zip(groups, outcome_PG, self.rewards(groups), strict=True)
        ]

    def rewards(self, groups: Sequence[Group]) -> list[list[Steps]]:
        """Where the steps of every sample end, and what each earned."""
        splits = [
            [Split((), ()) if s.excluded else split_steps(self.chat, g.problem.task, s.completion.token_ids)
             for s in g.samples]
            for g in groups
        ]  # fmt: skip
        asked = [
            (_asked(scored, split),)
            for group, row in zip(groups, splits, strict=True)
            for scored, split in zip(group.samples, row, strict=True)
            if split.ends
        ]
        found = iter(self.scorer.score(asked))
        return [
            [
                _steps(scored, split, torch.sigmoid(next(found)[0].double()).tolist() if split.ends else [])
                for scored, split in zip(group.samples, row, strict=True)
            ]
            for group, row in zip(groups, splits, strict=True)
        ]

    def _token_weights(self, scored: Scored, outcome: Advantage, steps: Sequence[float]) -> Advantage:
        if scored.excluded:
            return 0.0
        if self.config.mode == "process":
            return tuple(steps)
        whole = (outcome,) * len(steps) if isinstance(outcome, float | int) else outcome
        return tuple(a + self.config.weight * b for a, b in zip(whole, steps, strict=True))


def _asked(scored: Scored, split: Split) -> Asked:
    prompt = scored.completion.prompt_ids
    return Asked(prompt + scored.completion.token_ids, tuple(len(prompt) + end for end in split.ends))


def _steps(scored: Scored, split: Split, rewards: Sequence[float]) -> Steps:
    length = len(scored.completion.token_ids)
    ends = (*split.ends[:-1], length - 1) if split.ends and split.closed else split.ends
    return Steps(length, ends, tuple(rewards))
