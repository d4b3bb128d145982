"""What a finished run recorded, read back for its report: stages, curves, and which evaluations belong together.

A run directory is the only source; nothing is computed by a model here and nothing is written. Left out on purpose: any
judgement (claims) and any layout (report.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mull.core.config import read_toml
from mull.core.errors import UserError
from mull.core.files import read_json, read_json_lines
from mull.recipe.samples import Asked, Problems, read_evaluation

NAN = float("nan")
SAMPLING = ("template", "prefix", "temperature", "top_p", "top_k", "min_p", "max_tokens", "sampling")


@dataclass(frozen=True)
class Stage:
    """One stage of a run, as its stage.json tells. Times are seconds since the epoch, nan where unknown."""

    name: str
    kind: str
    status: str
    config: Mapping[str, Any]
    started: float
    finished: float
    directory: Path
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.finished - self.started

    @property
    def tasks(self) -> tuple[str, ...]:
        """The `name:split` of each task in its configuration."""
        given = self.config.get("tasks") or ()
        given = [given] if isinstance(given, str) else given
        return tuple(str(t.get("task") or t.get("name") or t) if isinstance(t, Mapping) else str(t) for t in given)

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl in the order of their steps."""
        rows = [r for r in read_json_lines(self.directory / "metrics.jsonl") if isinstance(r.get("step"), int | float)]
        return sorted(rows, key=lambda row: row["step"])


@dataclass(frozen=True)
class Run:
    """A finished run: its stages in the recipe's order, the recipe's text and run.json."""

    path: Path
    name: str
    stages: tuple[Stage, ...]
    recipe: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """Two evaluations (None where there is none) and the problems that both asked, in a fixed order."""

    before: Stage | None
    after: Stage | None
    problems: tuple[tuple[Asked, Asked], ...]

    @property
    def families(self) -> list[str]:
        return [after.family for _, after in self.problems]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(sorted({after.task for _, after in self.problems}))


@dataclass(frozen=True)
class Pair(Compared):
    """An rl stage with the evaluations before and after it."""

    stage: Stage


def read_run(path: Path) -> Run:
    """The run in the directory `path`.

    Raises:
        UserError: no run is there, a file of it cannot be read, or a stage has not finished.
    """
    if not path.is_dir():
        raise UserError(
            f"{path}: no such run; give a directory that `mull run` wrote, or make one with `mull run RECIPE`"
        )
    if not (path / "stages").is_dir():
        raise UserError(f"{path}: no run directory (it holds no stages/); give one that `mull run` wrote")
    recipe_file = path / "recipe.toml"
    recipe = read_toml(recipe_file) if recipe_file.exists() else {}
    found = {f.parent.name: _stage(f) for f in sorted((path / "stages").glob("*/stage.json"))}
    planned = list(recipe.get("stages") or {})
    for name in [*planned, *found]:
        status = found[name].status if name in found else "not started"
        if status != "done":
            fix = f"finish it with `mull run {recipe_file} --out {path}`"
            raise UserError(f"{path}: stage {name!r} is not finished ({status}); {fix}")
    if not found:
        raise UserError(f"{path}: no stage has run yet; start it with `mull run RECIPE --out {path}`")
    later = sorted(
        (s for s in found.values() if s.name not in planned), key=lambda s: (math.isnan(s.started), s.started)
    )
    stages = (*(found[name] for name in planned), *later)
    text = recipe_file.read_text(encoding="utf-8") if recipe_file.exists() else ""
    info = read_json(path / "run.json") if (path / "run.json").exists() else {}
    return Run(path, str(recipe.get("name") or path.resolve().name), stages, text, info)


class Evidence:
    """What the evaluations of a run hold, each read once.

    Problems of domain "general", whose good replies no rule knows, are left out but where they are asked for, and where
    an evaluation asked nothing else.

    Example: `Evidence(read_run(path)).compare("base", "zero").problems`
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._read: dict[str, dict[int | None, Problems]] = {}

    def asked(self, stage: Stage, general: bool = False) -> Problems:
        """What an evaluate stage asked without a budget; with `general` all of it.

        Raises:
            UserError: a rollout file cannot be read or lacks a column that is needed.
        """
        every = self._all(stage).get(None, {})
        return every if general else _verifiable(every)

    def by_budget(self, stage: Stage) -> dict[int | None, Problems]:
        """Thinking budget → what an evaluate stage asked at it; raises as `asked`."""
        return {budget: _verifiable(problems) for budget, problems in self._all(stage).items()}

    def _all(self, stage: Stage) -> dict[int | None, Problems]:
        if stage.name not in self._read:
            self._read[stage.name] = read_evaluation(stage.directory)
        return self._read[stage.name]

    def compare(self, before: str, after: str, general: bool = False) -> Compared:
        """Two models on the problems that both were asked, by the two measurements that match best."""
        return self.match(self.measurements(before), self.measurements(after), general)

    def match(self, befores: Sequence[Stage], afters: Sequence[Stage], general: bool = False) -> Compared:
        """The two evaluations that match best: same tasks, a test split, same sampling, the order of the recipe."""
        ranked = [
            (
                bool(set(b.tasks) & set(a.tasks)),
                set(b.tasks) == set(a.tasks),
                any("test" in t for t in a.tasks),
                sum(b.config.get(key) == a.config.get(key) for key in SAMPLING),
                -i,
                b,
                a,
            )
            for i, (b, a) in enumerate((b, a) for a in afters for b in befores)
        ]
        if not ranked:
            return Compared(befores[0] if befores else None, afters[0] if afters else None, ())
        before, after = max(ranked, key=lambda r: r[:5])[5:]
        return Compared(before, after, self.shared(self.asked(before, general), self.asked(after, general)))

    @staticmethod
    def shared(first: Problems, second: Problems) -> tuple[tuple[Asked, Asked], ...]:
        """The problems of both, in a fixed order."""
        return tuple((first[key], second[key]) for key in sorted(first.keys() & second.keys()))

    def measurements(self, model: str) -> list[Stage]:
        """The evaluate stages of a model that sample freely: no budgets, a temperature above 0."""
        return [s for s in self.evaluations(model) if not s.config.get("budgets") and s.config.get("temperature") != 0]

    def evaluations(self, model: str | None = None) -> list[Stage]:
        """All evaluate stages of a model, or of any."""
        measured = [s for s in self.run.stages if s.kind == "evaluate"]
        return [s for s in measured if model in (None, s.config.get("model"))]

    def pairs(self) -> tuple[Pair, ...]:
        """Each rl stage of the run with what was measured before and after it."""
        found = []
        for stage in (s for s in self.run.stages if s.kind == "rl"):
            both = self.compare(str(stage.config.get("init")), stage.name)
            found.append(Pair(both.before, both.after, both.problems, stage))
        return tuple(found)


def _verifiable(problems: Problems) -> Problems:
    """The problems that rules can judge; all, where there are none."""
    return {key: asked for key, asked in problems.items() if asked.domain != "general"} or problems


def read_pairs(run: Run) -> tuple[Pair, ...]:
    """Each rl stage of the run with what was measured before and after it."""
    return Evidence(run).pairs()


def _stage(file: Path) -> Stage:
    row = read_json(file)
    return Stage(
        file.parent.name, str(row.get("kind") or ""), str(row.get("status") or "unknown"), row.get("config") or {},
        _time(row.get("started")), _time(row.get("finished")), file.parent,
        row.get("summary") or {},
    )  # fmt: skip


def _time(value: Any) -> float:
    """Seconds since the epoch, from a number or an ISO 8601 text."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return NAN
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else NAN
