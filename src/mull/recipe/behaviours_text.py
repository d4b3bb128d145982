"""A study of behaviours for people and machines: a table of text, one JSON document, a section of the report.

Left out on purpose: any number that `behaviours.py` did not compute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from mull.analysis.behaviours import ABOUT
from mull.core.errors import UserError
from mull.pages.chart import Series, line_chart, multiples
from mull.pages.markup import Child, Markup, tag
from mull.pages.numbers import MISSING, finite, points, share
from mull.pages.table import table
from mull.recipe.behaviours import SMOOTH, Curve, Row, Study, studies, title
from mull.recipe.evidence import Pair, Run
from mull.stats import Change, Estimate

HEADERS = ("behaviour", "share before", "share after", "change, points", "right with − without", "at equal length")
CAUSE = (
    "An association is no cause: what makes a problem's chain right may also make it check, and what goes wrong makes "
    "it doubt."
)
LINES = 3
"""Behaviours in the chart: those whose share moved most."""


def study_json(study: Study) -> dict[str, Any]:
    """One stage of the document that `mull behaviours RUN --json` prints; it holds no nan."""
    return {
        "stage": study.stage, "before": study.before or None, "after": study.after or None,
        "association_of": study.of, "chains": study.chains, "read": study.read,
        "behaviours": [_row_json(row) for row in study.rows],
        "curves": [
            {"behaviour": str(curve.behaviour), "steps": curve.steps, "share": curve.shares,
             "smoothed": [_known(v) for v in curve.smooth], "thoughts": curve.thoughts}
            for curve in study.curves
        ],
    }  # fmt: skip


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "behaviour": str(row.behaviour), "what": ABOUT[row.behaviour][1],
        "before": _estimate_json(row.before), "after": _estimate_json(row.after),
        "change": _change_json(row.change, ("before", "after")),
        "right": _change_json(row.right), "right_at_equal_length": _change_json(row.at_equal_length),
    }  # fmt: skip


def _estimate_json(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None or estimate.n == 0:
        return None
    return {
        "share": _known(estimate.mean), "low": _known(estimate.low), "high": _known(estimate.high),
        "thoughts": estimate.n, "families": estimate.clusters,
    }  # fmt: skip


def _change_json(change: Change | None, sides: tuple[str, str] = ("without", "with")) -> dict[str, Any] | None:
    if change is None or change.n == 0:
        return None
    return {
        sides[0]: _known(change.before), sides[1]: _known(change.after), "difference": _known(change.value),
        "low": _known(change.low), "high": _known(change.high), "n": change.n, "families": change.clusters,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def study_text(study: Study) -> str:
    """The table for a terminal, with what it is of above it and what it does not show below."""
    body = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in HEADERS:
        body.add_column(heading, justify="left" if heading == HEADERS[0] else "right", no_wrap=heading == HEADERS[0])
    for row in study.rows:
        body.add_row(*_cells(row))
    console = Console(no_color=True, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(body)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join([_about(study), "", *lines, "", f"{_how(study)} {CAUSE}"])


def _cells(row: Row) -> list[str]:
    return [
        title(row.behaviour), _share(row.before), _share(row.after), _points(row.change), _paired(row.right),
        _paired(row.at_equal_length),
    ]  # fmt: skip


def _share(estimate: Estimate | None) -> str:
    if estimate is None or not finite(estimate.mean):
        return MISSING
    return share(estimate.mean) + (f" [{share(estimate.low)}, {share(estimate.high)}]" if finite(estimate.low) else "")


def _points(change: Change | None) -> str:
    if change is None or not finite(change.value):
        return MISSING
    interval = f" [{points(change.low)}, {points(change.high)}]" if finite(change.low) else ""
    return points(change.value) + interval


def _paired(change: Change) -> str:
    """The difference with its interval and how many pairs of how many families it is from."""
    return f"{_points(change)}; {change.n} of {change.clusters}" if change.n else MISSING


def _about(study: Study) -> str:
    sides = f", between “{study.before}” and “{study.after}”" if study.before and study.after else ""
    part = f"; a part drawn with a fixed seed, {study.read:,} thoughts" if study.sampled else ""
    return f"Stage “{study.stage}”{sides}: {study.chains:,} chains{part}"


def _how(study: Study) -> str:
    return (
        f"Right with − without: the difference of pass rates in points, within problems of “{study.of}” "
        "that have both, with its 95% interval; then how many pairs of how many families; then the same within thirds "
        "of thinking length."
    )


def behaviours_section(run: Run, pairs: Sequence[Pair]) -> Markup | None:
    """The report's section: for each rl stage a small chart and a table; None where no thought was kept."""
    try:
        shown = [study for study in studies(run, pairs) if study.rows] if pairs else []
    except UserError:
        return None  # nothing to say is no mistake here; `mull behaviours` says why
    if not shown:
        return None
    parts: list[Child] = []
    for study in shown:
        if len(shown) > 1:
            parts.append(tag("h3", f"Stage {study.stage}"))
        charts = [chart for chart in (_chart(study),) if chart]
        parts.append(multiples(charts) if charts else None)
        parts.append(table(HEADERS, [_cells(row) for row in study.rows], caption=_about(study)))
        parts.append(tag("p", f"{_how(study)} {CAUSE}", class_="prose muted"))
    said = "Shares of thoughts, read from their text by fixed rules; what a task has no words for is left out."
    return tag("section", tag("h2", "What the thoughts do"), tag("p", said, class_="prose"), *parts)


def _chart(study: Study) -> Markup | None:
    """The behaviours that moved most, a line each, smoothed."""
    moving = sorted((c for c in study.curves if len(c.steps) > 1), key=_moved, reverse=True)[:LINES]
    moving = [curve for curve in moving if max(curve.shares) > 0]
    if not moving:
        return None
    series = [Series(title(c.behaviour), [float(s) for s in c.steps], c.smooth) for c in moving]
    return line_chart(f"Share of thoughts, mean of {SMOOTH} steps", series, y_format=share)


def _moved(curve: Curve) -> float:
    return max(curve.smooth) - min(curve.smooth)
