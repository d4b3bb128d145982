"""What a finished run recorded, read back for its report: stages, curves, and every evaluation sample.

A run directory is the only source; nothing is computed by a model here and nothing is written. Left out on purpose: any
judgement (claims.py) and any layout (report.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mull.core.config import read_toml
from mull.core.errors import UserError
from mull.core.files import read_json, read_json_lines
from mull.stats import cons_at_k, pass_at_k

NAN = float("nan")
# Verdicts that say nothing about the model; every other one but `correct` counts as not solved.
OURS = ("timeout", "error")
NEEDED = ("problem_id", "verdict")
WANTED = (
    *NEEDED, "task", "split", "family", "level", "language", "prompt", "text", "sample", "finish", "tokens",
    "thinking_tokens", "answer", "checks", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One completion of an evaluation. `correct` is None where its verdict is no evidence, `checks` where unknown.

    Example: `Sample(True, "4", 88.0, True, False, "<think> …", 0)`
    """

    correct: bool | None
    answer: str | None
    thinking: float
    checks: bool | None
    truncated: bool | None
    text: str
    number: int
    reason: str = ""


@dataclass(frozen=True)
class Asked:
    """A problem as one evaluation asked it, with all its samples.

    Example: `Asked("chain_mod", "chain_mod/3 5 +/en", "3-5", "test", "en", 1, "3 5 + compute", samples)`
    """

    task: str
    problem: str
    family: str
    split: str
    language: str
    level: int | None
    prompt: str
    samples: tuple[Sample, ...]

    @property
    def judged(self) -> tuple[Sample, ...]:
        return tuple(s for s in self.samples if s.correct is not None)

    def pass_at(self, k: int) -> float:
        """pass@k of this problem; nan with fewer than k judged samples."""
        judged = self.judged
        return pass_at_k(len(judged), sum(s.correct is True for s in judged), k)

    def cons_at(self, k: int) -> float:
        """cons@k of this problem: the vote reads canonical answers, the verdict only grades the winner."""
        judged = self.judged
        return cons_at_k([s.answer for s in judged], [s.correct is True for s in judged], k)

    @property
    def thinking(self) -> float:
        """Mean thinking tokens, 0 for a completion without a thought."""
        return _mean([s.thinking for s in self.samples])

    @property
    def truncated(self) -> float:
        return _mean([NAN if s.truncated is None else float(s.truncated) for s in self.samples])

    @property
    def checking(self) -> tuple[int, int]:
        """How many of this problem's thoughts check, and how many thoughts there are."""
        thoughts = [s for s in self.samples if s.thinking > 0 and s.checks is not None]
        return sum(s.checks is True for s in thoughts), len(thoughts)


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
class Pair:
    """An rl stage with the evaluations before and after it, and the problems that both asked, in a fixed order."""

    stage: Stage
    before: Stage | None
    after: Stage | None
    problems: tuple[tuple[Asked, Asked], ...]

    @property
    def families(self) -> list[str]:
        return [after.family for _, after in self.problems]


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


def read_pairs(run: Run) -> tuple[Pair, ...]:
    """Each rl stage of the run with what was measured before and after it."""
    cache: dict[str, dict[tuple[str, str], Asked]] = {}

    def asked(stage: Stage) -> dict[tuple[str, str], Asked]:
        if stage.name not in cache:
            cache[stage.name] = read_evaluation(stage)
        return cache[stage.name]

    pairs = []
    for stage in (s for s in run.stages if s.kind == "rl"):
        before, after = _evaluations(run, stage)
        shared = []
        if before and after:
            first, second = asked(before), asked(after)
            shared = [(first[key], second[key]) for key in sorted(first.keys() & second.keys())]
        pairs.append(Pair(stage, before, after, tuple(shared)))
    return tuple(pairs)


def _evaluations(run: Run, stage: Stage) -> tuple[Stage | None, Stage | None]:
    """The evaluate stages of the rl stage's start and of its result: on the same tasks, on a test split first."""
    measured = [s for s in run.stages if s.kind == "evaluate"]
    befores = [s for s in measured if s.config.get("model") == stage.config.get("init")]
    afters = [s for s in measured if s.config.get("model") == stage.name]
    ranked = [
        (bool(set(b.tasks) & set(a.tasks)), set(b.tasks) == set(a.tasks), any("test" in t for t in a.tasks), -i, b, a)
        for i, (b, a) in enumerate((b, a) for a in afters for b in befores)
    ]
    if ranked:
        return max(ranked, key=lambda r: r[:4])[4:]
    return (befores[0] if befores else None), (afters[0] if afters else None)


def read_evaluation(stage: Stage) -> dict[tuple[str, str], Asked]:
    """Every problem that an evaluate stage asked, by (task, problem id).

    Raises:
        UserError: a rollout file cannot be read or lacks a column that is needed.
    """
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for file in sorted((stage.directory / "rollouts").glob("*.parquet")):
        for row in _rows(file):
            key = (str(row.get("task") or "").partition(":")[0], str(row["problem_id"]))
            rows.setdefault(key, []).append(row)
    return {key: _asked(key, group) for key, group in rows.items()}


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        names = pq.read_schema(file).names
        missing = [name for name in NEEDED if name not in names]
        if missing:
            raise UserError(f"{file}: column {missing[0]!r} is missing; run its evaluate stage again")
        return pq.read_table(file, columns=[name for name in WANTED if name in names]).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file}: cannot be read ({error}); run its evaluate stage again") from None


def _asked(key: tuple[str, str], rows: list[dict[str, Any]]) -> Asked:
    first = rows[0]
    level = _number(first.get("level"))
    return Asked(
        key[0], key[1], str(first.get("family") or key[1]),
        str(first.get("split") or ""), str(first.get("language") or ""),
        None if math.isnan(level) else int(level), str(first.get("prompt") or ""), tuple(map(_sample, rows)),
    )  # fmt: skip


def _sample(row: Mapping[str, Any]) -> Sample:
    verdict, finish, number = row["verdict"], row.get("finish"), _number(row.get("sample"))
    answer = row.get("answer")
    return Sample(
        correct=None if verdict is None or verdict in OURS else verdict == "correct",
        answer=answer if isinstance(answer, str) and answer else None,
        thinking=_number(row.get("thinking_tokens")),
        checks=_flag(row.get("checks")),
        truncated=None if finish is None else finish == "length",
        text=str(row.get("text") or ""),
        number=0 if math.isnan(number) else int(number),
        reason=str(row.get("reason") or ""),
    )


def _flag(value: Any) -> bool | None:
    """A column that may hold booleans, 0/1, None or nan."""
    known = _number(value)
    return None if math.isnan(known) else known > 0


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else NAN


def _mean(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else NAN


def _stage(file: Path) -> Stage:
    row = read_json(file)
    return Stage(
        file.parent.name, str(row.get("kind") or ""), str(row.get("status") or "unknown"), row.get("config") or {},
        _time(row.get("started")), _time(row.get("finished")), file.parent,
    )  # fmt: skip


def _time(value: Any) -> float:
    """Seconds since the epoch, from a number or an ISO 8601 text."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return NAN
    return _number(value)
