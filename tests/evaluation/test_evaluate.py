"""An evaluation with a real model on disk and resumed; its summary against numbers computed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mull.analysis.behaviours import checks
from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.errors import Stopped
from mull.core.rows import Reading, rollout_rows
from mull.core.run import Run
from mull.core.types import Group, Problem, Scored
from mull.engine.base import Request
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import EvaluateConfig, ask, summary
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.rewards.score import scorer
from mull.tasks.registry import load_task
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
CHAT = Chat(TOKENIZER)
MODEL = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), TOKENIZER, seed=0)
PROBLEMS = load_task("countdown_mod:dev?limit=7") + load_task("chain_mod:dev?limit=4")
CONFIG = parse_config(
    EvaluateConfig,
    {
        "kind": "evaluate", "model": "m", "tasks": ["countdown_mod:dev"], "samples": 3, "max_tokens": 10, "chunk": 4,
        "reward": {"format": "free"},
    },
    "stages.after",
)  # fmt: skip


class CountingEngine(LocalEngine):
    """The local engine, remembering the ids of every request."""

    def __init__(self) -> None:
        super().__init__(MODEL, slots=16)
        self.asked: list[list[str]] = []

    def generate(self, requests: Sequence[Request]) -> Any:
        self.asked.append([request.id for request in requests])
        return super().generate(requests)


def judge(problem: Problem, scored: Scored) -> Reading:
    _, parts = CHAT.parse(scored.completion.prompt_ids, scored.completion.token_ids)
    return Reading(parts, checks(problem.task, problem.messages[-1].content, parts.thinking_text or ""))


def rows(step: int, groups: Sequence[Group]) -> list[dict[str, Any]]:
    return rollout_rows(step, groups, judge, frozenset())


def run(path: Path, engine: LocalEngine, stop: Callable[[], bool] = lambda: False, seed: int = 5) -> dict[str, Any]:
    stage = Run(path).stage("after")
    score = scorer(CHAT, CONFIG.reward, CONFIG.max_tokens)
    asked = ask(engine, CHAT, PROBLEMS, score, CONFIG, seed, stage, rows, stop)
    return {"tasks": summary(asked, CONFIG.samples)}


def on_disk(path: Path) -> list[dict[str, Any]]:
    stage = Run(path).stage("after")
    return [row for step in stage.rollout_steps() for row in stage.read_rollouts(step)]


def test_resumed_evaluation_asks_nothing_twice_and_gives_the_same(tmp_path: Path) -> None:
    whole, first, second = CountingEngine(), CountingEngine(), CountingEngine()
    expected = run(tmp_path / "whole", whole)
    answers = iter([False, True])
    with pytest.raises(Stopped, match="after 1 of 3 chunks"):
        run(tmp_path / "cut", first, lambda: next(answers))
    assert run(tmp_path / "cut", second) == expected
    assert [len(ids) for ids in whole.asked] == [4, 4, 3]
    assert first.asked + second.asked == whole.asked
    assert on_disk(tmp_path / "cut") == on_disk(tmp_path / "whole")
    third = CountingEngine()
    assert run(tmp_path / "cut", third) == expected and not third.asked  # nothing is left to ask


def test_every_problem_has_its_samples_and_the_seed_counts(tmp_path: Path) -> None:
    run(tmp_path / "a", CountingEngine())
    found = on_disk(tmp_path / "a")
    assert [(row["problem_id"], row["sample"]) for row in found] == [(p.id, i) for p in PROBLEMS for i in range(3)]
    assert [row["draw"] for row in found] == [n for n in range(len(PROBLEMS)) for _ in range(3)]
    run(tmp_path / "b", CountingEngine(), seed=6)
    assert [row["token_ids"] for row in found] != [row["token_ids"] for row in on_disk(tmp_path / "b")]


def row(problem: str, family: str, verdict: str, answer: str | None, **more: Any) -> dict[str, Any]:
    return {
        "task": "t", "problem_id": problem, "family": family, "verdict": verdict, "answer": answer,
        "thinking_tokens": 4, "checks": False, "well_formed": True, "finish": "stop", **more,
    }  # fmt: skip


def test_summary_by_hand() -> None:
    table = [
        row("a", "1", "correct", "7", thinking_tokens=10, checks=True),
        row("a", "1", "correct", "7", thinking_tokens=20),
        row("a", "1", "wrong", "8", thinking_tokens=0, well_formed=False),
        row("a", "1", "wrong", "9", thinking_tokens=10, finish="length"),
        row("b", "1", "wrong", "3"),
        row("b", "1", "wrong", "3"),
        row("b", "1", "correct", "5"),
        row("b", "1", "no_answer", None),
        row("c", "", "no_answer", None),  # no family: the problem is its own
        row("c", "", "no_answer", "5"),  # what is no evidence has no vote
        row("c", "", "timeout", None),
        row("c", "", "no_answer", None),
    ]
    found = summary(table, 4)["t"]
    assert found["pass@1"]["mean"] == pytest.approx((2 / 4 + 1 / 4 + 0) / 3)
    assert found["pass@4"]["mean"] == pytest.approx(2 / 3)
    assert found["cons@4"]["mean"] == pytest.approx(1 / 3)  # a: 7 wins; b: 3 wins; c: nobody votes
    assert found["thinking_tokens"]["mean"] == pytest.approx((10 + 4 + 4) / 3)
    assert found["checks"]["mean"] == pytest.approx(1 / 12)
    assert found["well_formed"]["mean"] == pytest.approx(11 / 12)
    assert found["truncated"]["mean"] == pytest.approx(1 / 12)
    for measure in found.values():
        assert measure["n"] == 3 and measure["families"] == 2
        assert measure["low"] <= measure["mean"] <= measure["high"]


def test_summary_keeps_tasks_apart() -> None:
    table = [row("a", "1", "correct", "7"), {**row("b", "2", "wrong", "7"), "task": "u"}]
    found = summary(table, 1)
    assert (found["t"]["pass@1"]["mean"], found["u"]["pass@1"]["mean"]) == (1.0, 0.0)


def test_one_family_alone_has_no_interval_and_is_valid_json() -> None:
    found = summary([row("a", "1", "correct", "7"), row("b", "1", "wrong", "7")], 1)["t"]["pass@1"]
    assert (found["mean"], found["low"], found["high"], found["families"]) == (0.5, None, None, 1)
    json.dumps(found, allow_nan=False)
