"""What a claim is: one public statement about reasoning models, how this run measures it, and what came out.

A claim `holds` only if its 95% interval, clustered by problem family, lies wholly on the claimed side; it does not hold
where the interval includes "no change"; it is None where the run did not measure it, and `reason` says why. The
statement is the claim itself with its numbers, the same sentence whichever way it came out. Left out on purpose: a
correction for making many claims at once, and any claim on problems of which only one side was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mull.pages.numbers import MISSING, number, share, size
from mull.stats import Change

Effect = Literal["difference", "ratio", "difference of gains", "slope"]
Unit = Literal["share", "number", "bytes"]


@dataclass(frozen=True)
class Definition:
    """A claim before it meets a run: what is said, by whom, and what decides it.

    `direction` is the side on which the change's interval must lie to hold: beyond no change or, with a `margin`,
    beyond a loss of that much. `unit` is that of the values before and after.

    Example: `Definition("zero_improves", "Reinforcement learning alone …", "DeepSeek-R1 §2.2", "pass@1 …", "pass@1")`
    """

    id: str
    title: str
    source: str
    how: str
    measure: str
    labels: tuple[str, str] = ("before", "after")
    effect: Effect = "difference"
    unit: Unit = "share"
    counted: str = "problems"
    """What `n` counts."""
    change_is: str = ""
    """What the change is, where it is not plainly the difference or the ratio of the two values."""
    direction: Literal["up", "down"] = "up"
    margin: float = 0.0

    @property
    def nothing(self) -> float:
        """The change that must be excluded."""
        return (1.0 if self.effect == "ratio" else 0.0) - self.margin

    def holds(self, change: Change) -> bool | None:
        """The verdict; None without an interval."""
        if math.isnan(change.low) or math.isnan(change.high):
            return None
        return change.low > self.nothing if self.direction == "up" else change.high < self.nothing

    def show(self, value: float | None) -> str:
        """A value in words: `18%`, `24.6`, `812 MB`."""
        return {"share": share, "number": number, "bytes": size}[self.unit](value)


@dataclass(frozen=True)
class Claim:
    """One claim of one run, or of one of its rl stages. `ci_low` and `ci_high` bound `change`, the `effect` named.

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
    effect: Effect = "difference"
    change: float | None = None
    stage: str | None = None
    tasks: tuple[str, ...] = ()
    span_low: float | None = None
    span_high: float | None = None
    said: str = ""
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The claim for `mull report --json`; nothing in it is nan."""
        row = asdict(self)
        del row["span_low"], row["span_high"], row["said"]
        return {**row, "tasks": list(self.tasks)}


def judged(
    definition: Definition,
    change: Change,
    said: str,
    *,
    stage: str | None = None,
    tasks: Sequence[str] = (),
    span: tuple[float, float] | None = None,
) -> Claim:
    """The claim as the change decides it; `said` are its numbers in words."""
    if math.isnan(change.before) or math.isnan(change.after):
        return missing(definition, "the samples do not hold what it needs", stage)
    if span is None:
        span = (
            (change.before * change.low, change.before * change.high)
            if definition.effect == "ratio"
            else (change.before + change.low, change.before + change.high)
        )
    holds = definition.holds(change)
    return Claim(
        definition.id, f"{definition.title} ({said}).", holds, change.before, change.after, _known(change.low),
        _known(change.high), change.n, change.clusters, definition.effect, _known(change.value), stage, tuple(tasks),
        _known(span[0]), _known(span[1]), said, "it has no interval: one family alone" if holds is None else None,
    )  # fmt: skip


def missing(definition: Definition, why: str, stage: str | None = None) -> Claim:
    """The claim as one that this run did not measure."""
    statement = f"{definition.title} (not measured: {why})."
    return Claim(definition.id, statement, None, effect=definition.effect, stage=stage, reason=why)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def counted_text(claim: Claim, definition: Definition) -> str:
    """What the claim was counted on: `40 problems, 12 families`; "" for nothing."""
    if not claim.n:
        return ""
    families = "" if definition.counted == "steps" else f", {claim.families:,} families"
    return f"{claim.n:,} {definition.counted}{families}"


def change_text(claim: Claim) -> str:
    """The change with its interval in words: `+63.4 points (95% interval +57.0 to +69.1)`."""
    if claim.change is None:
        return MISSING
    values = (claim.change, claim.ci_low, claim.ci_high)
    if claim.effect == "ratio":
        shown = [f"{v:.2f}×" if v is not None else MISSING for v in values]
        return f"{shown[0]} (95% interval {shown[1]} to {shown[2]})"
    shown = [f"{100 * v:+.1f}".replace("-", "−") if v is not None else MISSING for v in values]
    each = " per doubling" if claim.effect == "slope" else ""
    return f"{shown[0]} points{each} (95% interval {shown[1]} to {shown[2]})"
