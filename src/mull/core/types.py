"""The nouns of mull: Problem, Verdict, Completion, Rollout, Group.

Frozen, free of torch, and the same in training, evaluation, serving and files. Left out on purpose: anything
that belongs to one engine or one algorithm. One convention for masks, stated once: prompt tokens and tokens that a
controller forced carry no loss; everything the model sampled does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Example: `Message("user", "What is 17 + 25?")`
    """

    role: str
    content: str


@dataclass(frozen=True)
class Problem:
    """A prompt and what checks its answer.

    `family` groups problems that are not independent of each other (the same numbers in another order, the same
    problem in another language): splits keep families whole and intervals cluster by them.

    Example: `Problem("countdown_mod/test/17", (Message("user", "3 5 8 make 4"),), "countdown",
    {"numbers": [3, 5, 8], "target": 4, "modulus": 11}, task="countdown_mod", family="3-5-8", split="test")`
    """

    id: str
    messages: tuple[Message, ...]
    verifier: str
    data: Mapping[str, Any]
    task: str = ""
    domain: str = "math"
    language: str = "en"
    split: str = "train"
    family: str = ""
    level: int = 0


class VerdictKind(StrEnum):
    """What a check can say. Only `correct` and `wrong` are evidence about the answer."""

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    AMBIGUOUS = "ambiguous"
    INVALID = "invalid"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check, with its reason and the canonical form of the answer it read.

    `answer` is what votes are counted on: two completions that mean the same have the same one. It is None where
    no answer was found. `ms` is the wall time of the check in milliseconds. `score` is the share of tests that the
    answer passed, 1.0 when it is correct, where there are tests to count (programs); None elsewhere.

    Example: `Verdict(VerdictKind.WRONG, "makes 7, not 4", answer="3 5 + 8 *", method="countdown")`
    """

    kind: VerdictKind
    reason: str = ""
    answer: str | None = None
    method: str = ""
    ms: float = 0.0
    score: float | None = None

    @property
    def correct(self) -> bool:
        return self.kind is VerdictKind.CORRECT

    @property
    def is_evidence(self) -> bool:
        return self.kind in (VerdictKind.CORRECT, VerdictKind.WRONG)


@dataclass(frozen=True)
class Span:
    """A half-open range of positions in `Completion.token_ids`. Example: `Span(1, 40)`"""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


class FinishReason(StrEnum):
    """Why generation ended: a stop token, the token limit, or somebody cancelled it."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Completion:
    """What an engine sampled for one prompt; exactly these ids are what the learner trains on.

    `logprobs[i]` is the natural-log probability of `token_ids[i]` at the sampling temperature, before any top-p,
    top-k or min-p truncation; 0.0 at forced positions. `token_ids` includes the stop token when there was one.
    `thinking` and `answer` are the token spans between the tags (tags excluded), None where there is no such part.
    `version` is the number of updates the weights had seen.

    Example: `Completion((5, 9), (7, 8, 1), (-0.1, -2.3, -0.01), FinishReason.STOP, text="<think>…", version=3)`
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: FinishReason
    text: str = ""
    thinking: Span | None = None
    answer: Span | None = None
    forced: frozenset[int] = frozenset()
    sample: int = 0
    version: int = 0

    @property
    def thinking_tokens(self) -> int:
        return len(self.thinking) if self.thinking else 0

    @property
    def truncated(self) -> bool:
        return self.finish is FinishReason.LENGTH


@dataclass(frozen=True)
class Scored:
    """A completion with its verdict and reward; `parts` holds every term the reward is the sum of.

    `excluded` says why this sample must not train (a verdict that is no evidence about the model), else "".

    Example: `Scored(completion, verdict, 1.0, {"accuracy": 1.0})`
    """

    completion: Completion
    verdict: Verdict
    reward: float
    parts: Mapping[str, float] = field(default_factory=dict)
    excluded: str = ""


@dataclass(frozen=True)
class Rollout:
    """One Problem, one scored Completion. Example: `group.rollouts[0]`"""

    problem: Problem
    scored: Scored

    @property
    def completion(self) -> Completion:
        return self.scored.completion

    @property
    def verdict(self) -> Verdict:
        return self.scored.verdict

    @property
    def reward(self) -> float:
        return self.scored.reward


@dataclass(frozen=True)
class Group:
    """The samples of ONE problem, whose rewards are compared with each other.

    Built from the problem, so that a group that mixes prompts cannot be expressed. `draw` numbers this group among
    all that the task iterator ever handed out: with the seed it fixes every random number of its samples.

    Example: `Group(problem, (scored_a, scored_b), draw=41)`
    """

    problem: Problem
    samples: tuple[Scored, ...]
    draw: int = 0

    def __post_init__(self) -> None:
        prompts = {scored.completion.prompt_ids for scored in self.samples}
        if len(prompts) > 1:
            raise ValueError(f"a group holds one prompt, {self.problem.id} was given {len(prompts)}")

    @property
    def rollouts(self) -> tuple[Rollout, ...]:
        return tuple(Rollout(self.problem, scored) for scored in self.samples)

    @property
    def rewards(self) -> tuple[float, ...]:
        return tuple(scored.reward for scored in self.samples)

    @property
    def pass_rate(self) -> float:
        """Share of samples whose verdict is `correct`, among those that are evidence; nan when none is."""
        evidence = [scored.verdict for scored in self.samples if scored.verdict.is_evidence]
        return sum(v.correct for v in evidence) / len(evidence) if evidence else float("nan")
