"""Runs a recipe: stages in order, each once. Interrupted ones are taken up where their last checkpoint left them.

A finished stage with its old fingerprint (`graph`) is not run again; one whose fingerprint changed stops the run before
anything is touched, so that no result is overwritten by accident. A mistake that only shows when a stage begins leaves
nothing of that stage behind. Left out on purpose: parallel stages.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from mull.core.config import decisive
from mull.core.errors import StageFailed, Stopped, UserError, nearest
from mull.core.files import sha256_directory, sha256_file, write_json, write_text
from mull.core.run import Run, StageDir, locked, now
from mull.recipe.graph import Origin, Recipe, Stage, first_difference, origins
from mull.recipe.kind import Context
from mull.recipe.toml import to_toml


class Progress(Protocol):
    """Shows a run to a person."""

    def skipped(self, stage: str) -> None: ...
    def begin(self, stage: str, total: int, unit: str) -> None: ...
    def update(self, done: int, metrics: dict[str, float]) -> None: ...
    def finish(self, stage: str, summary: dict[str, Any]) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self) -> None: ...


def run_recipe(
    recipe: Recipe, out: Path, progress: Progress, from_: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """Run what is not done yet; returns stage → summary (None where it was not run).

    Raises:
        UserError: another process runs here, the directory holds another recipe's results, or a stage is unknown.
        StageFailed: a stage stopped to prevent harm; names its last good checkpoint.
        Stopped: Ctrl-C; the state is saved.
    """
    chosen = chosen_stages(recipe, from_, until)
    sources = origins(recipe)
    if out.is_dir() and not (out / "run.json").exists() and any(_is_foreign(path) for path in out.iterdir()):
        raise UserError(f"{out}: holds files but no run; name an empty or new directory with --out")
    with locked(out):
        run = Run(out)
        redone = redone_stages(recipe, run, sources, from_)
        refuse_changes(recipe, run, sources, redone)
        _refuse_lacking(run, chosen, redone)
        for name in redone:
            run.stage(name).reset()
        run.begin(recipe.name, recipe.seed, **({"from": from_} if from_ else {}))
        _describe(recipe, run, sources)
        torch.set_num_threads(recipe.threads)
        _run_stages(recipe, run, chosen, sources, progress)
        return {name: run.stage(name).read().get("summary") for name in recipe.stages}


def _run_stages(recipe: Recipe, run: Run, chosen: list[Stage], sources: dict[str, Origin], progress: Progress) -> None:
    status = "failed"
    try:
        with interrupts(progress.note) as stop:
            for stage in chosen:
                _run_stage(recipe, run, stage, sources[stage.name], stop, progress)
                _describe(recipe, run, sources)
        status = "done" if all(run.stage(n).read().get("status") == "done" for n in recipe.stages) else "partial"
    except (Stopped, KeyboardInterrupt):
        status = "stopped"
        raise
    except UserError:
        if not run.stages:
            run.discard()
        raise
    finally:
        progress.close()
        if (run.path / "run.json").exists():
            run.end(status)


def _is_foreign(path: Path) -> bool:
    """Whether a file is neither our lock nor what a killed process left half-written."""
    return path.name != ".lock" and path.suffix != ".part"


def chosen_stages(recipe: Recipe, from_: str | None, until: str | None) -> list[Stage]:
    names = list(recipe.stages)
    for name in (from_, until):
        if name is not None and name not in names:
            raise UserError(f"no stage {name!r} in this recipe{nearest(name, names)}")
    last = names.index(until) if until else len(names) - 1
    if from_ and names.index(from_) > last:
        raise UserError(f"--from {from_} --until {until}: {from_} comes after {until}; swap them or leave one out")
    return [recipe.stages[name] for name in names[: last + 1]]


def redone_stages(recipe: Recipe, run: Run, sources: dict[str, Origin], from_: str | None) -> list[str]:
    """The stages that `from_` wants done again: none where the same command was interrupted and now goes on."""
    if from_ is None:
        return []
    record = run.read() if (run.path / "run.json").exists() else {}
    interrupted = record.get("from") == from_ and record.get("status") in ("running", "stopped")
    if interrupted and all(name in sources and is_same(run.stage(name), sources[name]) for name in run.stages):
        return []
    names = list(recipe.stages)
    return names[names.index(from_) :]


def is_same(stage: StageDir, origin: Origin) -> bool:
    return stage.read().get("fingerprint") == origin.fingerprint


def refuse_changes(recipe: Recipe, run: Run, sources: dict[str, Origin], redone: list[str]) -> None:
    """Raises UserError when the directory holds results that this recipe would not give."""
    named = run.read().get("name") if (run.path / "run.json").exists() else recipe.name
    if named != recipe.name:
        raise UserError(f"{run.path}: holds a run of recipe {named!r}, not of {recipe.name!r}; use another --out")
    for name in run.stages:
        if name in redone:
            continue
        if name not in recipe.stages:
            raise UserError(f"{run.path}: holds stage {name!r}, which this recipe lacks; use another --out")
        if not is_same(run.stage(name), sources[name]):
            stage = recipe.stages[name]
            changed = first_difference(decisive(run.stage(name).read().get("config", {}), stage.config), stage.essence)
            raise UserError(
                f"{run.path}: stage {name!r} was run with another {changed or 'seed, thread count, version or input'}; "
                f"use another --out, or --from {name} to do it again"
            )


def _refuse_lacking(run: Run, chosen: list[Stage], redone: list[str]) -> None:
    """Raises UserError when the machine lacks what a stage that is to run will need, hours later perhaps."""
    for stage in chosen:
        if stage.name in redone or run.stage(stage.name).read().get("status") != "done":
            for lacking in stage.kind.lacks(stage.config):
                raise UserError(f"stages.{stage.name}: {lacking}")


def _describe(recipe: Recipe, run: Run, sources: dict[str, Origin]) -> None:
    """Write recipe.toml, which runs as it is, and lineage.json."""
    stages = {stage.name: stage.config.model_dump(mode="json", exclude_none=True) for stage in recipe.stages.values()}
    head = {"name": recipe.name, "seed": recipe.seed, "threads": recipe.threads}
    write_text(run.path / "recipe.toml", to_toml({**head, "stages": stages}))
    lineage = {}
    for name, origin in sources.items():
        outputs = run.stage(name).read().get("hashes", {})
        lineage[name] = {"fingerprint": origin.fingerprint, "inputs": origin.inputs, "outputs": outputs}
    write_json(run.path / "lineage.json", lineage)


def _run_stage(
    recipe: Recipe, run: Run, stage: Stage, origin: Origin, stop: Callable[[], bool], progress: Progress
) -> None:
    directory = run.stage(stage.name)
    record = directory.read()
    if record.get("status") == "done":
        _refuse_lost_output(stage, directory)
        progress.skipped(stage.name)
        return
    if not record:
        directory.reset()  # what a killed reset left: checkpoints without a stage.json are of no known configuration
    directory.clean()
    directory.write(
        stage=stage.name, kind=stage.settings["kind"], status="running", fingerprint=origin.fingerprint,
        config=stage.settings, started=record.get("started", now()),
    )  # fmt: skip
    made = {key: str(run.stage(name).output(recipe.stages[name].kind.makes)) for key, name in stage.needs.items()}
    context = Context(
        directory, stage.config, stage.references | made, recipe.seed, stop,
        lambda total, unit: progress.begin(stage.name, total, unit), progress.update,
        lambda text: progress.note(f"{stage.name:<8} {text}"),
    )  # fmt: skip
    with _recorded(directory):
        summary = stage.kind.execute(context)
        hashes = {made: _hash(directory.output(made)) for made in (stage.kind.makes,) if made}
        outputs = {name: directory.output(name).name for name in hashes}
        directory.write(status="done", finished=now(), summary=summary, outputs=outputs, hashes=hashes)
    progress.finish(stage.name, summary)


@contextmanager
def _recorded(directory: StageDir) -> Iterator[None]:
    """Say in stage.json how a stage that did not end well ended; one that never came to work leaves nothing."""
    try:
        yield
    except (Stopped, KeyboardInterrupt):
        directory.write(status="stopped")
        raise
    except UserError:
        if {path.name for path in directory.path.iterdir()} == {"stage.json"}:
            directory.reset()
        else:
            directory.write(status="failed")
        raise
    except StageFailed as error:
        directory.write(status="failed")
        raise StageFailed(f"stage {directory.name}: {error}. {_last_good(directory)}") from error
    except BaseException:
        directory.write(status="failed")
        raise


def _refuse_lost_output(stage: Stage, directory: StageDir) -> None:
    if stage.kind.makes and not directory.output(stage.kind.makes).exists():
        lost = directory.output(stage.kind.makes)
        raise UserError(f"{lost}: gone, though its stage is done; --from {stage.name} makes it again")


def _hash(path: Path) -> str:
    return sha256_directory(path) if path.is_dir() else sha256_file(path)


def _last_good(directory: StageDir) -> str:
    checkpoint = directory.latest_checkpoint()
    return f"The last good checkpoint is {checkpoint}" if checkpoint else "There is no checkpoint yet"


@contextmanager
def interrupts(note: Callable[[str], None] = lambda text: None) -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C (or SIGTERM) into a flag that stages ask; the second one ends the process as usual."""
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        for each, handler in before.items():
            signal.signal(each, handler)
        # A signal may arrive in the middle of another line being written, which Python refuses to do twice at a time.
        with contextlib.suppress(RuntimeError):
            note("stopping after this step; once more ends it at once, without saving")

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
