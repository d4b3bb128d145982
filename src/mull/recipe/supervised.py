"""The kinds of stages that learn from conversations, and that make them: `sft` and `sample`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mull.core.rows import rollout_rows
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import ask
from mull.evaluation.sample import SampleConfig, keep
from mull.model.load import check_source, load_model, save_model
from mull.model.lora import add_lora, merge_lora
from mull.recipe.kind import Context, chat_of, check_room, judge, named, report_dropped
from mull.rewards.score import scorer
from mull.tasks.conversations import read_conversations
from mull.tasks.mixture import load_mixture
from mull.train.learner import Learner
from mull.train.loop import Loop
from mull.train.sft import SFTConfig, Source, encode, train_sft


def run_sample(context: Context) -> dict[str, Any]:
    """Ask a model, keep what is worth learning."""
    config: SampleConfig = context.config
    mixture = load_mixture(config.tasks)
    report_dropped(context, mixture)
    loaded = load_model(context.models["model"], config.dtype)
    chat = chat_of(loaded, config.template)
    check_room(loaded.model, chat, mixture.all, config.max_tokens)
    context.begin(math.ceil(len(mixture.all) / config.chunk), "chunk")
    rows = ask(
        LocalEngine(loaded.model, slots=config.slots),
        chat,
        mixture.all,
        scorer(chat, config.reward, config.max_tokens),
        config,
        context.seed,
        context.stage,
        lambda step, groups: rollout_rows(step, groups, judge(chat), frozenset()),
        context.stop,
        context.report,
    )
    return keep(rows, mixture.all, config.keep, context.stage)


def run_sft(context: Context) -> dict[str, Any]:
    """Fine-tune on conversations."""
    config: SFTConfig = context.config
    loaded = load_model(context.models["init"], config.dtype)
    chat = chat_of(loaded, config.template)
    longest = config.max_tokens or getattr(loaded.model.config, "max_position_embeddings", None) or 0
    sources, too_long = [], {}
    for number, spec in enumerate(config.data, 1):
        path = Path(context.models.get(f"data.{number}", spec.source)).expanduser()
        encoded = encode(chat, read_conversations(path, spec.limit), longest, spec.source)
        sources.append(Source(encoded.examples, spec.weight))
        too_long[spec.source] = encoded.too_long
    if config.lora:
        add_lora(loaded.model, config.lora, context.seed)

    def learner(steps: int) -> Learner:
        return Learner(loaded.model, config.optim, steps, micro_batch_tokens=config.micro_batch_tokens)

    loop = Loop(context.stage, config, context.stop, context.report)
    summary = train_sft(learner, sources, config, context.seed, loop, lambda total: context.begin(total, "step"))
    merge_lora(loaded.model)
    save_model(loaded.model, loaded.tokenizer, context.stage.model)
    return {**summary, "too_long": too_long}


def check_sft(config: SFTConfig, where: str, inner: frozenset[str]) -> None:
    """The model and the conversations from outside exist and can be read; raises UserError otherwise."""
    with named(f"{where}.init"):
        if "init" not in inner:
            check_source(config.init)
    for number, spec in enumerate(config.data, 1):
        if f"data.{number}" not in inner:
            with named(f"{where}.data.{number}"):
                read_conversations(Path(spec.source).expanduser())
