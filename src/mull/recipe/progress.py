"""What a person sees of a run: a bar a stage on a terminal, a plain line now and then where output goes to a file.

Everything goes to standard error. The time that is left is reckoned from the last steps, since steps get longer as
thoughts do. Left out on purpose: curves (the report has them).
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

SHOWN: dict[str, Callable[[float], str]] = {
    "loss": lambda x: f"loss {x:.3f}",
    "reward": lambda x: f"reward {x:.2f}",
    "pass_rate": lambda x: f"pass@1 {x:.2f}",
    "thinking_tokens": lambda x: f"thinking {x:.0f} tokens",
    "held_out": lambda x: f"held out {x:.3f}",
    "alarm": lambda x: "REWARD MODELS ARE GAMED" if x else "no alarm",
    "checks": lambda x: f"checks {x:.0%}",
    "cost": lambda x: f"{x:.4g} spent",
    "tokens": lambda x: f"{x:,.0f} tokens",
    "requests_a_minute": lambda x: f"{x:.0f} requests a minute",
}
HIDDEN_BESIDE = {"reward": "loss"}
"""A key that is not shown where another is: what a policy's loss says nobody can read."""


class Quiet:
    """Shows nothing but warnings."""

    def skipped(self, stage: str) -> None: ...
    def begin(self, stage: str, total: int, unit: str) -> None: ...
    def update(self, done: int, metrics: dict[str, float]) -> None: ...
    def finish(self, stage: str, summary: dict[str, Any]) -> None: ...
    def note(self, text: str) -> None: ...
    def warn(self, text: str) -> None:
        print(f"mull: {text}", file=sys.stderr, flush=True)

    def close(self) -> None: ...


class Pace:
    """How long the rest takes. Example: `pace = Pace(); pace.at(0); pace.at(1); pace.left(100)`"""

    def __init__(self, clock: Callable[[], float] = time.monotonic, window: int = 30) -> None:
        self.clock = clock
        self.seen: deque[tuple[float, int]] = deque(maxlen=window)

    def at(self, done: int) -> None:
        """Note that so many steps are done now."""
        self.seen.append((self.clock(), done))

    def left(self, total: int) -> str:
        """`"1 min 15 s"`; "" when nothing is known yet or nothing is left."""
        (start, first), (end, last) = self.seen[0], self.seen[-1]
        return duration((end - start) / (last - first) * (total - last)) if first < last < total else ""


class Lines:
    """Progress in plain lines, at most one in `every` seconds, and one when a stage ends.

    Example: `run_recipe(recipe, out, Lines())`
    """

    def __init__(
        self, file: TextIO | None = None, every: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.file = file or sys.stderr
        self.every, self.clock = every, clock
        self.stage, self.total, self.unit = "", 0, "step"
        self.shown = self.started = 0.0
        self.pace = Pace(clock)

    def skipped(self, stage: str) -> None:
        self._say(f"{stage:<8} done before")

    def begin(self, stage: str, total: int, unit: str) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self.shown = self.started = self.clock()
        self.pace = Pace(self.clock)
        self._say(f"{stage:<8} {total} {unit}{'s' if total != 1 else ''}")

    def update(self, done: int, metrics: dict[str, float]) -> None:
        self.pace.at(done)
        now = self.clock()
        if now - self.shown < self.every and done < self.total:
            return
        self.shown = now
        left = self.pace.left(self.total)
        ending = f", {left} left" if left else ""
        self._say(f"{self.stage:<8} {self.unit} {done}/{self.total}: {numbers(metrics)}{ending}")

    def finish(self, stage: str, summary: dict[str, Any]) -> None:
        for line in ending(stage, summary, self.clock() - self.started):
            self._say(line)

    def note(self, text: str) -> None:
        self._say(text)

    def warn(self, text: str) -> None:
        self._say(f"mull: {text}")

    def close(self) -> None: ...

    def _say(self, text: str) -> None:
        self.file.write(text + "\n")
        self.file.flush()


class Bars:
    """Progress as a live bar; finished stages stay above it.

    Example: `run_recipe(recipe, out, Bars(Console(stderr=True)))`
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.stage, self.total, self.started = "", 0, 0.0
        self.pace = Pace(clock)
        self.bars: Progress | None = None
        self.task = TaskID(0)

    def skipped(self, stage: str) -> None:
        self.note(f"{stage:<8} done before")

    def begin(self, stage: str, total: int, unit: str) -> None:
        self.close()
        self.stage, self.total, self.started = stage, total, self.clock()
        self.pace = Pace(self.clock)
        columns = (
            TextColumn(f"{escape(stage):<8}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn(f"{unit}s {{task.fields[said]}}", markup=False),
        )
        # Twice a second is often enough to see that it lives; a faster one would take time from a busy core.
        self.bars = Progress(*columns, console=self.console, refresh_per_second=2, transient=True)
        self.task = self.bars.add_task(stage, total=total, said="")
        self.bars.start()

    def update(self, done: int, metrics: dict[str, float]) -> None:
        self.pace.at(done)
        left = self.pace.left(self.total)
        if self.bars:
            said = f"{left} left: {numbers(metrics)}" if left else numbers(metrics)
            self.bars.update(self.task, completed=done, said=said)

    def finish(self, stage: str, summary: dict[str, Any]) -> None:
        self.close()
        for line in ending(stage, summary, self.clock() - self.started):
            self.note(line)

    def note(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def warn(self, text: str) -> None:
        self.note(f"mull: {text}")

    def close(self) -> None:
        if self.bars:
            self.bars.stop()
            self.bars = None


def for_stderr(quiet: bool = False) -> Quiet | Lines | Bars:
    """What suits standard error: nothing, bars on a terminal, lines elsewhere."""
    if quiet:
        return Quiet()
    console = Console(stderr=True)
    return Bars(console) if console.is_terminal and not console.is_dumb_terminal else Lines()


def numbers(metrics: dict[str, float]) -> str:
    """`"reward 0.52, pass@1 0.60"`: the metrics that a person follows."""
    hidden = {other for key, other in HIDDEN_BESIDE.items() if key in metrics}
    return ", ".join(show(metrics[key]) for key, show in SHOWN.items() if key in metrics and key not in hidden)


def ending(stage: str, summary: dict[str, Any], seconds: float) -> list[str]:
    """What is said of a finished stage: its measures with their intervals, and how long it took."""
    lines = []
    budgets = {f"{name} after {b}": m for b, by in summary.get("budgets", {}).items() for name, m in by.items()}
    for name, measures in {**summary.get("tasks", {}), **budgets}.items():
        estimate = measures["pass@1"]
        known = estimate["low"] is not None
        interval = f"[{estimate['low']:.3f}, {estimate['high']:.3f}]" if known else "(one family: no interval)"
        lines.append(f"{stage:<8} {name}: pass@1 {estimate['mean']:.3f} {interval}")
    return [*lines, f"{stage:<8} done in {duration(seconds)}"]


def duration(seconds: float) -> str:
    """`75.2` → "1 min 15 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
