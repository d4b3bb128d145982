"""The spine on a real engine and learner: what is recorded as trained is what pushed the weights."""

from __future__ import annotations

from pathlib import Path

from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.rows import rollout_rows
from mull.core.run import StageDir
from mull.core.types import Completion, Problem, Scored, Verdict, VerdictKind
from mull.engine.local import LocalEngine
from mull.model.tiny import TinyConfig, tiny_llama, word_tokenizer
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


def test_constant_groups_are_not_recorded_as_trained(tmp_path: Path) -> None:
    problems = load_task("chain_mod:dev?limit=2")
    constant = problems[0].id
    config = parse_config(RLConfig, CONFIG, "zero")
    model = tiny_llama(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), TOKENIZER, 0)
    chat = Chat(TOKENIZER)

    def score(problem: Problem, completion: Completion) -> Scored:
        reward = 0.0 if problem.id == constant else float(completion.sample % 2)
        return Scored(completion, Verdict(VerdictKind.WRONG), reward)

    stage = StageDir(tmp_path / "zero")
    train_rl(
        LocalEngine(model, slots=8),
        Learner(model, config.optim, config.steps, algorithm=config.algorithm),
        chat,
        TaskIterator({"dev": problems}, seed=0),
        score,
        config,
        0,
        Loop(stage, config),
        lambda step, groups, trained: rollout_rows(step, groups, lambda p, s: (chat.parse((), ())[1], False), trained),
    )
    assert [row["live_groups"] for row in stage.metrics()] == [1.0, 1.0]
    rollouts = [row for step in (0, 1) for row in stage.read_rollouts(step)]
    assert len(rollouts) == 16
    assert all(row["trained"] == (row["problem_id"] != constant) for row in rollouts)
