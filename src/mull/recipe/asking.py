"""Stages that ask a model and change nothing: `evaluate` measures it, `sample` keeps what is worth learning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mull.core.rows import rollout_rows
from mull.core.types import Problem
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import AskingConfig, EvaluateConfig, ask, summary
from mull.evaluation.sample import SampleConfig, keep
from mull.model.load import load_model
from mull.recipe.kind import Context, chat_of, check_room, judge, report_dropped
from mull.rewards.score import scorer
from mull.tasks.mixture import load_mixture


def run_evaluate(context: Context) -> dict[str, Any]:
    """Measure a model."""
    config: EvaluateConfig = context.config
    rows = asked(context, problems_of(context))
    return {"tasks": summary(rows, config.samples)}


def run_sample(context: Context) -> dict[str, Any]:
    """Ask a model, keep what is worth learning."""
    config: SampleConfig = context.config
    problems = problems_of(context)
    return keep(asked(context, problems), problems, config.keep, context.stage)


def problems_of(context: Context) -> list[Problem]:
    """What the stage's tasks ask, decontaminated."""
    mixture = load_mixture(context.config.tasks)
    report_dropped(context, mixture)
    return mixture.all


def asked(context: Context, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The rows of all that the model said to the problems.

    Raises:
        UserError: a prompt that does not fit the model.
        Stopped: somebody asked to stop; what was asked is kept.
    """
    config: AskingConfig = context.config
    loaded = load_model(context.models["model"], config.dtype)
    chat = chat_of(loaded, config.template)
    check_room(loaded.model, chat, problems, config.max_tokens)
    context.begin(math.ceil(len(problems) / config.chunk), "chunk")
    return ask(
        LocalEngine(loaded.model, slots=config.slots),
        chat,
        problems,
        scorer(chat, config.reward, config.max_tokens),
        config,
        context.seed,
        context.stage,
        lambda step, groups: rollout_rows(step, groups, judge(chat), frozenset()),
        context.stop,
        context.report,
    )
