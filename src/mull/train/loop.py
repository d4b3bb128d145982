"""The part of a training stage that is the same for all: resume, count steps, save, stop, log.

No trainer base class: a stage owns its loop (`for step in loop.steps(…)`) and calls this for the chores. A step's log
row and rollouts are written before the checkpoint that covers them; on resume what lies past the checkpoint is cut off,
so no step is recorded twice. Left out on purpose: everything about learning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from mull.core.config import Config
from mull.core.errors import Stopped
from mull.core.memory import Meter
from mull.core.run import StageDir
from mull.train.checkpoint import Trained, fill_checkpoint, load_checkpoint

Progress = Callable[[int, dict[str, float]], None]
"""(steps done, metrics of the last one)"""
MEASURED = ("step", "seconds", "peak_memory")
"""What a row of metrics holds beside the step's own; the last two differ when a step is done again."""


class Checkpointing(Config):
    """How often a training stage saves."""

    checkpoint_every: int = Field(default=20, ge=1, description="steps between checkpoints")
    keep_checkpoints: int = Field(default=2, ge=1, description="older ones are deleted")


@dataclass
class Loop:
    """The chores of one training stage.

    `stop` is asked before every step; `report` is told of every finished one.

    Example: `for step in loop.steps(learner, 100): loop.log(step, learner.fit(batch))`
    """

    stage: StageDir
    config: Checkpointing
    stop: Callable[[], bool] = lambda: False
    report: Progress = lambda done, metrics: None
    started: float = field(default_factory=time.monotonic)
    memory: Meter | None = None
    """Where it is given, every row of metrics tells the step's peak of main memory above the stage's beginning."""

    def resume(self, learner: Trained) -> dict[str, Any]:
        """Put the learner where the newest good checkpoint left it, cut off what came after; returns its extra.

        Checkpoints that are damaged are said (`StageDir.say`), passed over and removed.
        """
        checkpoint = self.stage.latest_checkpoint()
        extra = load_checkpoint(checkpoint, learner) if checkpoint else {}
        self.stage.cut_checkpoints(learner.version if checkpoint else -1)
        self.stage.cut_metrics(learner.version)
        self.stage.cut_rollouts(learner.version)
        return extra

    def steps(self, learner: Trained, total: int, extra: Callable[[], dict[str, Any]] = dict) -> Iterator[int]:
        """The numbers of the steps still to do; saves on the way and at the end.

        Raises:
            Stopped: `stop` said so; the state is saved.
        """
        for step in range(learner.version, total):
            if self.stop():
                self._save(learner, extra())
                raise Stopped(f"stopped after step {step} of {total}")
            self.started = time.monotonic()
            if self.memory:
                self.memory.start()
            yield step
            if learner.version % self.config.checkpoint_every == 0 or learner.version == total:
                self._save(learner, extra())

    def log(self, step: int, metrics: dict[str, float], rollouts: Sequence[dict[str, Any]] | None = None) -> None:
        """Record a finished step: its rollouts first, so that a metrics row always has them."""
        if rollouts is not None:
            self.stage.write_rollouts(step, rollouts)
        measured: dict[str, float | None] = {"seconds": round(time.monotonic() - self.started, 3)}
        if self.memory:
            measured["peak_memory"] = self.memory.lap()
        self.stage.log({"step": step, **metrics, **measured})
        self.report(step + 1, metrics)

    def last_metrics(self) -> dict[str, float]:
        """The metrics of the last recorded step, {} before the first: a stage resumed at its end still knows them."""
        rows = self.stage.metrics()
        return {k: v for k, v in rows[-1].items() if k not in MEASURED and v is not None} if rows else {}

    def _save(self, learner: Trained, extra: dict[str, Any]) -> None:
        self.stage.save_checkpoint(learner.version, lambda path: fill_checkpoint(path, learner, extra))
        self.stage.keep_last(self.config.keep_checkpoints)
