"""What a run shows, as claims with a before, an after and an interval; each verdict is computed, none is written down.

A claim `holds` only if its 95% interval, clustered by problem family, lies wholly on the claimed side; it does not hold
where the interval includes "no change"; it is None where the run did not measure it. The statement is the claim
itself with its numbers, the same sentence whichever way it came out. Left out on purpose: a correction for making
five claims at once, and any claim on problems of which only one side was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mull.pages.numbers import MISSING, number, share
from mull.recipe.evidence import Asked, Pair
from mull.stats import (
    Change,
    Estimate,
    cluster_share,
    paired_difference,
    paired_ratio,
    share_difference,
)

NAN = float("nan")
MOST_SAMPLES = 16
VOTE_TASK = "chain_mod"

TITLES = {
    "zero_improves": "Reinforcement learning alone makes the model solve more problems",
    "thinking_grows": "The model thinks longer",
    "checking_grows": "More of its thoughts check themselves",
    "majority_helps": "A majority vote beats a single try",
    "pass_at_k_limit": "Training sharpens sampling more than it extends reach",
}

CHECKABLE = ("countdown_mod", "countdown")
"""Tasks whose answer can be held against a target that the prompt names."""


@dataclass(frozen=True)
class Claim:
    """One claim of one rl stage. `ci_low` and `ci_high` bound `change`, which is the `effect` named.

    `span_low` and `span_high` are the ends of a bar for drawing, in the units of `before` and `after`.

    Example: `Claim("zero_improves", "…", True, 0.18, 0.81, 0.57, 0.69, 259, 41, "difference", 0.63, "zero")`
    """

    id: str
    statement: str
    holds: bool | None
    before: float | None = None
    after: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    families: int = 0
    effect: Literal["difference", "ratio", "difference of gains"] = "difference"
    change: float | None = None
    stage: str | None = None
    tasks: tuple[str, ...] = ()
    span_low: float | None = None
    span_high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The claim for `mull report --json`; nothing in it is nan."""
        row = asdict(self)
        del row["span_low"], row["span_high"]
        return {**row, "tasks": list(self.tasks)}


@dataclass(frozen=True)
class TaskRow:
    """pass@1 of one task, or of one level of it, before and after; `level` None means all of the task."""

    stage: str
    task: str
    level: int | None
    before: Estimate
    after: Estimate
    change: Change
    thinking_before: float
    thinking_after: float

    def to_json(self) -> dict[str, Any]:
        """The row for `mull report --json`; nan becomes None."""
        return _without_nan(asdict(self))


def claims_of(pairs: Sequence[Pair], vote_tasks: Iterable[str] = ()) -> list[Claim]:
    """The five claims of each rl stage, in the order of TITLES.

    The vote is measured on `vote_tasks`; without any on chain_mod if it was asked, else on every task of which no
    problem was solved by two different answers.
    """
    if not pairs:
        return [_missing(name, None, "the run has no rl stage") for name in TITLES]
    return [claim for pair in pairs for claim in _claims(pair, tuple(vote_tasks))]


def _claims(pair: Pair, vote_tasks: tuple[str, ...]) -> list[Claim]:
    if not pair.problems:
        return [_missing(name, pair.stage.name, _why_empty(pair)) for name in TITLES]
    return [
        zero_improves(pair),
        thinking_grows(pair),
        checking_grows(pair),
        majority_helps(pair, vote_tasks),
        pass_at_k_limit(pair),
    ]


def zero_improves(pair: Pair) -> Claim:
    """pass@1, after minus before on the same problems; holds when the interval is above 0."""
    before, after = ([side.pass_at(1) for side in sides] for sides in _sides(pair))
    change = paired_difference(before, after, pair.families)
    return _claim("zero_improves", pair, change, "difference", f"pass@1 {share(change.before)} → {share(change.after)}")


def thinking_grows(pair: Pair) -> Claim:
    """Mean thinking tokens, after over before; holds when the interval of the ratio is above 1."""
    before, after = ([side.thinking for side in sides] for sides in _sides(pair))
    change = paired_ratio(before, after, pair.families)
    return _claim(
        "thinking_grows", pair, change, "ratio", f"{number(change.before)} → {number(change.after)} thinking tokens"
    )


