"""The kinds of stages that learn from conversations or from a teacher: `sft` and `distil`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import nn

from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.core.rows import rollout_rows
from mull.engine.local import LocalEngine
from mull.model.load import LoadedModel, check_source, load_model, save_model
from mull.model.lora import add_lora, merge_lora
from mull.recipe.kind import Context, chat_of, check_reward, check_room, judge, named, report_dropped, reward_models
from mull.rewards.score import scorer
from mull.tasks.conversations import read_conversations
from mull.tasks.mixture import load_mixture
from mull.train.distil import DistilConfig, distil_on_data, distil_on_policy
from mull.train.learner import Learner
from mull.train.loop import Loop
from mull.train.sft import SFTConfig, Source, encode, steps_of, train_sft


def run_sft(context: Context) -> dict[str, Any]:
    """Fine-tune on conversations."""
    config: SFTConfig = context.config
    loaded = load_model(context.models["init"], config.dtype)
    chat = chat_of(loaded, config.template)
    sources, too_long = _sources(context, loaded, chat)
    if config.lora:
        add_lora(loaded.model, config.lora, context.seed)

    def learner(steps: int) -> Learner:
        return Learner(loaded.model, config.optim, steps, micro_batch_tokens=config.micro_batch_tokens)

    loop = Loop(context.stage, config, context.stop, context.report)
    summary = train_sft(learner, sources, config, context.seed, loop, lambda total: context.begin(total, "step"))
    merge_lora(loaded.model)
    save_model(loaded.model, loaded.tokenizer, context.stage.model)
    return {**summary, "too_long": too_long}


def _sources(context: Context, loaded: LoadedModel, chat: Chat) -> tuple[list[Source], dict[str, int]]:
    """The conversations of `data` as token ids, and how many of each were too long."""
    config: SFTConfig | DistilConfig = context.config
    longest = config.max_tokens or getattr(loaded.model.config, "max_position_embeddings", None) or 0
    sources, too_long = [], {}
    for number, spec in enumerate(config.data, 1):
        path = Path(context.models.get(f"data.{number}", spec.source)).expanduser()
        encoded = encode(chat, read_conversations(path, spec.limit), longest, spec.source)
        sources.append(Source(encoded.examples, spec.weight))
        too_long[spec.source] = encoded.too_long
    return sources, too_long


def run_distil(context: Context) -> dict[str, Any]:
    """Move a student towards a teacher's distributions, on traces or on its own words."""
    config: DistilConfig = context.config
    loaded, teacher = (load_model(context.models[key], config.dtype) for key in ("init", "teacher"))
    if loaded.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise UserError(
            f"{config.teacher}: its vocabulary is not the student's; learn on what it says with a stage of kind sft"
        )
    teacher.model.eval().requires_grad_(False)
    chat = chat_of(loaded, config.template)
    loop = Loop(context.stage, config, context.stop, context.report)

    def learner(steps: int) -> Learner:
        return Learner(loaded.model, config.optim, steps, micro_batch_tokens=config.micro_batch_tokens)

    if config.data:
        sources, too_long = _sources(context, loaded, chat)
        steps = steps_of(sources, config.epochs, config.batch_tokens, context.seed)
        context.begin(len(steps), "step")
        summary = distil_on_data(learner(len(steps)), teacher.model, steps, config, loop) | {"too_long": too_long}
    else:
        summary = _on_policy(context, loaded, chat, learner(config.steps), teacher.model, loop)
    save_model(loaded.model, loaded.tokenizer, context.stage.model)
    return summary


def _on_policy(
    context: Context, loaded: LoadedModel, chat: Chat, learner: Learner, teacher: nn.Module, loop: Loop
) -> dict[str, Any]:
    config: DistilConfig = context.config
    mixture = load_mixture(config.tasks)
    report_dropped(context, mixture)
    check_room(loaded.model, chat, mixture.all, config.sampling.max_tokens)
    context.begin(config.steps, "step")
    metrics = distil_on_policy(
        LocalEngine(loaded.model, slots=config.slots),
        learner,
        teacher,
        chat,
        mixture.iterator(context.seed),
        scorer(chat, config.reward, config.sampling.max_tokens, reward_models(context, config.reward)),
        config,
        context.seed,
        loop,
        lambda step, groups, trained: rollout_rows(step, groups, judge(chat), trained),
    )
    return {k: v for k, v in metrics.items() if math.isfinite(v)}


def check_supervised(config: SFTConfig | DistilConfig, where: str, inner: frozenset[str]) -> None:
    """Models, conversations and problems from outside exist and can be read; raises UserError otherwise."""
    for key in ("init", "teacher"):
        if key not in inner and hasattr(config, key):
            with named(f"{where}.{key}"):
                check_source(getattr(config, key))
    if isinstance(config, DistilConfig) and config.tasks:
        with named(f"{where}.tasks"):
            load_mixture(config.tasks)
        check_reward(config, where, inner)
    for number, spec in enumerate(config.data, 1):
        if f"data.{number}" not in inner:
            with named(f"{where}.data.{number}"):
                read_conversations(Path(spec.source).expanduser())
