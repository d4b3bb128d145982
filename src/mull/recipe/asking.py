"""Stages that ask a model and change nothing: `evaluate` measures it, `sample` keeps what is worth learning."""

from __future__ import annotations

import math
from typing import Any

from mull.core.rows import rollout_rows
from mull.core.types import Problem
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import AskConfig, EvaluateConfig, ask, summary
from mull.evaluation.sample import SampleConfig, keep
from mull.model.load import load_model
from mull.recipe.judging import judged
from mull.recipe.kind import Context, chat_of, check_room, judge, report_dropped, reward_models
from mull.recipe.taught import taught
from mull.rewards.score import scorer
from mull.tasks.mixture import load_mixture


def run_evaluate(context: Context) -> dict[str, Any]:
    """Measure a model."""
    config: EvaluateConfig = context.config
    _, rows = _asked(context)
    return {"tasks": summary(rows, config.samples)}


def run_sample(context: Context) -> dict[str, Any]:
    """Ask a model, keep what is worth learning."""
    config: SampleConfig = context.config
    problems, rows, counts = taught(context) if config.remote else (*_asked(context), {})
    rulings, judge_counts = judged(context, problems, rows)
    return keep(rows, problems, config.keep, context.stage, rulings) | counts | judge_counts


def _asked(context: Context) -> tuple[list[Problem], list[dict[str, Any]]]:
    """The problems, and the rows of all that the model said to them."""
    config: AskConfig = context.config
    mixture = load_mixture(config.tasks)
    report_dropped(context, mixture)
    problems = mixture.all
    loaded = load_model(context.models["model"], config.dtype)
    chat = chat_of(loaded, config.template)
    check_room(loaded.model, chat, problems, config.max_tokens)
    context.begin(math.ceil(len(problems) / config.chunk), "chunk")
    rows = ask(
        LocalEngine(loaded.model, slots=config.slots),
        chat,
        problems,
        scorer(chat, config.reward, config.max_tokens, reward_models(context, config.reward)),
        config,
        context.seed,
        context.stage,
        lambda step, groups: rollout_rows(step, groups, judge(chat), frozenset()),
        context.stop,
        context.report,
    )
    return problems, rows