def checking_grows(pair: Pair) -> Claim:
    """The share of thoughts with a check in them (not of completions: many have no thought before training).

    Measured where an answer can be held against a target (countdown), when that was asked. Elsewhere a check can only
    do the work twice, which a model that has become careful drops again; the statement gives both figures.
    """
    asked = {problem.task for problem, _ in pair.problems}
    tasks = tuple(sorted(asked & set(CHECKABLE))) or tuple(sorted(asked))
    change, overall = _checking(pair, tasks), _checking(pair, tuple(asked))
    said = f"{share(change.before)} → {share(change.after)} of thoughts on {', '.join(tasks)} check"
    if set(tasks) != asked:
        said += f"; {share(overall.before)} → {share(overall.after)} on all tasks"
    return _claim("checking_grows", pair, change, "difference", said, tasks)


def _checking(pair: Pair, tasks: Sequence[str]) -> Change:
    chosen = [(before, after) for before, after in pair.problems if before.task in tasks]
    before, after = (tuple(zip(*(side.checking for side in sides), strict=True)) for sides in zip(*chosen, strict=True))
    families = [problem.family for problem, _ in chosen]
    return share_difference((before[0], before[1]), (after[0], after[1]), families)


def majority_helps(pair: Pair, vote_tasks: Sequence[str] = ()) -> Claim:
    """cons@16 against pass@1 of the trained model, on problems with one right answer.

    The vote counts canonical answers; targets and gold answers are never read for it. With fewer than 16 samples
    a problem it is cons@k of as many as there are.
    """
    tasks = _vote_tasks(pair, vote_tasks)
    asked = [after for _, after in pair.problems if after.task in tasks]
    k = _samples([asked])
    if not asked or k < 2:
        why = "no task with a single right answer was asked" if not asked else "it needs 2 samples a problem and more"
        return _missing("majority_helps", pair.stage.name, why)
    change = paired_difference([a.pass_at(1) for a in asked], [a.cons_at(k) for a in asked], [a.family for a in asked])
    said = f"pass@1 {share(change.before)}, cons@{k} {share(change.after)} of the trained model on {', '.join(tasks)}"
    return _claim("majority_helps", pair, change, "difference", said, tasks)


def pass_at_k_limit(pair: Pair) -> Claim:
    """Is the gain in pass@16 smaller than the gain in pass@1? `change` is gain@1 - gain@16, before/after are pass@16.

    Known as the limit of what reinforcement learning from verdicts adds: Yue et al. 2025 (arXiv 2504.13837). That
    pass@16 cannot exceed 1 is part of the reason, so both values are said.
    """
    before, after = _sides(pair)
    k = _samples([before, after])
    if k < 2:
        return _missing("pass_at_k_limit", pair.stage.name, "it needs 2 samples a problem and more")
    families = pair.families
    many = paired_difference([b.pass_at(k) for b in before], [a.pass_at(k) for a in after], families)
    gains = [(a.pass_at(1) - b.pass_at(1), a.pass_at(k) - b.pass_at(k)) for b, a in pair.problems]
    gap = paired_difference([g for _, g in gains], [g for g, _ in gains], families)
    leader = (
        "the trained model is ahead"
        if many.low > 0
        else "the base is ahead"
        if many.high < 0
        else "neither is clearly ahead"
    )
    gained = paired_difference([b.pass_at(1) for b in before], [a.pass_at(1) for a in after], families)
    said = (
        f"pass@1 {share(gained.before)} → {share(gained.after)}, pass@{k} {share(many.before)} base and "
        f"{share(many.after)} trained: with {k} tries {leader}"
    )
    shown = Change(many.before, many.after, gap.value, gap.low, gap.high, gap.n, gap.clusters)
    span = (many.before + many.low, many.before + many.high)
    return _claim("pass_at_k_limit", pair, shown, "difference of gains", said, span=span)


def task_rows(pair: Pair) -> list[TaskRow]:
    """pass@1 by task and, where a task has several levels, by level."""
    rows = []
    for task in _tasks(pair):
        asked = [(b, a) for b, a in pair.problems if a.task == task]
        rows.append(_row(pair, task, None, asked))
        levels = sorted({a.level for _, a in asked if a.level is not None})
        if len(levels) > 1:
            rows += [_row(pair, task, level, [(b, a) for b, a in asked if a.level == level]) for level in levels]
    return rows


