"""The spine on a real engine and learner: what is recorded as trained is what pushed the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.errors import StageFailed
from mull.core.memory import Meter
from mull.core.rows import Reading, rollout_rows
from mull.core.run import StageDir
from mull.core.types import Completion, Problem, Scored, Verdict, VerdictKind
from mull.engine.local import LocalEngine
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.rewards.score import each
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import load_task
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.learner import Learner
from mull.train.loop import Loop
from mull.train.rl import RLConfig, train_rl

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)


CONFIG = {
    "kind": "rl", "init": "-", "tasks": ["chain_mod:dev"], "steps": 2, "prompts": 2, "group_size": 4,
    "sampling": {"max_tokens": 8},
}  # fmt: skip


def train(
    path: Path,
    score: Callable[[Problem, Completion], Scored],
    problems: list[Problem],
    engine: type[LocalEngine] = LocalEngine,
    **config: Any,
) -> StageDir:
    settings = parse_config(RLConfig, {**CONFIG, **config}, "zero")
    model = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), TOKENIZER, 0)
    chat, stage = Chat(TOKENIZER), StageDir(path / "zero")
    train_rl(
        engine(model, slots=8),
        Learner(model, settings.optim, settings.steps, algorithm=settings.algorithm),
        chat,
        TaskIterator({"dev": problems}, seed=0, retire_at=settings.retire_at),
        each(score),
        settings,
        0,
        Loop(stage, settings),
        lambda step, groups, trained: rollout_rows(
            step, groups, lambda p, s: Reading(chat.parse((), ())[1], False), trained
        ),
    )
    return stage


def scored(completion: Completion, reward: float) -> Scored:
    return Scored(completion, Verdict(VerdictKind.CORRECT if reward else VerdictKind.WRONG), reward)


def test_constant_groups_are_not_recorded_as_trained(tmp_path: Path) -> None:
    problems = load_task("chain_mod:dev?limit=2")
    constant = problems[0].id

    def score(problem: Problem, completion: Completion) -> Scored:
        return scored(completion, 0.0 if problem.id == constant else float(completion.sample % 2))

    stage = train(tmp_path, score, problems)
    assert [row["live_groups"] for row in stage.metrics()] == [1.0, 1.0]
    rollouts = [row for step in (0, 1) for row in stage.read_rollouts(step)]
    assert len(rollouts) == 16
    assert all(row["trained"] == (row["problem_id"] != constant) for row in rollouts)


def test_an_engine_that_lies_is_caught_also_when_no_group_is_kept(tmp_path: Path) -> None:
    class Liar(LocalEngine):
        def generate(self, requests):
            found = super().generate(requests)
            return [tuple(replace(c, logprobs=tuple(p - 1 for p in c.logprobs)) for c in row) for row in found]

    for rounds in (1, 2):
        with pytest.raises(StageFailed, match="engine and learner disagree"):
            train(tmp_path, lambda p, c: scored(c, 1.0), load_task("chain_mod:dev?limit=2"), Liar, max_rounds=rounds)


def test_problems_that_are_always_solved_retire_though_their_groups_are_dropped(tmp_path: Path) -> None:
    problems = load_task("chain_mod:dev?limit=3")
    easy = problems[0].id

    def score(problem: Problem, completion: Completion) -> Scored:
        return scored(completion, 1.0 if problem.id == easy else float(completion.sample % 2))

    stage = train(tmp_path, score, problems, max_rounds=3, retire_at=0.9, steps=8)
    asked = [row["problem_id"] for step in range(8) for row in stage.read_rollouts(step)]
    assert asked.count(easy) == 2 * 4  # two groups of four, then never again
    assert {row["problem_id"] for row in stage.read_rollouts(7)} == {p.id for p in problems[1:]}


def test_a_step_counts_its_flops_and_its_peak_of_memory(tmp_path: Path) -> None:
    stage = train(tmp_path, lambda p, c: scored(c, float(c.sample % 2)), load_task("chain_mod:dev?limit=2"))
    model = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), TOKENIZER, 0)
    parameters = sum(w.numel() for w in model.parameters())  # the head is the embedding: all of them work
    for row in stage.metrics():
        table = stage.read_rollouts(row["step"])
        prompts = {r["group"]: len(r["prompt_ids"]) for r in table}
        sampled = sum(prompts.values()) + sum(len(r["token_ids"]) for r in table)
        assert row["flops"] == parameters * (2 * sampled + 6 * row["tokens"])
        assert "peak_memory" not in row  # nobody gave this loop a meter


def test_with_a_meter_every_step_has_its_own_peak(tmp_path: Path) -> None:
    settings = parse_config(RLConfig, CONFIG, "zero")
    loop = Loop(StageDir(tmp_path / "zero"), settings, memory=Meter())
    assert loop.memory is not None
    loop.memory.start()
    loop.log(0, {"reward": 0.5})
    (row,) = loop.stage.metrics()
    assert row["peak_memory"] is None or row["peak_memory"] > -(1 << 30)
    assert loop.last_metrics() == {"reward": 0.5}
