"""Stage `evaluate`: a model on fixed problems, several samples each, every completion kept. (`sample` asks likewise.)

Problems are asked in a fixed order, a file of rollouts a chunk; a chunk that is on disk is not asked again, so that a
resumed evaluation gives the same samples once. Random numbers depend on the evaluation's own seed and the problem, not
on the model: two models evaluated with one seed differ only by what they are. With thinking budgets every thought is
ended after so many tokens (`budget`).
The summary clusters by problem family. Left out on purpose: claims that compare two evaluations (the report).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mull.core.chat import Chat
from mull.core.config import Config
from mull.core.errors import Stopped, UserError
from mull.core.run import StageDir
from mull.core.types import Group, Problem
from mull.engine.base import Engine, Sampling
from mull.evaluation.budget import budgeted
from mull.rewards.score import RewardConfig, Scorer
from mull.rollout.collect import sample_groups
from mull.stats import cluster_mean, cons_at_k, pass_at_k
from mull.tasks.iterator import Draw
from mull.tasks.registry import TaskSpec

RowsOf = Callable[[int, Sequence[Group]], list[dict[str, Any]]]


class AskingConfig(Config):
    """What a model is asked, and how."""

    tasks: tuple[TaskSpec, ...] = Field(min_length=1)
    samples: int = Field(default=16, ge=1, description="completions a problem")
    template: Literal["auto", "r1-zero"] = Field(default="auto", description="auto: the model's own, if it has one")
    reward: RewardConfig = Field(default=RewardConfig(), description="what counts as an answer")
    max_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, lt=1)
    slots: int = Field(default=256, ge=1, description="sequences decoded side by side")
    chunk: int = Field(default=32, ge=1, description="problems asked at a time")
    dtype: Literal["float32", "bfloat16"] = "float32"

    def sampling(self) -> Sampling:
        return Sampling(self.max_tokens, self.temperature, self.top_p, self.top_k, self.min_p)


class AskConfig(AskingConfig):
    """Which model is asked what, and how."""

    model: str = Field(description="a stage, a model directory, a GGUF file or a hub id")


class EvaluateConfig(AskConfig):
    """What is measured, on which model."""

    kind: Literal["evaluate"]
    budgets: tuple[int, ...] = Field(
        default=(),
        description="thinking tokens after which a thought is ended by force; every problem is asked at each",
    )

    @model_validator(mode="after")
    def _budgets_fit(self) -> Self:
        if any(not 0 <= budget < self.max_tokens for budget in self.budgets):
            raise ValueError(
                f"budgets: each is at least 0 and below max_tokens = {self.max_tokens}, which counts the answer too; "
                "lower it or raise max_tokens"
            )
        if len(set(self.budgets)) != len(self.budgets):
            raise ValueError("budgets: each may be named once")
        return self


def ask(
    engine: Engine,
    chat: Chat,
    problems: Sequence[Problem],
    score: Scorer,
    config: AskingConfig,
    seed: int,
    stage: StageDir,
    rows: RowsOf,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[int, dict[str, float]], None] = lambda done, metrics: None,
    budgets: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """Ask every problem, write the rollouts, and give back all their rows.

    With `budgets` every problem is asked at each of them instead, one budget after another. The random numbers are the
    same at each, so that up to where it is ended a thought is the one of any larger budget.

    Raises:
        Stopped: somebody asked to stop; what was asked is kept.
        UserError: budgets, and an engine that cannot force tokens.
    """
    if budgets and not engine.capabilities.force_tokens:
        raise UserError("budgets: this engine cannot force tokens, which is how a thought is ended; use the local one")
    done = set(stage.rollout_steps())
    draws = [Draw(problem, i) for i, problem in enumerate(problems)]
    chunks = [
        (budget, draws[i : i + config.chunk])
        for budget in budgets or (None,)
        for i in range(0, len(draws), config.chunk)
    ]
    for number, (budget, chunk) in enumerate(chunks):
        if stop():
            raise Stopped(f"stopped after {number} of {len(chunks)} chunks")
        if number not in done:
            ended = None if budget is None else budgeted(chat, budget)
            groups = sample_groups(engine, chat, chunk, score, config.sampling(), config.samples, seed, ended)
            stage.write_rollouts(number, [{**row, "budget": budget} for row in rows(number, groups)])
        right = [row["verdict"] == "correct" for row in stage.read_rollouts(number)]
        report(number + 1, {"pass_rate": sum(right) / len(right)})
    return [row for number in range(len(chunks)) for row in stage.read_rollouts(number)]


def summary(rows: Sequence[dict[str, Any]], samples: int) -> dict[str, Any]:
    """Task → measure → {mean, low, high, n, families}; intervals (95%) cluster by family, None for one family alone."""
    tasks: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        tasks.setdefault(row["task"], {}).setdefault(row["problem_id"], []).append(row)
    return {task: _measures(list(problems.values()), samples) for task, problems in tasks.items()}


def summary_by_budget(rows: Sequence[dict[str, Any]], samples: int) -> dict[str, Any]:
    """Budget (as text, for JSON keys) → what `summary` says of its rows."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["budget"], []).append(row)
    return {str(budget): summary(found[budget], samples) for budget in found}


def _measures(problems: list[list[dict[str, Any]]], k: int) -> dict[str, Any]:
    families = [rows[0]["family"] or rows[0]["problem_id"] for rows in problems]

    def estimate(values: list[float]) -> dict[str, Any]:
        found = cluster_mean(values, families)
        bounds = {key: v if math.isfinite(v) else None for key, v in (("low", found.low), ("high", found.high))}
        return {"mean": found.mean, **bounds, "n": found.n, "families": found.clusters}

    def share(test: Callable[[dict[str, Any]], float]) -> dict[str, Any]:
        return estimate([sum(float(test(row)) for row in rows) / len(rows) for rows in problems])

    right = [[row["verdict"] == "correct" for row in rows] for rows in problems]
    answers = [[row["answer"] if row["verdict"] in ("correct", "wrong") else None for row in rows] for rows in problems]
    return {
        "pass@1": share(lambda row: row["verdict"] == "correct"),
        f"pass@{k}": estimate([pass_at_k(len(r), sum(r), k) for r in right]),
        f"cons@{k}": estimate([cons_at_k(a, r, k) for a, r in zip(answers, right, strict=True)]),
        "thinking_tokens": share(lambda row: row["thinking_tokens"]),
        "checks": share(lambda row: row["checks"]),
        "language": estimate([_spoken(rows) for rows in problems]),
        "well_formed": share(lambda row: row["well_formed"]),
        "truncated": share(lambda row: row["finish"] == "length"),
    }


def _spoken(rows: Sequence[dict[str, Any]]) -> float:
    """Share of the thoughts' words in the problem's language; thoughts without words, and none at all, count as 0."""
    return sum(row.get("language_share") or 0.0 for row in rows) / len(rows)
