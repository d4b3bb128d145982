"""Labels of steps, by hand.

Isolated: the engine. It is a table from a beginning (prompt and steps so far) to the continuations that it samples, so
that the share of right ones is chosen here; tokens, chat, step splitting and scoring are the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.types import Completion, FinishReason, Message, Problem, Scored
from mull.engine.base import Request
from mull.evaluation.steps import LabelStepsConfig, label_rows
from mull.model.tiny import word_tokenizer
from mull.rewards.score import RewardConfig, each, scorer
from mull.tasks.steps import chain_of
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

CHAT = Chat(word_tokenizer(vocabulary(), PAD, BOS, EOS))
PROBLEM = Problem(
    "p", (Message("user", "3 5 + 2 * 1 - compute"),), "number", {"answer": "4"}, task="chain_mod", language="en"
)
CHAIN = "<think> 3 5 + 8 2 * 5 1 - 4 so </think> <answer> 4 </answer>"
RIGHT, WRONG, CUT = "so </think> <answer> 4 </answer>", "so </think> <answer> 7 </answer>", "so </think> <answer>"


class Table:
    """An engine that continues as it is told; `asked` is what it was asked."""

    def __init__(self, outcomes: dict[str, list[str]]) -> None:
        self.outcomes = outcomes
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> list[tuple[Completion, ...]]:
        self.asked += requests
        return [tuple(self._continued(request, text) for text in self.outcomes[said(request)]) for request in requests]

    def _continued(self, request: Request, text: str) -> Completion:
        ids = CHAT.encode_reply(text)
        return Completion(request.prompt_ids, ids, (-1.0,) * len(ids), FinishReason.STOP)


def said(request: Request) -> str:
    """What stands after the problem's prompt."""
    prompt = CHAT.encode(PROBLEM.messages)
    assert request.prompt_ids[: len(prompt)] == prompt
    return " ".join(CHAT.tokenizer.convert_ids_to_tokens(request.prompt_ids[len(prompt) :]))


def row(text: str = CHAIN, **more: Any) -> dict[str, Any]:
    return {
        "problem_id": "p", "task": "chain_mod", "draw": 0, "sample": 0, "text": text, "family": "f", "level": 1,
        "language": "en", "verdict": "correct", "prompt_ids": list(CHAT.encode(PROBLEM.messages)),
        "token_ids": list(CHAT.encode_reply(text)), **more,
    }  # fmt: skip


def label(engine: Table, rows: list[dict[str, Any]], score: Any = None, **config: Any) -> list[dict[str, Any]]:
    settings = {"kind": "label_steps", "model": "-", "tasks": ["chain_mod:dev"], "max_tokens": 40, **config}
    parsed = parse_config(LabelStepsConfig, settings, "label")
    score = score or scorer(CHAT, RewardConfig(), 40)
    return label_rows(engine, CHAT, rows, {"p": PROBLEM}, score, parsed, 7)  # type: ignore[arg-type]


OUTCOMES = {
    "<think> 3 5 + 8": [RIGHT, WRONG, CUT, WRONG],
    "<think> 3 5 + 8 2 * 5": [RIGHT, RIGHT, RIGHT, WRONG],
    "<think> 3 5 + 8 2 * 5 1 - 4": [RIGHT] * 4,
}


def test_a_label_is_the_share_that_comes_out_right_from_there() -> None:
    engine = Table(OUTCOMES)
    [found] = label(engine, [row()], completions=4)
    assert found["steps"] == ["3 5 + 8", "2 * 5", "1 - 4"] and found["labels"] == [0.25, 0.75, 1.0]
    assert [said(request) for request in engine.asked] == list(OUTCOMES)
    assert [request.n for request in engine.asked] == [4, 4, 4]
    assert [request.sampling.max_tokens for request in engine.asked] == [40 - 5, 40 - 8, 40 - 11]
    assert len({request.id for request in engine.asked}) == 3 and {request.seed for request in engine.asked} == {7}
    chain = chain_of(found, "row")
    assert chain.ids is not None and chain.ids.prompt == tuple(row()["prompt_ids"]) and chain.ids.ends == (4, 7, 10)
    assert chain.ids.said == tuple(row()["token_ids"][:11]) and chain.labels == (0.25, 0.75, 1.0)


def test_hard_labels_say_whether_any_is_right() -> None:
    outcomes = {**OUTCOMES, "<think> 3 5 + 8": [WRONG, CUT, WRONG, WRONG]}
    assert label(Table(outcomes), [row()], labels="hard")[0]["labels"] == [0.0, 1.0, 1.0]


def test_a_cap_leaves_the_others_without_a_label_and_does_not_hang_on_order() -> None:
    two = [row(), row(sample=1)]
    for rows in (two, two[::-1]):
        engine = Table(OUTCOMES)
        found = label(engine, rows, steps_per_chain=1)
        assert len(engine.asked) == 2
        assert found[0]["labels"] == found[1]["labels"] and found[0]["labels"].count(None) == 2
        assert len(found[0]["ends"]) == 3


def test_steps_without_room_and_chains_without_steps_are_left_out() -> None:
    engine = Table(OUTCOMES)
    direct = row("<think> </think> <answer> 4 </answer>")
    [found] = label(engine, [direct, row()], max_tokens=8)
    assert found["labels"] == [0.25, None, None] and len(engine.asked) == 1
    assert label(engine, [row()], max_tokens=5) == []


def test_a_check_that_fails_is_no_evidence() -> None:
    real = scorer(CHAT, RewardConfig(), 40)

    def score(problem: Problem, completion: Completion) -> Scored:
        found = real([(problem, completion)])[0]
        return found if found.verdict.correct else replace(found, excluded="timeout")

    [found] = label(Table(OUTCOMES), [row()], each(score))
    assert found["labels"] == [1.0, 1.0, 1.0]  # what was wrong is left out of the share here
    assert label(Table({key: [WRONG] for key in OUTCOMES}), [row()], each(score)) == []


def test_what_is_scored_is_the_whole_completion_with_the_beginning_forced() -> None:
    seen: list[Completion] = []
    real = scorer(CHAT, RewardConfig(), 40)

    def score(problem: Problem, completion: Completion) -> Scored:
        seen.append(completion)
        return real([(problem, completion)])[0]

    label(Table(OUTCOMES), [row()], each(score))
    first = seen[0]
    assert first.prompt_ids == CHAT.encode(PROBLEM.messages) and first.forced == frozenset(range(5))
    assert len(first.token_ids) == len(first.logprobs) and first.token_ids[:5] == tuple(row()["token_ids"][:5])


@pytest.mark.parametrize("bad", [{"completions": 0}, {"labels": "medium"}, {"steps_per_chain": -1}, {"hint": "x"}])
def test_bad_settings_are_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"label.{next(iter(bad))}"):
        label(Table({}), [], **bad)
