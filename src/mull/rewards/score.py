"""Completion → Scored: parse the thought and the answer, verify the answer, add up the rewards and keep every part.

Correctness is gated by format by default: a right answer counts only in a well-formed completion, and good form alone
earns nothing. R1-Zero's additive form (accuracy + format, arXiv 2501.12948 §2.2.2) is there on request: small bases
farm it, they learn to answer at once in perfect form and never think again.

Where a reward model reads a problem's replies (`learned`), it takes the verdict's place: the verdict is recorded and
pays nothing. Form gates it in the same way, and what was cut off earns nothing from it. Left out on
purpose: how reward models are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field, field_validator

from mull.analysis.language import consistency
from mull.core.chat import Chat
from mull.core.config import Config
from mull.core.thinking import THINK_CLOSE, Parts
from mull.core.types import Completion, Problem, Scored, Verdict, VerdictKind
from mull.rewards.learned import Reads, RewardModelUse
from mull.tasks.world.words import lexicon
from mull.verify.policy import Use, use
from mull.verify.registry import verify, verify_response

RULES = ("accuracy", "format", "overlong", "language")
"""The parts of a reward that rules give; every other one was learned."""
Scorer = Callable[[Sequence[tuple[Problem, Completion]]], list[Scored]]
"""Fills in the completions' texts and spans, and says what each is worth."""


class RewardConfig(Config):
    """What a completion earns."""

    accuracy: float = Field(default=1.0, gt=0, description="for a correct answer")
    partial: Literal["none", "tests"] = "none"
    """What a wrong program earns. "none": nothing. "tests": `accuracy` times the share of tests that it passed, which
    also pays programs that only know the easy cases; set `partial` in the problems' data, or tests stop at the first
    that fails."""
    format: Literal["gate", "additive", "free"] = "gate"
    """"gate": only well-formed completions can be correct. "additive": form earns `format_weight` by itself (R1-Zero).
    "free": no tags are needed; without an answer part the final answer is looked for after the thought."""
    format_weight: float = Field(default=1.0, ge=0, description='with format = "additive": what good form earns')
    overlong_buffer: int = Field(
        default=0, ge=0, description="tokens before the limit over which the penalty rises; 0: none"
    )
    overlong_penalty: float = Field(default=1.0, ge=0, description="subtracted at the limit (DAPO, 2503.14476 eq. 13)")
    language_weight: float = Field(
        default=0.0, ge=0, description="added times the share of the thought's words in the problem's language (R1)"
    )
    models: dict[str, RewardModelUse] = Field(
        default_factory=dict, description="reward models by the name of their part; they read what no rule verifies"
    )
    inconclusive: Literal["exclude", "wrong"] = "exclude"
    """What becomes of a sample whose check timed out or failed: left out of training, or counted as wrong.
    Of the other verdicts see `mull.verify.policy`."""

    @field_validator("models")
    @classmethod
    def _own_names(cls, value: dict[str, RewardModelUse]) -> dict[str, RewardModelUse]:
        taken = sorted(set(RULES) & set(value))
        if taken:
            raise ValueError(f"{taken[0]!r} is the name of a rule's part; choose another name")
        return value


def score(problem: Problem, completion: Completion, parts: Parts, config: RewardConfig, limit: int) -> Scored:
    """The reward of one parsed completion.

    Args:
        parts: where its thought and answer are.
        limit: the token limit it was sampled under, for the overlong penalty.
    """
    verdict = _verdict(problem, completion.text, parts, config)
    earned = {"accuracy": config.accuracy * _share(verdict, config)}
    if config.format == "additive":
        earned["format"] = config.format_weight * parts.well_formed
    if config.overlong_buffer:
        over = len(completion.token_ids) - (limit - config.overlong_buffer)
        earned["overlong"] = -config.overlong_penalty * min(max(over / config.overlong_buffer, 0.0), 1.0)
    if config.language_weight:
        earned["language"] = config.language_weight * language_share(problem, parts)
    left_out = use(verdict, config.inconclusive == "exclude") is Use.EXCLUDE
    excluded = f"{verdict.kind}: {verdict.reason}" if left_out else ""
    return Scored(completion, verdict, sum(earned.values()), earned, excluded)


def language_share(problem: Problem, parts: Parts) -> float:
    """Share of the thought's words in the problem's language (R1, 2501.12948 §2.3.2); 0 without any words.

    A thought that says nothing earns nothing: it would be the easiest way to a consistent one.
    """
    return consistency(parts.thinking_text or "", problem.language, lexicon(problem.task)).share or 0.0


def _share(verdict: Verdict, config: RewardConfig) -> float:
    if config.partial == "tests" and verdict.kind is VerdictKind.WRONG and verdict.score is not None:
        return verdict.score
    return float(verdict.correct)


def _verdict(problem: Problem, text: str, parts: Parts, config: RewardConfig) -> Verdict:
    if config.format == "gate" and not parts.well_formed:
        reason = "not well formed: one closed thought, then one closed answer"
        return Verdict(VerdictKind.NO_ANSWER, reason, method="format")
    if config.format == "free" and parts.answer is None:
        if parts.thinking is None:
            return verify_response(problem, text)
        if parts.closed:  # what follows the thought; neither it nor one that comes after it is ever read
            return verify_response(problem, text.partition(f"{parts.thinking_text}{THINK_CLOSE}")[2])
    return verify(problem, parts.answer_text if parts.answer_closed else None)


def scorer(chat: Chat, config: RewardConfig, limit: int, models: Sequence[Reads] = ()) -> Scorer:
    """`score` for completions fresh from an engine: token ids only, text and spans still to be found."""

    def run(asked: Sequence[tuple[Problem, Completion]]) -> list[Scored]:
        found, ruled = [], []
        for problem, completion in asked:
            text, parts = chat.parse(completion.prompt_ids, completion.token_ids)
            filled = replace(completion, text=text, thinking=parts.thinking, answer=parts.answer)
            found.append(score(problem, filled, parts, config, limit))
            ruled.append(_in_form(filled, parts, config))
        for model in models:
            found = _with_model(model, asked, found, ruled)
        return found

    return run


def _in_form(completion: Completion, parts: Parts, config: RewardConfig) -> bool:
    """Whether a reward model may pay: where a right answer would be paid, and never for what was cut off."""
    if config.format == "gate":
        return parts.well_formed
    if completion.truncated:
        return False
    return parts.answer_closed if config.format == "additive" else parts.thinking is None or parts.closed


def each(judge: Callable[[Problem, Completion], Scored]) -> Scorer:
    """A scorer that judges one completion at a time."""
    return lambda asked: [judge(problem, completion) for problem, completion in asked]


def _with_model(
    model: Reads, asked: Sequence[tuple[Problem, Completion]], scored: Sequence[Scored], ruled: Sequence[bool]
) -> list[Scored]:
    """The samples with the model's part in their rewards, in the place of the verdict's."""
    mine = [model.reads(problem) for problem, _ in asked]
    read = [i for i, own in enumerate(mine) if own and ruled[i] and model.counts(asked[i][1])]
    earned = dict(zip(read, model.earned([(asked[i][0], scored[i].completion.text) for i in read]), strict=True))
    late = [not model.counts(completion) for _, completion in asked]
    return [
        (_judged(one, {} if late[i] else {model.name: earned.get(i, 0.0)}) if mine[i] else one)
        for i, one in enumerate(scored)
    ]


def _judged(scored: Scored, earned: dict[str, float]) -> Scored:
    parts = {key: value for key, value in scored.parts.items() if key != "accuracy"} | earned
    return replace(scored, parts=parts, reward=sum(parts.values()), excluded="")
