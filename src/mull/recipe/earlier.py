"""What a stage took before: in this run directory, or in a sibling of the same recipe, on this machine.

Left out on purpose: runs of other recipes, and averages over several runs; the newest that knows is taken.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mull.core.errors import UserError
from mull.core.run import Run, StageDir, machine
from mull.recipe.graph import Recipe, Stage

SCALES = ("steps", "checkpoint_every", "keep_checkpoints", "documents", "epochs", "limit", "init", "model", "teacher")
"""Keys that change how many steps there are, or which weights, and not what a step takes."""


@dataclass(frozen=True)
class Earlier:
    """What is known from before. Example: `Earlier(seconds_a_step=2.5, bytes=4.0e8)`"""

    seconds_a_step: float
    bytes: float | None


def earlier(recipe: Recipe, run: Run, stage: Stage) -> Earlier | None:
    """What a step of the same stage took, with the same settings but for how many steps there are."""
    here = _computer({"machine": machine()})
    siblings = [p.parent for p in run.path.parent.glob("*/run.json")] if run.path.parent.is_dir() else []
    for path in dict.fromkeys([run.path, *sorted(siblings, key=_written, reverse=True)]):
        known = Run(path).known()
        if known.get("name") == recipe.name and _computer(known) == here:
            found = _of(Run(path).stage(stage.name), stage)
            if found:
                return found
    return None


def _computer(record: dict[str, Any]) -> tuple[Any, Any] | None:
    """Processor and cores of the machine of a run.json; None where it does not say."""
    said = record.get("machine")
    return (said.get("cpu"), said.get("cores")) if isinstance(said, dict) else None


def _written(path: Path) -> float:
    return (path / "run.json").stat().st_mtime


def _of(directory: StageDir, stage: Stage) -> Earlier | None:
    try:
        record = directory.read()
        if _essence(record.get("config", {}), stage) != _essence(stage.settings, stage):
            return None
        times = [row["seconds"] for row in directory.metrics() if row.get("seconds") is not None]
        if not times and record.get("status") == "done" and directory.rollout_steps():
            took = datetime.fromisoformat(record["finished"]) - datetime.fromisoformat(record["started"])
            times = [took.total_seconds() / len(directory.rollout_steps())]
        peak = record.get("memory") or {}
        return Earlier(statistics.fmean(times), peak.get("peak")) if times else None
    except (UserError, ValueError, KeyError, TypeError, OSError):
        return None


def _essence(config: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """What a step's time depends on; the shape of a model that is made here is one of it."""
    dropped = set(SCALES) - ({"model"} if stage.settings["kind"] == "pretrain" else set())
    return {key: value for key, value in config.items() if key not in dropped}