def _row(pair: Pair, task: str, level: int | None, asked: Sequence[tuple[Asked, Asked]]) -> TaskRow:
    families = [after.family for _, after in asked]
    before, after = [b.pass_at(1) for b, _ in asked], [a.pass_at(1) for _, a in asked]
    thinking = paired_ratio([b.thinking for b, _ in asked], [a.thinking for _, a in asked], families)
    return TaskRow(
        pair.stage.name, task, level, cluster_share(before, families), cluster_share(after, families),
        paired_difference(before, after, families), thinking.before, thinking.after,
    )  # fmt: skip


def _claim(
    name: str,
    pair: Pair,
    change: Change,
    effect: Literal["difference", "ratio", "difference of gains"],
    said: str,
    tasks: Sequence[str] | None = None,
    span: tuple[float, float] | None = None,
) -> Claim:
    if math.isnan(change.before) or math.isnan(change.after):
        return _missing(name, pair.stage.name, "the samples do not hold what it needs")
    nothing = 1.0 if effect == "ratio" else 0.0
    holds = None if math.isnan(change.low) else change.low > nothing
    if span is None:
        low, high = change.low, change.high
        span = (
            (change.before * low, change.before * high)
            if effect == "ratio"
            else (change.before + low, change.before + high)
        )
    return Claim(
        name, f"{TITLES[name]} ({said}).", holds, change.before, change.after, _known(change.low), _known(change.high),
        change.n, change.clusters, effect, _known(change.value), pair.stage.name,
        tuple(tasks if tasks is not None else _tasks(pair)), _known(span[0]), _known(span[1]),
    )  # fmt: skip


def _missing(name: str, stage: str | None, why: str) -> Claim:
    return Claim(name, f"{TITLES[name]} (not measured: {why}).", None, stage=stage)


def _why_empty(pair: Pair) -> str:
    if pair.before is None:
        return (
            f"no evaluate stage has model = {pair.stage.config.get('init')!r}, the start of stage {pair.stage.name!r}"
        )
    if pair.after is None:
        return f"no evaluate stage has model = {pair.stage.name!r}"
    return f"stages {pair.before.name!r} and {pair.after.name!r} share no problem"


def _sides(pair: Pair) -> tuple[list[Asked], list[Asked]]:
    return [before for before, _ in pair.problems], [after for _, after in pair.problems]


def _tasks(pair: Pair) -> tuple[str, ...]:
    return tuple(sorted({after.task for _, after in pair.problems}))


def _samples(sides: Sequence[Sequence[Asked]]) -> int:
    """The k of cons@k and pass@k: 16, or as many samples as problems have on every side.

    The most and not the least over problems, so that one sample lost to a timeout drops its problem (nan), not k.
    """
    return min([MOST_SAMPLES, *(max((len(a.judged) for a in side), default=0) for side in sides)])


def _vote_tasks(pair: Pair, wanted: Sequence[str]) -> tuple[str, ...]:
    tasks = _tasks(pair)
    if wanted:
        return tuple(task for task in tasks if task in wanted)
    return (VOTE_TASK,) if VOTE_TASK in tasks else tuple(task for task in tasks if _single_answer(pair, task))


def _single_answer(pair: Pair, task: str) -> bool:
    """Whether no problem of the task was solved by two different answers."""
    solved: dict[str, set[str]] = {}
    for asked in (side for sides in pair.problems for side in sides if side.task == task):
        solved.setdefault(asked.problem, set()).update(s.answer for s in asked.samples if s.correct and s.answer)
    return all(len(answers) < 2 for answers in solved.values())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return _known(value) if isinstance(value, float) else value


def change_text(claim: Claim) -> str:
    """The change with its interval in words: `+63.4 points (95% interval +57.0 to +69.1)`."""
    if claim.change is None:
        return MISSING
    if claim.effect == "ratio":
        shown = [f"{v:.2f}×" if v is not None else MISSING for v in (claim.change, claim.ci_low, claim.ci_high)]
        return f"{shown[0]} (95% interval {shown[1]} to {shown[2]})"
    shown = [
        f"{100 * v:+.1f}".replace("-", "−") if v is not None else MISSING
        for v in (claim.change, claim.ci_low, claim.ci_high)
    ]
    return f"{shown[0]} points (95% interval {shown[1]} to {shown[2]})"
