"""PPO: what the critic is asked, that it and the policy learn, and an exact resume of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mull.algo.config import AlgorithmConfig
from mull.algo.gae import gae, whiten
from mull.core.chat import Chat
from mull.core.rows import Reading, rollout_rows
from mull.core.run import StageDir
from mull.core.types import Completion, Problem, Scored, Verdict, VerdictKind
from mull.engine.local import LocalEngine
from mull.model.load import LoadedModel
from mull.model.scalar import scalar_of
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.rewards.score import each
from mull.rollout.collect import SamplingConfig
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import load_task
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.learner import Learner
from mull.train.loop import Loop
from mull.train.optim import OptimConfig
from mull.train.ppo import ActorCritic, PPOConfig, asked_of, fit_critic, judge, train_ppo, weights_of
from mull.train.scalar import ScalarLearner

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
CHAT = Chat(TOKENIZER)
SHAPE = TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=32)
WANTED = TOKENIZER.convert_tokens_to_ids("yes")


def config(**more: Any) -> PPOConfig:
    values = {
        "kind": "ppo", "init": "x", "tasks": ("chain_mod:dev",), "steps": 25, "prompts": 4, "group_size": 8,
        "sampling": SamplingConfig(max_tokens=6), "optim": OptimConfig(lr=5e-3), "critic": OptimConfig(lr=1e-2),
        "algorithm": AlgorithmConfig(name="dapo", minibatches=2), "checkpoint_every": 5, **more,
    }  # fmt: skip
    return PPOConfig(**values)


def models(settings: PPOConfig) -> tuple[ActorCritic, LocalEngine]:
    model = small_model(SHAPE, TOKENIZER, 0)
    critic = scalar_of(LoadedModel(small_model(SHAPE, TOKENIZER, 0), TOKENIZER, "tiny"))
    actor = Learner(model, settings.optim, settings.steps, algorithm=settings.algorithm)
    return ActorCritic(actor, ScalarLearner(critic, settings.critic, 2 * settings.steps)), LocalEngine(model)


def says_yes(problem: Problem, completion: Completion) -> Scored:
    right = WANTED in completion.token_ids
    return Scored(completion, Verdict(VerdictKind.CORRECT if right else VerdictKind.WRONG), float(right))


def run(path: Path, settings: PPOConfig, stop: Any = lambda: False) -> tuple[StageDir, ActorCritic]:
    both, engine = models(settings)
    stage = StageDir(path)
    problems = TaskIterator({"a": load_task("chain_mod:dev?limit=8")}, seed=0)

    def rows(step: int, groups: Any, trained: frozenset[int]) -> list[dict[str, Any]]:
        return rollout_rows(step, groups, lambda p, s: Reading(CHAT.parse((), ())[1], False), trained)

    train_ppo(engine, both, CHAT, problems, each(says_yes), settings, 0, Loop(stage, settings, stop), rows)
    return stage, both


def test_the_critic_is_asked_before_every_token_and_paid_at_the_end(rollouts) -> None:
    groups = rollouts(prompts=2, samples=3)
    kept = replace(groups[0].samples[1], excluded="error")
    groups[0] = replace(groups[0], samples=(groups[0].samples[0], kept, groups[0].samples[2]))
    done = groups[1].samples[0].completion
    assert asked_of(done).places == tuple(range(len(done.prompt_ids) - 1, len(done.prompt_ids + done.token_ids) - 1))
    critic = models(config())[0].critic
    torch.nn.init.normal_(critic.model.score.weight)
    judged = judge(critic, groups, config(gamma=0.9, gae_lambda=0.8))
    assert (0, 1) not in judged and len(judged) == 5
    raw = []
    for (g, s), one in judged.items():
        rewards = torch.zeros_like(one.values_T)
        rewards[-1] = groups[g].samples[s].reward
        estimate = gae(rewards, one.values_T, 0.9, 0.8)
        torch.testing.assert_close(one.returns_T, estimate.returns_T)
        raw.append(estimate.advantages_T)
    weights = weights_of(groups, judged)
    assert weights[0][1] == 0.0
    for (g, s), wanted in zip(judged, whiten(raw), strict=True):
        assert weights[g][s] == pytest.approx(wanted.tolist(), abs=1e-6)


def test_the_policy_learns(tmp_path: Path) -> None:
    stage, _ = run(tmp_path / "run", config())
    rewards = [row["reward"] for row in stage.metrics()]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.4


def test_the_critic_s_passes_are_counted(tmp_path: Path) -> None:
    """Everything is usable here: the critic reads every token of every stream, once to judge and once to learn."""
    stage, both = run(tmp_path / "run", config(steps=2))
    actor, critic = (sum(w.numel() for w in model.parameters()) for model in (both.actor.model, both.critic.model))
    critic -= both.critic.model.get_input_embeddings().weight.numel()  # the actor's is its head, the critic's is not
    for row in stage.metrics():
        table = stage.read_rollouts(row["step"])
        sampled = sum(len(r["token_ids"]) for r in table)
        prompts = {r["group"]: len(r["prompt_ids"]) for r in table}
        streams = sampled + sum(len(r["prompt_ids"]) for r in table)
        wanted = actor * (2 * (sampled + sum(prompts.values())) + 6 * row["tokens"]) + critic * (2 + 6) * streams
        assert row["flops"] == wanted


def test_the_critic_learns_to_expect_what_comes(rollouts) -> None:
    settings, groups = config(), rollouts(prompts=3, samples=4)
    critic = models(settings)[0].critic
    explained = []
    for _ in range(60):
        judged = judge(critic, groups, settings)
        explained.append(fit_critic(critic, list(judged.values()), settings)["value_explained"])
    assert abs(explained[0]) < 1e-6 and explained[-1] > 0.8
    assert critic.version == 60 * 2


def test_it_resumes_to_the_same_weights(tmp_path: Path) -> None:
    settings = config(steps=8)
    _, whole = run(tmp_path / "whole", settings)
    asked = iter([False] * 6 + [True] * 10)
    with pytest.raises(Exception, match="stopped after step 6"):
        run(tmp_path / "cut", settings, lambda: next(asked))
    _, again = run(tmp_path / "cut", settings)
    for one, two in ((whole.actor.model, again.actor.model), (whole.critic.model, again.critic.model)):
        assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert whole.critic.version == again.critic.version == 16


def test_a_penalty_that_it_would_ignore_is_refused() -> None:
    with pytest.raises(ValueError, match="is for rl stages"):
        config(algorithm=AlgorithmConfig(name="dapo", kl_coefficient=0.1, kl_in="reward", kl_estimator="k1"))
