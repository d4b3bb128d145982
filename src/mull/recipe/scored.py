"""The kinds of stages that make a score: `reward_model`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mull.model.load import check_source, load_model
from mull.model.scalar import save_scalar, scalar_of
from mull.recipe.kind import Context, chat_of, named
from mull.tasks.opinions import load_preferences
from mull.train.loop import Loop
from mull.train.reward import Item, RewardModelConfig, items_of, measure, split, steps_of, train_reward_model
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


def check_reward_model(config: RewardModelConfig, where: str, inner: frozenset[str]) -> None:
    """The model and the files exist and can be read; raises UserError otherwise."""
    if "init" not in inner:
        with named(f"{where}.init"):
            check_source(config.init)
    for key in ("data", "test"):
        for number, spec in enumerate(getattr(config, key), 1):
            with named(f"{where}.{key}.{number}"):
                load_preferences(spec, config.skip_unusable)
