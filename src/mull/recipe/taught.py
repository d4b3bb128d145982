"""A `sample` stage whose model is behind an API: everything asked, every answer kept, then scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mull.core.types import Problem
from mull.engine.crowd import Crowd
from mull.engine.journal import Journal
from mull.engine.purse import Prices, Purse
from mull.evaluation.sample import SampleConfig
from mull.evaluation.teacher import ANSWERS, estimate, forecast, questions, write_rows
from mull.recipe.kind import Context


def taught(context: Context, problems: Sequence[Problem]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of all that the teacher said to the problems, and for the summary what it took."""
    config: SampleConfig = context.config
    remote = config.remote
    assert remote is not None
    asked = questions(problems, remote, config, context.seed)
    purse = Purse(remote.prices or Prices(), remote.budget)
    with Journal(context.stage.path / ANSWERS, purse) as journal:
        context.note(estimate(remote, problems, config))
        answered = sum(each.key in journal for each in asked)
        if answered:
            cost = f", {purse.spent:.4g} spent" if remote.prices else ""
            context.note(f"{answered:,} of them are answered already{cost}")
        context.begin(len(asked), "request")
        told = False

        def report(done: int, metrics: dict[str, float]) -> None:
            nonlocal told
            if not told and config.chunk * config.samples <= done < len(asked):
                told = True
                context.note(forecast(purse, len(asked)))
            context.report(done, metrics)

        crowd = Crowd(remote, journal, f"{context.stage.name}.remote", context.stop, report)
        if not context.stage.rollout_steps():  # else all was asked before; what failed then stays so
            crowd.ask(asked)
        rows = write_rows(problems, asked, journal, config, context.stage)
        return rows, {"remote": crowd.summary(asked)}
