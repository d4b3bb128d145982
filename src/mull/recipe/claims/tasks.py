"""pass@1 by task and by level, before and after an rl stage: the table below the claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mull.recipe.evidence import Pair
from mull.recipe.samples import Asked
from mull.stats import Change, Estimate, cluster_share, paired_difference, paired_ratio


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


def task_rows(pair: Pair) -> list[TaskRow]:
    """pass@1 by task and, where a task has several levels, by level."""
    rows = []
    for task in pair.tasks:
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


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
