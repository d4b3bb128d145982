"""Watches a policy on problems that it does not practise: is what a reward model likes still right?

    every so many steps ─► held-out problems ─► pass rate ─┐
    every step ─► what the learned rewards pay ────────────┴─► alarm: pay rises, held-out accuracy falls

A policy that has found out what a reward model overlooks is paid more and solves less (DeepSeek-R1, arXiv 2501.12948
§2.3.4 and supplement: reward rose while Codeforces fell). The alarm compares with the best look so far, problem by
problem: a look is bad when the 95% interval of the fall, clustered by family, lies wholly beyond `tolerance` while the
pay since that look is above what it was before. The best of several looks was lucky too, so one bad look says little:
it rings at the second bad look in a row. Where another reward model begins to count, pay jumps without anybody's doing,
and the monitor begins anew. Left out on purpose: mending it (take an earlier checkpoint, pay the preference later or
less), and an exact rate of false alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from mull.core.chat import Chat
from mull.core.config import Config
from mull.core.errors import StageFailed
from mull.core.types import Problem
from mull.engine.base import Engine, Sampling
from mull.rewards.score import Scorer
from mull.rollout.collect import sample_groups
from mull.stats import paired_difference
from mull.tasks.iterator import Draw
from mull.tasks.registry import TaskSpec

IN_A_ROW = 2
"""Bad looks that make an alarm."""


class MonitorConfig(Config):
    """What is looked at, how often, and what an alarm does."""

    tasks: tuple[TaskSpec, ...] = Field(min_length=1, description="problems that can be verified, of another split")
    every: int = Field(default=10, ge=1, description="steps between looks")
    samples: int = Field(default=4, ge=1, description="completions a problem")
    tolerance: float = Field(default=0.0, ge=0, lt=1, description="a fall in pass rate that is let pass")
    on_alarm: Literal["warn", "stop"] = "warn"
    """"warn": the alarm is in the metrics and the summary. "stop": the stage ends there as failed."""


@dataclass
class Look:
    """What held-out problems showed: the pass rate of each, and the mean pay of the steps up to it (None: none)."""

    step: int
    rates: list[float]
    pay: float | None

    @property
    def pass_rate(self) -> float:
        return math.fsum(self.rates) / len(self.rates)


@dataclass
class Monitor:
    """Looks at held-out problems now and then; its `state` goes into checkpoints.

    Example: `metrics |= monitor.look(step, metrics)`
    """

    config: MonitorConfig
    problems: list[Problem]
    engine: Engine
    chat: Chat
    score: Scorer
    sampling: Sampling
    seed: int
    best: Look | None = None
    paid: list[float] = field(default_factory=list)
    starts: frozenset[int] = frozenset()
    """Steps from which another reward model counts."""
    bad: int = 0
    """Bad looks in a row."""
    alarms: list[int] = field(default_factory=list)

    def look(self, step: int, metrics: dict[str, float]) -> dict[str, float]:
        """Take note of a finished step; `held_out` and `alarm` where it was time to look.

        Raises:
            StageFailed: an alarm, and `on_alarm` is "stop".
        """
        if step in self.starts:
            self.best, self.paid, self.bad = None, [], 0
        pay = metrics.get("learned", math.nan)
        self.paid += [pay] if math.isfinite(pay) else []
        if (step + 1) % self.config.every:
            return {}
        now = Look(step, self._rates(step), mean(self.paid))
        self.bad = self.bad + 1 if self._is_bad(now) else 0
        alarm = self.bad >= IN_A_ROW
        if alarm:
            self.alarms.append(step)
        if self.best is None or self.best.pay is None or now.pass_rate > self.best.pass_rate:
            self.best, self.paid = now, []
        if alarm and self.config.on_alarm == "stop":
            assert self.best.pay is not None and now.pay is not None
            raise StageFailed(
                f"at step {step} reward models pay more and more ({self.best.pay:.2f} → {now.pay:.2f}) while the "
                f"held-out pass rate fell from {self.best.pass_rate:.3f} at step {self.best.step} to "
                f"{now.pass_rate:.3f}: the policy games them. Pay them later (from_step) or less (weight), or end "
                f"the stage with steps = {self.best.step + 1}"
            )
        return {"held_out": now.pass_rate, "alarm": float(alarm)}

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs, as plain JSON."""
        best = self.best and {"step": self.best.step, "rates": self.best.rates, "pay": self.best.pay}
        return {"best": best, "paid": self.paid, "bad": self.bad, "alarms": self.alarms}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.best = Look(**state["best"]) if state["best"] else None
        self.paid, self.bad, self.alarms = list(state["paid"]), state["bad"], list(state["alarms"])

    def _rates(self, step: int) -> list[float]:
        draws = [Draw(problem, number) for number, problem in enumerate(self.problems)]
        seed = self.seed + 1 + step  # other samples at every look, and none of those that train
        groups = sample_groups(
            self.engine, self.chat, draws, self.score, self.sampling, self.config.samples, seed
        )  # fmt: skip
        return [sum(s.verdict.correct for s in group.samples) / len(group.samples) for group in groups]

    def _is_bad(self, now: Look) -> bool:
        if self.best is None or self.best.pay is None or now.pay is None or not now.pay > self.best.pay:
            return False
        families = [problem.family or problem.id for problem in self.problems]
        return paired_difference(self.best.rates, now.rates, families).high < -self.config.tolerance


def mean(values: list[float]) -> float | None:
    """None of nothing."""
    return math.fsum(values) / len(values) if values else None
