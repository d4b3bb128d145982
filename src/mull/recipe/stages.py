"""The kinds of stages: configuration, what is checked before a run, how it is executed.

Here the parts meet: models are loaded, learner and engine paired, tasks opened, and handed to the stage's own spine.
Left out on purpose: what a kind is (`kind`), order, fingerprints and resuming (`execute`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mull.backend.local import make_critic, make_pair
from mull.core.chat import Chat
from mull.core.rows import rollout_rows
from mull.core.types import Group
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import EvaluateConfig
from mull.evaluation.sample import SampleConfig
from mull.evaluation.star import StarConfig
from mull.evaluation.steps import LabelStepsConfig
from mull.model.load import load_model, save_model
from mull.model.lora import merge_lora
from mull.model.scalar import save_scalar
from mull.recipe.asking import run_evaluate, run_label_steps, run_sample
from mull.recipe.kind import (
    Context,
    StageKind,
    chat_of,
    check_model_and_tasks,
    check_nothing,
    check_room,
    judge,
    report_dropped,
    reward_models,
)
from mull.recipe.sampled import check_sample, sample_costs, sample_lacks
from mull.recipe.scored import check_prm, check_reward_model, check_rl, process_of, run_prm, run_reward_model
from mull.recipe.star import run_star
from mull.recipe.supervised import check_supervised, run_distil, run_sft
from mull.rewards.score import RewardConfig, scorer
from mull.tasks.mixture import load_mixture
from mull.train.distil import DistilConfig
from mull.train.loop import Loop
from mull.train.monitor import Monitor
from mull.train.ppo import ActorCritic, PPOConfig, train_ppo
from mull.train.pretrain import PretrainConfig, blank_model, pretrain
from mull.train.prm import PRMConfig
from mull.train.reward import RewardModelConfig
from mull.train.rl import PolicyConfig, RLConfig, train_rl
from mull.train.sft import SFTConfig


def run_pretrain(context: Context) -> dict[str, Any]:
    """Make a base model."""
    config: PretrainConfig = context.config
    model, tokenizer = blank_model(config, context.seed)
    loop = Loop(context.stage, config, context.stop, context.report)
    result = pretrain(model, config, context.seed, loop, lambda total: context.begin(total, "step"))
    save_model(model, tokenizer, context.stage.model)
    return result


def run_policy(context: Context) -> dict[str, Any]:
    """Reinforcement learning on verdicts, with a critic (`ppo`) or without (`rl`)."""
    config: PolicyConfig = context.config
    mixture = load_mixture(config.tasks)
    report_dropped(context, mixture)
    loaded = load_model(context.models["init"], config.dtype)
    chat = chat_of(loaded, config.template)
    learner, engine = make_pair(loaded, config, context.seed)
    check_room(loaded.model, chat, mixture.all, config.sampling.max_tokens)
    context.begin(config.steps, "step")
    problems = mixture.iterator(context.seed, retire_at=config.retire_at)
    models = reward_models(context, config.reward)
    score = scorer(chat, config.reward, config.sampling.max_tokens, models)
    loop = Loop(context.stage, config, context.stop, context.report, memory=context.memory)

    def rows(step: int, groups: Sequence[Group], trained: frozenset[int]) -> list[dict[str, Any]]:
        return rollout_rows(step, groups, judge(chat), trained)

    monitor = _monitor(context, chat, engine)
    if isinstance(config, PPOConfig):
        both = ActorCritic(learner, make_critic(context.models["init"], config))
        metrics = train_ppo(engine, both, chat, problems, score, config, context.seed, loop, rows, monitor)
        save_scalar(both.critic.model, loaded.tokenizer, context.stage.path / "critic")
    else:
        process = process_of(context, chat, mixture.all)
        metrics = train_rl(engine, learner, chat, problems, score, config, context.seed, loop, rows, process, monitor)
    merge_lora(loaded.model)
    save_model(loaded.model, loaded.tokenizer, context.stage.model)
    summary: dict[str, Any] = {k: v for k, v in metrics.items() if math.isfinite(v)}
    return summary | ({"alarms": monitor.alarms} if monitor else {})


def _monitor(context: Context, chat: Chat, engine: LocalEngine) -> Monitor | None:
    config: PolicyConfig = context.config
    if config.monitor is None:
        return None
    problems, limit = load_mixture(config.monitor.tasks).all, config.sampling.max_tokens
    score = scorer(chat, RewardConfig(format=config.reward.format), limit)
    starts = frozenset(use.from_step for use in config.reward.models.values())
    return Monitor(
        config.monitor, problems, engine, chat, score, config.sampling.sampling(), context.seed, starts=starts
    )


KINDS: dict[str, StageKind] = {
    "pretrain": StageKind(PretrainConfig, run_pretrain, check_nothing, makes="model"),
    "rl": StageKind(RLConfig, run_policy, check_rl, makes="model"),
    "ppo": StageKind(PPOConfig, run_policy, check_model_and_tasks("init"), makes="model"),
    "sft": StageKind(SFTConfig, run_sft, check_supervised, makes="model"),
    "distil": StageKind(DistilConfig, run_distil, check_supervised, makes="model"),
    "sample": StageKind(SampleConfig, run_sample, check_sample, makes="traces", lacks=sample_lacks, costs=sample_costs),
    "reward_model": StageKind(
        RewardModelConfig, run_reward_model, check_reward_model, makes="score", reads="preferences"
    ),
    "label_steps": StageKind(LabelStepsConfig, run_label_steps, check_model_and_tasks("model"), makes="steps"),
    "prm": StageKind(PRMConfig, run_prm, check_prm, makes="score", reads="steps"),
    "star": StageKind(StarConfig, run_star, check_model_and_tasks("init"), makes="model"),
    "evaluate": StageKind(EvaluateConfig, run_evaluate, check_model_and_tasks("model"), makes=""),
}
