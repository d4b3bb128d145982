"""Stages that ask a model and change nothing: `evaluate` measures it, `sample` keeps what is worth learning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mull.core.rows import rollout_rows
from mull.core.types import Problem
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import AskConfig, EvaluateConfig, ask, summary, summary_by_budget
from mull.evaluation.sample import SampleConfig, keep
from mull.model.flops import working_parameters
from mull.model.load import load_model
from mull.recipe.kind import Context, chat_of, check_room, judge, report_dropped
from mull.rewards.score import scorer
from mull.tasks.mixture import load_mixture


def run_evaluate(context: Context) -> dict[str, Any]:
    """Measure a model."""
    config: EvaluateConfig = context.config
    _, rows, parameters = _asked(context, config.budgets)
    if config.budgets:
        return {"budgets": summary_by_budget(rows, config.samples), "parameters": parameters}
    return {"tasks": summary(rows, config.samples), "parameters": parameters}


def run_sample(context: Context) -> dict[str, Any]:
    """Ask a model, keep what is worth learning."""
    config: SampleConfig = context.config
    problems, rows, _ = _asked(context)
    return keep(rows, problems, config.keep, context.stage)


def _asked(context: Context, budgets: Sequence[int] = ()) -> tuple[list[Problem], list[dict[str, Any]], int]:
    """The problems, the rows of all that the model said to them, and how many parameters work on a token."""
    config: AskConfig = context.config
    mixture = load_mixture(config.tasks)
    report_dropped(context, mixture)
    problems = mixture.all
    loaded = load_model(context.models["model"], config.dtype)
    chat = chat_of(loaded, config.template)
    check_room(loaded.model, chat, problems, config.max_tokens)
    context.begin(math.ceil(len(problems) / config.chunk) * max(1, len(budgets)), "chunk")
    rows = ask(
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
        budgets,
    )
    return problems, rows, working_parameters(loaded.model)
