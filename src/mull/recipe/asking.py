"""Stages that ask a model and change nothing: `evaluate` measures it, `sample` keeps what is worth learning,
`label_steps` finds out how good each step of its chains is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mull.core.errors import Stopped, UserError
from mull.core.files import read_json_lines, write_text
from mull.core.rows import rollout_rows
from mull.core.types import Problem
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import AskingConfig, EvaluateConfig, ask, summary, summary_by_budget
from mull.evaluation.sample import SampleConfig, keep
from mull.evaluation.steps import LabelStepsConfig, as_lines, label_rows
from mull.model.flops import working_parameters
from mull.model.load import LoadedModel, load_model
from mull.recipe.judging import judged
from mull.recipe.kind import Context, chat_of, check_room, judge, report_dropped, reward_models
from mull.recipe.taught import taught
from mull.rewards.score import scorer
from mull.tasks.mixture import load_mixture


def run_evaluate(context: Context) -> dict[str, Any]:
    """Measure a model."""
    config: EvaluateConfig = context.config
    loaded = load_model(context.models["model"], config.dtype)
    rows = asked(context, problems_of(context), loaded, config.budgets)
    by_budget = {"budgets": summary_by_budget(rows, config.samples)} if config.budgets else {}
    measured = by_budget or {"tasks": summary(rows, config.samples)}
    return {**measured, "parameters": working_parameters(loaded.model)}


def run_sample(context: Context) -> dict[str, Any]:
    """Ask a model, keep what is worth learning."""
    config: SampleConfig = context.config
    problems = problems_of(context)
    rows, counts = taught(context, problems) if config.remote else (asked(context, problems), {})
    rulings, judge_counts = judged(context, problems, rows)
    return keep(rows, problems, config.keep, context.stage, rulings) | counts | judge_counts


def run_label_steps(context: Context) -> dict[str, Any]:
    """Ask a model, then go on from each step of what it said."""
    config: LabelStepsConfig = context.config
    problems = problems_of(context)
    loaded = load_model(context.models["model"], config.dtype)
    rows = asked(context, problems, loaded)
    chat, engine = chat_of(loaded, config.template), LocalEngine(loaded.model, slots=config.slots)
    score, by_id = scorer(chat, config.reward, config.max_tokens), {problem.id: problem for problem in problems}
    chunks, files = context.stage.rollout_steps(), []
    context.begin(len(chunks), "labelled chunk")
    for done, number in enumerate(chunks):
        if context.stop():
            raise Stopped(f"stopped after labelling {done} of {len(chunks)} chunks")
        files.append(context.stage.path / "labels" / f"chunk-{number:06d}.jsonl")
        if not files[-1].exists():
            said = context.stage.read_rollouts(number)
            write_text(files[-1], as_lines(label_rows(engine, chat, said, by_id, score, config, context.seed)))
        context.report(done + 1, {})
    chains = [chain for file in files for chain in read_json_lines(file)]
    labels = [label for chain in chains for label in chain["labels"] if label is not None]
    if not labels:
        raise UserError(f"none of {len(rows)} chains has a step to go on from; raise max_tokens, or ask another model")
    write_text(context.stage.steps, as_lines(chains))
    return {
        "chains": len(rows), "labelled_chains": len(chains), "steps": len(labels),
        "mean": math.fsum(labels) / len(labels),
        "always": sum(label == 1 for label in labels), "never": sum(label == 0 for label in labels),
    }  # fmt: skip


def problems_of(context: Context) -> list[Problem]:
    """What the stage's tasks ask, decontaminated."""
    mixture = load_mixture(context.config.tasks)
    report_dropped(context, mixture)
    return mixture.all


def asked(
    context: Context,
    problems: Sequence[Problem],
    loaded: LoadedModel | None = None,
    budgets: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """The rows of all that the model said to the problems; `loaded` is that model, where somebody has loaded it.

    Raises:
        UserError: a prompt that does not fit the model.
        Stopped: somebody asked to stop; what was asked is kept.
    """
    config: AskingConfig = context.config
    loaded = loaded or load_model(context.models["model"], config.dtype)
    chat = chat_of(loaded, config.template)
    check_room(loaded.model, chat, problems, config.max_tokens)
    context.begin(math.ceil(len(problems) / config.chunk) * max(1, len(budgets)), "chunk")
    return ask(
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
        budgets,
    )
