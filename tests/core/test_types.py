"""What the nouns refuse and compute."""

from __future__ import annotations

import math

import pytest

from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Span, Verdict, VerdictKind

PROBLEM = Problem("p/1", (Message("user", "3 5 +"),), "number", {"answer": "8"})


def scored(kind: VerdictKind, prompt: tuple[int, ...] = (1, 2), sample: int = 0) -> Scored:
    completion = Completion(prompt, (3, 4), (-0.1, -0.2), FinishReason.STOP, sample=sample)
    return Scored(completion, Verdict(kind), float(kind is VerdictKind.CORRECT))


def test_a_group_holds_one_prompt() -> None:
    with pytest.raises(ValueError, match=r"one prompt, p/1 was given 2"):
        Group(PROBLEM, (scored(VerdictKind.WRONG), scored(VerdictKind.WRONG, (1, 3))))
    Group(PROBLEM, ())
    Group(PROBLEM, (scored(VerdictKind.WRONG), scored(VerdictKind.WRONG)))


def test_pass_rate_counts_evidence_only() -> None:
    kinds = (VerdictKind.CORRECT, VerdictKind.WRONG, VerdictKind.WRONG, VerdictKind.WRONG, VerdictKind.TIMEOUT,
             VerdictKind.NO_ANSWER, VerdictKind.AMBIGUOUS)  # fmt: skip
    group = Group(PROBLEM, tuple(scored(kind) for kind in kinds), draw=7)
    assert group.pass_rate == 0.25
    assert group.rewards == (1.0, 0, 0, 0, 0, 0, 0)
    assert math.isnan(Group(PROBLEM, (scored(VerdictKind.ERROR),)).pass_rate)


def test_rollouts_carry_the_groups_problem() -> None:
    group = Group(PROBLEM, (scored(VerdictKind.CORRECT), scored(VerdictKind.WRONG, sample=1)))
    assert [(r.problem.id, r.completion.sample, r.reward, r.verdict.correct) for r in group.rollouts] == [
        ("p/1", 0, 1.0, True),
        ("p/1", 1, 0.0, False),
    ]


def test_thinking_tokens_of_no_thought_are_none() -> None:
    assert Completion((1,), (2,), (0.0,), FinishReason.STOP).thinking_tokens == 0
    cut = Completion((1,), (2, 3, 4), (0.0,) * 3, FinishReason.LENGTH, thinking=Span(1, 3))
    assert cut.thinking_tokens == 2 and cut.truncated


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_only_right_and_wrong_are_evidence(kind: VerdictKind) -> None:
    assert Verdict(kind).is_evidence == (kind in (VerdictKind.CORRECT, VerdictKind.WRONG))
