"""Runs a recipe: stages in order, each once. Interrupted ones are taken up where their last checkpoint left them.

A stage's fingerprint covers its kind's code version, its configuration, the seed, the threads and the fingerprints of
the stages it builds on. A finished stage with its old fingerprint is not run again; one whose fingerprint changed stops
the run before anything is touched, so that no result is overwritten by accident. Lineage: every stage with its inputs.
Left out on purpose: parallel stages.
"""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from mull.core.errors import StageFailed, Stopped, UserError, nearest
from mull.core.files import write_json, write_text
from mull.core.run import Run, StageDir, locked, now
from mull.recipe.schema import Recipe, Stage
from mull.recipe.stages import Context
from mull.recipe.toml import to_toml


class Progress(Protocol):
    """Shows a run to a person."""

    def skipped(self, stage: str) -> None: ...
    def begin(self, stage: str, total: int, unit: str) -> None: ...
    def update(self, done: int, metrics: dict[str, float]) -> None: ...
    def finish(self, stage: str, summary: dict[str, Any]) -> None: ...


def run_recipe(
    recipe: Recipe, out: Path, progress: Progress, from_: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """Run what is not done yet; returns stage → summary.

    Raises:
        UserError: another process runs here, the directory holds another recipe's results, or a stage is unknown.
        StageFailed: a stage stopped to prevent harm; names its last good checkpoint.
        Stopped: Ctrl-C; the state is saved.
    """
    chosen = _chosen(recipe, from_, until)
    prints = fingerprints(recipe)
    if out.exists() and not (out / "run.json").exists() and any(p.name != ".lock" for p in out.iterdir()):
        raise UserError(f"{out}: holds files but no run; name an empty or new directory with --out")
    with locked(out):
        run = Run(out)
        _refuse_changes(recipe, run, prints, from_)
        if from_:
            for name in list(recipe.stages)[list(recipe.stages).index(from_) :]:
                run.stage(name).reset()
        run.begin(recipe.name, recipe.seed)
        _describe(recipe, run, prints)
        torch.set_num_threads(recipe.threads)
        status = "failed"
        try:
            with interrupts() as stop:
                for stage in chosen:
                    _run_stage(recipe, run, stage, prints[stage.name], stop, progress)
            status = "done" if all(run.stage(n).read().get("status") == "done" for n in recipe.stages) else "partial"
        except Stopped:
            status = "stopped"
            raise
        finally:
            run.end(status)
        return {name: run.stage(name).read().get("summary") for name in recipe.stages}


def fingerprints(recipe: Recipe) -> dict[str, str]:
    """Stage → hex SHA-256 of everything that decides its result, versions of libraries apart."""
    found: dict[str, str] = {}
    for stage in recipe.stages.values():
        config = stage.config.model_dump(mode="json")
        inputs = {key: found[name] for key, name in stage.needs.items()}
        essence = [stage.kind.version, config, recipe.seed, recipe.threads, inputs]
        found[stage.name] = hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()
    return found


def _chosen(recipe: Recipe, from_: str | None, until: str | None) -> list[Stage]:
    names = list(recipe.stages)
    for name in (from_, until):
        if name is not None and name not in names:
            raise UserError(f"no stage {name!r} in this recipe{nearest(name, names)}")
    last = names.index(until) if until else len(names) - 1
    return [recipe.stages[name] for name in names[: last + 1]]


def _refuse_changes(recipe: Recipe, run: Run, prints: dict[str, str], from_: str | None) -> None:
    redone = set(list(recipe.stages)[list(recipe.stages).index(from_) :]) if from_ else set()
    for name in run.stages:
        record = run.stage(name).read()
        if name in redone or record.get("fingerprint") == prints.get(name):
            continue
        if name not in recipe.stages:
            raise UserError(f"{run.path}: holds stage {name!r}, which this recipe lacks; use another --out")
        changed = _first_difference(record.get("config", {}), recipe.stages[name].config.model_dump(mode="json"))
        raise UserError(
            f"{run.path}: stage {name!r} was run with another {changed}; "
            f"use another --out, or --from {name} to do it again"
        )


def _first_difference(old: dict[str, Any], new: dict[str, Any], path: str = "") -> str:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                return _first_difference(old[key], new[key], f"{path}{key}.")
            return f"{path}{key} ({old.get(key)!r}, now {new.get(key)!r})"
    return "seed, thread count, version or input"


def _describe(recipe: Recipe, run: Run, prints: dict[str, str]) -> None:
    stages = {stage.name: stage.config.model_dump(mode="json", exclude_none=True) for stage in recipe.stages.values()}
    head = {"name": recipe.name, "seed": recipe.seed, "threads": recipe.threads}
    write_text(run.path / "recipe.toml", to_toml({**head, "stages": stages}))
    lineage = {
        stage.name: {"fingerprint": prints[stage.name], "inputs": {n: prints[n] for n in stage.needs.values()}}
        for stage in recipe.stages.values()
    }
    write_json(run.path / "lineage.json", lineage)


def _run_stage(
    recipe: Recipe, run: Run, stage: Stage, fingerprint: str, stop: Callable[[], bool], progress: Progress
) -> None:
    directory = run.stage(stage.name)
    record = directory.read()
    if record.get("status") == "done":
        progress.skipped(stage.name)
        return
    directory.clean()
    directory.write(
        stage=stage.name, kind=stage.config.kind, status="running", fingerprint=fingerprint,  # type: ignore[attr-defined]
        config=stage.config.model_dump(mode="json"), started=record.get("started", now()),
    )  # fmt: skip
    keys = [key for key in ("init", "model") if isinstance(getattr(stage.config, key, None), str)]
    models = {key: _model(run, stage, key) for key in keys}
    context = Context(
        directory, stage.config, models, recipe.seed, stop,
        lambda total, unit: progress.begin(stage.name, total, unit), progress.update,
    )  # fmt: skip
    try:
        summary = stage.kind.execute(context)
    except Stopped:
        directory.write(status="stopped")
        raise
    except StageFailed as error:
        directory.write(status="failed")
        raise StageFailed(f"stage {stage.name}: {error}. {_last_good(directory)}") from error
    outputs = {"model": "model"} if stage.kind.makes_model else {}
    directory.write(status="done", finished=now(), summary=summary, outputs=outputs)
    progress.finish(stage.name, summary)


def _model(run: Run, stage: Stage, key: str) -> str:
    return str(run.stage(stage.needs[key]).model) if key in stage.needs else getattr(stage.config, key)


def _last_good(directory: StageDir) -> str:
    checkpoint = directory.latest_checkpoint()
    return f"The last good checkpoint is {checkpoint}" if checkpoint else "There is no checkpoint yet"


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C (or SIGTERM) into a flag that stages ask; the second one ends the process as usual."""
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
