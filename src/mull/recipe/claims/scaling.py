"""Claims on scaling: right answers against thinking tokens, and against the FLOPs of training."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate

from mull.pages.numbers import number, share
from mull.recipe.claims.claim import Claim, Definition, judged, missing
from mull.recipe.claims.measure import mean
from mull.recipe.claims.roles import Roles
from mull.recipe.evidence import Evidence, Stage
from mull.recipe.samples import OURS, read_rollouts
from mull.stats import Change, LogFit, log_linear_fit

SOURCE = "OpenAI, Learning to reason with LLMs (2024)"
THINKING = Definition(
    "accuracy_grows_with_thinking",
    "Right answers grow with the logarithm of the thinking budget",
    SOURCE,
    "The slope of pass@1 on log2 of the budget, over all problems and budgets above 0; families are drawn again with "
    "all their budgets.",
    "share of attempts that are right (pass@1)",
    labels=("least budget", "largest budget"),
    effect="slope",
    change_is="per doubling of the budget",
)
TRAINING = Definition(
    "accuracy_grows_with_training",
    "Right answers grow with the logarithm of training compute",
    SOURCE,
    "The slope of a practised group's pass rate on log2 of the FLOPs that the rl stage had spent up to and with that "
    "step, over all groups of R1-Zero's training; the problems of a step are those it drew.",
    "share of practice attempts that are right",
    labels=("first step", "last step"),
    effect="slope",
    counted="groups",
    change_is="per doubling of FLOPs",
)
ALL = (THINKING, TRAINING)
ROLLOUT = ("step", "group", "verdict")


def claims(evidence: Evidence, roles: Roles) -> list[Claim]:
    """The claims of this theme."""
    return [accuracy_grows_with_thinking(evidence, roles), accuracy_grows_with_training(roles)]


def accuracy_grows_with_thinking(evidence: Evidence, roles: Roles) -> Claim:
    """Slope of pass@1 per doubling of the thinking budget: of R1-Zero if it was asked so, else of the last that was."""
    scaled = [s for s in evidence.evaluations() if len([b for b in s.config.get("budgets") or () if b > 0]) > 1]
    if not scaled:
        return missing(THINKING, "no evaluate stage has two budgets above 0")
    zero = roles.zero
    stage = next((s for s in scaled if zero and s.config.get("model") == zero.name), scaled[-1])
    asked = {budget: list(found.values()) for budget, found in evidence.by_budget(stage).items() if budget}
    points = [(budget, a.pass_at(1), a.family) for budget, found in sorted(asked.items()) for a in found]
    fit = log_linear_fit([b for b, _, _ in points], [y for _, y, _ in points], [f for _, _, f in points])
    problems = len({(a.task, a.problem) for found in asked.values() for a in found})
    least, most = min(asked, default=1), max(asked, default=1)
    ends = [mean([a.pass_at(1) for a in asked.get(budget, [])]) for budget in (least, most)]
    said = f"pass@1 of {stage.config.get('model')!r} {share(ends[0])} at {least} tokens, {share(ends[1])} at {most}"
    tasks = sorted({a.task for found in asked.values() for a in found})
    return judged(
        THINKING, replace(_slope(fit, ends), n=problems), said, stage=stage.name, tasks=tasks, span=(math.nan, math.nan)
    )


def accuracy_grows_with_training(roles: Roles) -> Claim:
    """Slope of the practised groups' pass rate per doubling of the FLOPs spent, in the R1-Zero stage."""
    zero = roles.zero
    if zero is None:
        return missing(TRAINING, "the run has no rl stage that starts from a base model")
    spent = _spent(zero)
    if len(spent) < 2:
        return missing(TRAINING, f"the metrics of {zero.name!r} hold no FLOPs; run the stage again", zero.name)
    groups = [(step, family, rate) for step, family, rate in _practised(zero) if step in spent]
    if not groups:
        return missing(TRAINING, f"stage {zero.name!r} kept no rollouts", zero.name)
    fit = log_linear_fit([spent[s] for s, _, _ in groups], [y for _, _, y in groups], [f for _, f, _ in groups])
    first, last = min(s for s, _, _ in groups), max(s for s, _, _ in groups)
    ends = [mean([y for s, _, y in groups if s == step]) for step in (first, last)]
    said = (
        f"practice {share(ends[0])} right after {number(spent[first] / 1e9)} GFLOPs, {share(ends[1])} after "
        f"{number(spent[last] / 1e9)}"
    )
    return judged(TRAINING, _slope(fit, ends), said, stage=zero.name, tasks=zero.tasks, span=(math.nan, math.nan))


def _slope(fit: LogFit, ends: list[float]) -> Change:
    return Change(ends[0], ends[1], fit.slope, fit.low, fit.high, fit.n, fit.clusters)


def _spent(stage: Stage) -> dict[int, float]:
    """Step → FLOPs up to and with it; {} where a step before it has none."""
    rows = stage.metrics()
    costs = [row.get("flops") for row in rows]
    if not all(isinstance(cost, int | float) and cost > 0 for cost in costs):
        return {}
    return dict(zip((int(row["step"]) for row in rows), accumulate(map(float, costs)), strict=True))  # type: ignore[arg-type]


def _practised(stage: Stage) -> list[tuple[int, str, float]]:
    """(step, family, pass rate) of every group that an rl stage sampled; without evidence a rate is nan."""
    groups: dict[tuple[int, int], tuple[str, list[float]]] = {}
    for row in read_rollouts(stage.directory, ROLLOUT, (*ROLLOUT, "family", "problem_id")):
        family = str(row.get("family") or row.get("problem_id"))
        rates = groups.setdefault((row["step"], row["group"]), (family, []))[1]
        rates.append(math.nan if row["verdict"] in OURS else float(row["verdict"] == "correct"))
    return [(step, family, mean(rates)) for (step, _), (family, rates) in groups.items()]
