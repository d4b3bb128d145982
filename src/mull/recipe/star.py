"""The kind of stage `star`: sampling, keeping and fine-tuning in turns (STaR, arXiv 2203.14465, algorithm 1).

    iteration-01/asked      rollouts of the model so far          iteration-01/traces.jsonl    what was kept
    iteration-01/hinted     rollouts with the answer as a hint    iteration-01/model           init, fine-tuned on it
    iteration-02/…          asks the model of iteration-01, and fine-tunes init again

Each part is a stage of its own in a directory of its own: `asking` asks, `supervised` learns, and both take themselves
up where they were stopped. Left out on purpose: STaR's growing number of steps (epochs over more traces grow it too).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mull.core.errors import UserError
from mull.core.run import StageDir
from mull.core.types import Problem
from mull.evaluation.sample import write_traces
from mull.evaluation.star import StarConfig, hinted, seed_of, unsolved
from mull.model.load import load_model, save_model
from mull.recipe.asking import asked, problems_of
from mull.recipe.kind import Context, chat_of, check_room
from mull.recipe.supervised import run_sft
from mull.rollout.select import Selection, select
from mull.tasks.conversations import TraceSpec
from mull.train.sft import SFTConfig


def run_star(context: Context) -> dict[str, Any]:
    """Iterate; the model of the last iteration is the stage's."""
    config: StarConfig = context.config
    problems = problems_of(context)
    _check_hints(context, problems)
    model, counts = context.models["init"], []
    for number in range(1, config.iterations + 1):
        stage = StageDir(context.stage.path / f"iteration-{number:02d}")
        stage.clean()
        if stage.read().get("status") != "done":
            _iterate(context, stage, problems, model, number)
        model = str(stage.model)
        counts.append(stage.read()["counts"])
    last = load_model(model, config.dtype)
    save_model(last.model, last.tokenizer, context.stage.model)
    return {"iterations": counts, "problems": len(problems)}


def _iterate(context: Context, stage: StageDir, problems: Sequence[Problem], model: str, number: int) -> None:
    """Ask `model`, keep what is right, fine-tune `init` on it."""
    config: StarConfig = context.config
    rows = _ask(context, StageDir(stage.path / "asked"), problems, model, number)
    own = select(rows, config.keep)
    failed = unsolved(rows, problems)
    again = [h for p in failed if (h := hinted(p, config.hint))] if config.rationalise else []
    told = select(_ask(context, StageDir(stage.path / "hinted"), again, model, number), config.keep)
    kept = [*own.kept, *told.kept]
    if not kept:
        raise UserError(f"iteration {number}: none of {len(rows)} samples was kept; sample more, or loosen keep")
    write_traces(kept, problems, stage)
    learned = run_sft(replace(context, stage=stage, config=_sft(config, stage), models=_learns(context, stage)))
    right = sum(row["verdict"] == "correct" for row in rows)
    counts = {
        "asked": len(rows), "right": right, "problems_right": len(problems) - len(failed),
        "hinted": len(again), "no_hint": len(failed) - len(again) if config.rationalise else 0,
        "rationalised": len({row["problem_id"] for row in told.kept}),
        "kept": len(kept), "kept_with_hint": len(told.kept), "dropped": _dropped(own, told),
        "steps": learned["steps"], "loss": learned["loss"],
    }  # fmt: skip
    stage.write(status="done", counts=counts)
    shutil.rmtree(stage.path / "checkpoints")  # a finished iteration is not taken up again


def _ask(
    context: Context, stage: StageDir, problems: Sequence[Problem], model: str, number: int
) -> list[dict[str, Any]]:
    if not problems:
        return []
    stage.clean()
    seed = seed_of(context.seed, number, stage.name)
    return asked(replace(context, stage=stage, models={**context.models, "model": model}, seed=seed), problems)


def _sft(config: StarConfig, stage: StageDir) -> SFTConfig:
    return SFTConfig(
        kind="sft", init=config.init, data=(TraceSpec(source=str(stage.traces)),), epochs=config.epochs,
        batch_tokens=config.batch_tokens, optim=config.optim, micro_batch_tokens=config.micro_batch_tokens,
        template=config.template, dtype=config.dtype, checkpoint_every=config.checkpoint_every,
        keep_checkpoints=config.keep_checkpoints,
    )  # fmt: skip


def _learns(context: Context, stage: StageDir) -> dict[str, str]:
    return {"init": context.models["init"], "data.1": str(stage.traces)}


def _dropped(*selections: Selection) -> dict[str, int]:
    reasons = {reason for selection in selections for reason in selection.dropped}
    return {reason: sum(selection.dropped.get(reason, 0) for selection in selections) for reason in sorted(reasons)}


def _check_hints(context: Context, problems: Sequence[Problem]) -> None:
    """Every hint can be written in the model's tokens and leaves room for an answer.

    Raises:
        UserError: one cannot, or does not; better now than after the first samples.
    """
    config: StarConfig = context.config
    if config.rationalise:
        loaded = load_model(context.models["init"], config.dtype)
        hints = [h for problem in problems if (h := hinted(problem, config.hint))]
        check_room(loaded.model, chat_of(loaded, config.template), hints, config.max_tokens)
