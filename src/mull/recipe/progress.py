"""What a person sees of a run: one line a stage that moves on a terminal, a plain line now and then elsewhere.

Everything goes to standard error. Left out on purpose: curves (the report has them).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

SHOWN: dict[str, Callable[[float], str]] = {
    "loss": lambda x: f"loss {x:.3f}",
    "reward": lambda x: f"reward {x:.2f}",
    "pass_rate": lambda x: f"pass@1 {x:.2f}",
    "thinking_tokens": lambda x: f"thinking {x:.0f} tokens",
    "checks": lambda x: f"checks {x:.0%}",
}


class Quiet:
    """Shows nothing."""

    def skipped(self, stage: str) -> None: ...
    def begin(self, stage: str, total: int, unit: str) -> None: ...
    def update(self, done: int, metrics: dict[str, float]) -> None: ...
    def finish(self, stage: str, summary: dict[str, Any]) -> None: ...


class Lines:
    """Progress in lines; on a terminal the current one is rewritten.

    Example: `run_recipe(recipe, out, Lines())`
    """

    def __init__(self, file: TextIO | None = None, every: float = 10.0) -> None:
        self.file = file or sys.stderr
        self.live = self.file.isatty()
        self.every = 0.2 if self.live else every
        self.stage, self.total, self.unit = "", 0, "step"
        self.started = self.shown = 0.0
        self.first = -1

    def skipped(self, stage: str) -> None:
        self._say(f"{stage:<8} done before")

    def begin(self, stage: str, total: int, unit: str) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self.started = self.shown = time.monotonic()
        self.first = -1
        self._say(f"{stage:<8} {total} {unit}s", keep=not self.live)

    def update(self, done: int, metrics: dict[str, float]) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.first, self.started = done, now
        if now - self.shown < self.every and done < self.total:
            return
        self.shown = now
        numbers = ", ".join(show(metrics[key]) for key, show in SHOWN.items() if key in metrics)
        spent, made = now - self.started, done - self.first
        left = f", {duration(spent / made * (self.total - done))} left" if made and done < self.total else ""
        self._say(f"{self.stage:<8} {self.unit} {done}/{self.total}: {numbers}{left}", keep=not self.live)

    def finish(self, stage: str, summary: dict[str, Any]) -> None:
        tasks = summary.get("tasks", {})
        for name, measures in tasks.items():
            estimate = measures["pass@1"]
            interval = f"[{estimate['low']:.3f}, {estimate['high']:.3f}]"
            self._say(f"{stage:<8} {name}: pass@1 {estimate['mean']:.3f} {interval}")
        if not tasks:
            self._say(f"{stage:<8} done")

    def _say(self, text: str, keep: bool = True) -> None:
        if self.live:
            self.file.write(f"\r\x1b[K{text}" + ("\n" if keep else ""))
        else:
            self.file.write(text + "\n")
        self.file.flush()


def duration(seconds: float) -> str:
    """`75.2` → "1 min 15 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
