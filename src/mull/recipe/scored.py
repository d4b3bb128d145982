"""The kinds of stages that make a score: `reward_model`, `prm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.core.types import Problem
from mull.model.load import check_source, load_model
from mull.model.scalar import check_scalar, load_scalar, save_scalar, scalar_of
from mull.recipe.kind import Context, chat_of, check_model_and_tasks, check_room, named
from mull.tasks.opinions import load_preferences
from mull.tasks.steps import read_steps
from mull.train import prm
from mull.train.loop import Loop
from mull.train.optim import OptimConfig
from mull.train.prm import PRMConfig
from mull.train.process import Process, ProcessSupervision, outcome_alone
from mull.train.reward import Item, RewardModelConfig, items_of, measure, split, steps_of, train_reward_model
from mull.train.rl import RLConfig
from mull.train.scalar import ScalarLearner


def run_reward_model(context: Context) -> dict[str, Any]:
    """Learn a score from preferences, and measure it on prompts held out."""
    config: RewardModelConfig = context.config
    loaded = load_model(context.models["init"], config.dtype)
    chat = chat_of(loaded, config.template)
    longest = config.max_tokens or getattr(loaded.model.config, "max_position_embeddings", None) or 0

    def read(specs: Sequence[str]) -> list[Item]:
        found = [(load_preferences(spec, config.skip_unusable), spec) for spec in specs]
        return [item for said, spec in found for item in items_of(chat, said, config.judged, longest, spec)]

    taught, held = split(read(config.data), config.held_out)
    tested = read(config.test)
    steps = steps_of(len(taught), config, context.seed)
    model = scalar_of(loaded)
    learner = ScalarLearner(model, config.optim, len(steps), micro_batch_tokens=config.micro_batch_tokens)
    context.begin(len(steps), "step")
    metrics = train_reward_model(learner, taught, steps, Loop(context.stage, config, context.stop, context.report))
    save_scalar(model, loaded.tokenizer, context.stage.model)
    measured = {"held_out": measure(learner, held), "test": measure(learner, tested)}
    return {"items": len(taught) + len(held), "loss": metrics.get("loss"), **measured}


def run_prm(context: Context) -> dict[str, Any]:
    """Learn how good steps are, and measure it on prompts held out."""
    config: PRMConfig = context.config
    loaded = load_model(context.models["init"], config.dtype)
    chat = chat_of(loaded, config.template)
    longest = config.max_tokens or getattr(loaded.model.config, "max_position_embeddings", None) or 0
    items: list[prm.Item] = []
    for number, text in enumerate(config.data, 1):
        chains = read_steps(Path(context.models.get(f"data.{number}", text)).expanduser(), config.neutral)
        items += prm.items_of(chat, chains, config.thought, longest, text)
    taught, held = split(items, config.held_out)
    if not taught:
        raise UserError(
            f"all {len(items)} chains are of prompts that are held out; lower held_out or give more prompts"
        )
    steps = steps_of(len(taught), config, context.seed)
    model = scalar_of(loaded)
    learner = ScalarLearner(model, config.optim, len(steps), micro_batch_tokens=config.micro_batch_tokens)
    context.begin(len(steps), "step")
    metrics = prm.train_prm(learner, taught, steps, Loop(context.stage, config, context.stop, context.report))
    save_scalar(model, loaded.tokenizer, context.stage.model)
    held_out = prm.measure(learner, held, prm.base_rate(taught))
    return {"chains": len(items), "steps": sum(len(i.labels) for i in items), "loss": metrics.get("loss"),
            "held_out": held_out}  # fmt: skip


def check_prm(config: PRMConfig, where: str, inner: frozenset[str]) -> None:
    """The model and the files exist and can be read; raises UserError otherwise."""
    if "init" not in inner:
        with named(f"{where}.init"):
            check_source(config.init)
    for number, text in enumerate(config.data, 1):
        if f"data.{number}" not in inner:
            with named(f"{where}.data.{number}"):
                read_steps(Path(text).expanduser(), config.neutral)


def process_of(context: Context, chat: Chat, problems: Sequence[Problem]) -> Process:
    """What an rl stage's `process` asks for.

    Raises:
        UserError: a model with another vocabulary, or without room for the prompts with their completions.
    """
    config: RLConfig = context.config
    if config.process is None:
        return outcome_alone
    loaded = load_scalar(context.models["process.model"], getattr(torch, config.dtype))
    if loaded.tokenizer.get_vocab() != chat.tokenizer.get_vocab():
        raise UserError(f"process.model: {config.process.model}: its vocabulary is not the policy's")
    with named("process.model"):
        check_room(loaded.model, chat, problems, config.sampling.max_tokens)
    scorer = ScalarLearner(loaded.model, OptimConfig(), 1, micro_batch_tokens=config.micro_batch_tokens)
    return ProcessSupervision(scorer, chat, config.process)


def check_rl(config: RLConfig, where: str, inner: frozenset[str]) -> None:
    """Models and data exist and can be read; raises UserError otherwise."""
    check_model_and_tasks("init")(config, where, inner)
    if config.process and "process.model" not in inner:
        with named(f"{where}.process.model"):
            check_scalar(config.process.model)


def check_reward_model(config: RewardModelConfig, where: str, inner: frozenset[str]) -> None:
    """The model and the files exist and can be read; raises UserError otherwise."""
    if "init" not in inner:
        with named(f"{where}.init"):
            check_source(config.init)
    for key in ("data", "test"):
        for number, spec in enumerate(getattr(config, key), 1):
            with named(f"{where}.{key}.{number}"):
                load_preferences(spec, config.skip_unusable)
