"""What a completion earns, from its text to the sum of its parts."""

from __future__ import annotations

from typing import Any

import pytest

from mull.core.config import parse_config
from mull.core.errors import UserError
from mull.core.thinking import R1_ZERO_TAGS, split_completion
from mull.core.types import Completion, FinishReason, Message, Problem, Scored, Verdict, VerdictKind
from mull.rewards import score as module
from mull.rewards.score import RewardConfig, score

PROBLEM = Problem("p", (Message("user", "3 5 8 make 4"),), "number", {"answer": "42"})
RIGHT = "<think>a</think><answer>42</answer>"
WRONG = "<think>a</think><answer>41</answer>"


def scored(text: str, tokens: int = 10, limit: int = 100, **config: Any) -> Scored:
    completion = Completion((1,), (5,) * tokens, (0.0,) * tokens, FinishReason.STOP, text=text)
    return score(PROBLEM, completion, split_completion([text], R1_ZERO_TAGS), RewardConfig(**config), limit)


@pytest.mark.parametrize(
    ("text", "gate", "additive", "kind"),
    [
        (RIGHT, 1.0, 2.0, "correct"),
        (WRONG, 0.0, 1.0, "wrong"),
        ("<think>a</think> so <answer>42</answer>", 0.0, 1.0, "no_answer"),  # right, but not well formed
        ("<think>a<answer>42</answer>", 0.0, 0.0, "no_answer"),
        ("<answer>42</answer>", 0.0, 1.0, "no_answer"),
        ("<think>a</think><answer>42", 0.0, 0.0, "no_answer"),  # never closed: no answer, however right
        ("<think>a</think><answer> </answer>", 0.0, 1.0, "no_answer"),
        ("42", 0.0, 0.0, "no_answer"),
    ],
)
def test_gate_and_additive(text: str, gate: float, additive: float, kind: str) -> None:
    gated, added = scored(text), scored(text, format="additive")
    assert gated.reward == gate and gated.verdict.kind == kind and gated.parts == {"accuracy": gate}
    assert added.reward == additive and set(added.parts) == {"accuracy", "format"}
    assert sum(added.parts.values()) == added.reward


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("42", 1.0),
        ("The answer is 42.", 1.0),
        ("<think>41</think> The answer is 42.", 1.0),
        ("<think>42</think> The answer is 41.", 0.0),
        ("<think>The answer is 42", 0.0),  # a thought that never ends has no answer after it
        ("<think>a</think><think>\\boxed{42}", 0.0),
        ("<think>a</think><thinking>\\boxed{42}", 0.0),
        ("<thinking>\\boxed{42}</thinking> dunno", 0.0),
        (RIGHT, 1.0),
        ("<answer>42", 0.0),
    ],
)
def test_free_form_reads_what_follows_the_thought(text: str, reward: float) -> None:
    assert scored(text, format="free").reward == reward


@pytest.mark.parametrize(("tokens", "penalty"), [(1, 0), (80, 0), (81, -0.05), (90, -0.5), (100, -1), (120, -1)])
def test_overlong_penalty_rises_over_the_buffer(tokens: int, penalty: float) -> None:
    """DAPO (2503.14476) equation 13, with limit 100 and buffer 20."""
    found = scored(RIGHT, tokens, overlong_buffer=20)
    assert found.parts["overlong"] == pytest.approx(penalty)
    assert found.reward == pytest.approx(1 + penalty)
    assert scored(RIGHT, tokens, overlong_buffer=20, overlong_penalty=0.5).reward == pytest.approx(1 + penalty / 2)
    assert "overlong" not in scored(RIGHT, tokens).parts


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_only_failed_checks_are_left_out(kind: VerdictKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "verify", lambda problem, text: Verdict(kind, "because"))
    failed = kind in (VerdictKind.TIMEOUT, VerdictKind.ERROR)
    assert scored(RIGHT).excluded == (f"{kind}: because" if failed else "")
    assert scored(RIGHT, inconclusive="wrong").excluded == ""
    assert scored(RIGHT).reward == (kind is VerdictKind.CORRECT)


def test_a_wrong_program_earns_the_share_of_its_tests_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "verify", lambda problem, text: Verdict(VerdictKind.WRONG, score=0.75))
    assert scored(RIGHT).reward == 0
    assert scored(RIGHT, partial="tests", accuracy=2.0).parts == {"accuracy": 1.5}
    assert scored("no form", partial="tests").reward == 0
    for kind in (VerdictKind.WRONG, VerdictKind.NO_ANSWER, VerdictKind.TIMEOUT, VerdictKind.CORRECT):
        share = None if kind is VerdictKind.WRONG else 0.5  # a share of anything else counts for nothing
        verdict = Verdict(kind, score=share)
        monkeypatch.setattr(module, "verify", lambda problem, text, found=verdict: found)
        assert scored(RIGHT, partial="tests").reward == (kind is VerdictKind.CORRECT)


def test_a_reward_that_cannot_pay_is_refused() -> None:
    with pytest.raises(UserError, match=r"reward\.accuracy: .*greater than 0"):
        parse_config(RewardConfig, {"accuracy": 0}, "reward")
    with pytest.raises(UserError, match=r"reward\.format: .*'gate', 'additive' or 'free'"):
        parse_config(RewardConfig, {"format": "gated"}, "reward")


def test_language_is_added_and_a_thought_without_words_earns_none_of_it() -> None:
    def earned(thought: str, **config: Any) -> dict[str, float]:
        text = f"<think>{thought}</think><answer>42</answer>"
        return dict(scored(text, language_weight=0.5, **config).parts)

    assert earned("let us see: three and five") == {"accuracy": 1.0, "language": 0.5}
    assert earned("所以还有两个 so we are done") == {"accuracy": 1.0, "language": pytest.approx(0.5 * 4 / 7)}
    assert earned("3 + 5 = 8") == {"accuracy": 1.0, "language": 0.0}
    assert scored("42", language_weight=0.5).reward == 0.0
    assert "language" not in scored(RIGHT).parts
