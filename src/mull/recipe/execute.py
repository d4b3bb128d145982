"""Runs a recipe: stages in order, each once. Interrupted ones are taken up where their last checkpoint left them.

A finished stage with its old fingerprint (`graph`) is not run again; one whose fingerprint changed stops the run before
anything is touched, so that no result is overwritten by accident. What a stage builds on is as it was when it was made
(`intact`). A mistake that only shows when a stage begins leaves nothing of that stage behind; a disk that refuses
something is one line, and nothing recorded is lost. Left out on purpose: parallel stages.
"""

from __future__ import annotations

import contextlib
import gc
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from mull.core.config import decisive
from mull.core.disk import refusal, said_of_the_disk
from mull.core.errors import StageFailed, Stopped, UserError, nearest
from mull.core.files import write_json, write_text
from mull.core.memory import Meter
from mull.core.run import Run, StageDir, locked, now
from mull.model.processor import return_memory
from mull.recipe.graph import Origin, Recipe, Stage, first_difference, origins
from mull.recipe.intact import hash_of, refuse_altered, refuse_changed_input, refuse_lost_output
from mull.recipe.kind import Context
from mull.recipe.toml import to_toml


class Progress(Protocol):
    """Shows a run to a person."""

    def skipped(self, stage: str) -> None: ...
    def begin(self, stage: str, total: int, unit: str) -> None: ...
    def update(self, done: int, metrics: dict[str, float]) -> None: ...
    def finish(self, stage: str, summary: dict[str, Any]) -> None: ...
    def note(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def close(self) -> None: ...


def run_recipe(
    recipe: Recipe, out: Path, progress: Progress, from_: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """Run what is not done yet; returns stage → summary (None where it was not run).

    Raises:
        UserError: another process runs here, the directory holds another recipe's results, or a stage is unknown.
        StageFailed: a stage stopped to prevent harm, or the disk refused something; names the last good checkpoint.
        Stopped: Ctrl-C; the state is saved.
    """
    chosen = chosen_stages(recipe, from_, until)
    sources = origins(recipe)
    refuse_foreign(out)
    with locked(out), said_of_the_disk(out):
        run = Run(out)
        redone = redone_stages(recipe, run, sources, from_)
        refuse_changes(recipe, run, sources, redone)
        _refuse_lacking(run, chosen, redone)
        if (out / "run.json").exists() and not run.known():
            progress.warn(f"{out / 'run.json'}: could not be read; it is written anew")
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
                _run_stage(recipe, run, stage, sources, stop, progress)
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
            with contextlib.suppress(OSError):  # of a disk that refuses, what is on its way says more
                run.end(status)


def refuse_foreign(out: Path) -> None:
    """Raises UserError when `out` is something else than a run or a place for one."""
    try:
        files = list(out.iterdir()) if out.exists() else []
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); choose another place with --out") from None
    if not (out / "run.json").exists() and any(_is_foreign(path) for path in files):
        raise UserError(f"{out}: holds files but no run; name an empty or new directory with --out")


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
    names, record = list(recipe.stages), run.known()
    interrupted = record.get("from") == from_ and record.get("status") in ("running", "stopped", "failed")
    with contextlib.suppress(UserError):  # a stage.json that cannot be read, which doing the stage again mends
        if interrupted and all(name in sources and is_same(run.stage(name), sources[name]) for name in run.stages):
            return []
    return names[names.index(from_) :]


def is_same(stage: StageDir, origin: Origin) -> bool:
    return stage.read().get("fingerprint") == origin.fingerprint


def refuse_changes(recipe: Recipe, run: Run, sources: dict[str, Origin], redone: list[str]) -> None:
    """Raises UserError when the directory holds results that this recipe would not give."""
    named = run.known().get("name", recipe.name)
    if named != recipe.name:
        raise UserError(f"{run.path}: holds a run of recipe {named!r}, not of {recipe.name!r}; use another --out")
    for name in run.stages:
        if name in redone:
            continue
        if name not in recipe.stages:
            raise UserError(f"{run.path}: holds stage {name!r}, which this recipe lacks; use another --out")
        if not is_same(run.stage(name), sources[name]):
            record, stage = run.stage(name).read(), recipe.stages[name]
            changed = first_difference(decisive(record.get("config", {}), stage.config), stage.essence)
            edited = ", ".join(changed_inputs(record.get("inputs", {}), sources[name].inputs, stage))
            other = changed or edited or "seed, thread count, version or input"
            raise UserError(
                f"{run.path}: stage {name!r} was run with another {other}; "
                f"use another --out, or --from {name} to do it again"
            )


def _refuse_lacking(run: Run, chosen: list[Stage], redone: list[str]) -> None:
    """Raises UserError when the machine lacks what a stage that is to run will need, hours later perhaps."""
    for stage in chosen:
        if stage.name in redone or run.stage(stage.name).read().get("status") != "done":
            for lacking in stage.kind.lacks(stage.config):
                raise UserError(f"stages.{stage.name}: {lacking}")


def changed_inputs(old: Mapping[str, str], new: Mapping[str, str], stage: Stage) -> list[str]:
    """The files and directories from outside whose bytes are not what they were."""
    return [key for key in sorted({*old, *new}) if old.get(key) != new.get(key) and key not in stage.needs]


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
    recipe: Recipe, run: Run, stage: Stage, sources: dict[str, Origin], stop: Callable[[], bool], progress: Progress
) -> None:
    directory, origin = StageDir(run.stage(stage.name).path, progress.warn), sources[stage.name]
    record = directory.read()
    if record.get("status") == "done":
        refuse_lost_output(stage, directory)
        progress.skipped(stage.name)
        return
    refuse_changed_input(stage, origin)
    for needed in dict.fromkeys(stage.needs.values()):
        refuse_altered(recipe.stages[needed], run.stage(needed))
    if not record:
        directory.reset()  # what a killed reset left: checkpoints without a stage.json are of no known configuration
    directory.clean()
    directory.write(
        stage=stage.name, kind=stage.settings["kind"], status="running", fingerprint=origin.fingerprint,
        inputs=origin.inputs, config=stage.settings, started=record.get("started", now()),
    )  # fmt: skip
    directory.say = _remembered(directory, progress.warn)
    made = {key: str(run.stage(name).output(recipe.stages[name].kind.makes)) for key, name in stage.needs.items()}
    gc.collect()
    return_memory()  # what earlier stages freed is not this one's to reuse unseen
    context = Context(
        directory, stage.config, stage.references | made, recipe.seed, stop,
        lambda total, unit: progress.begin(stage.name, total, unit), progress.update, Meter(),
        lambda text: progress.note(f"{stage.name:<8} {text}"),
    )  # fmt: skip
    with _recorded(directory):
        summary = stage.kind.execute(context)
        hashes = {made: hash_of(directory.output(made)) for made in (stage.kind.makes,) if made}
        outputs = {name: directory.output(name).name for name in hashes}
        memory = {"before": context.memory.before, "peak": context.memory.peak}
        directory.write(status="done", finished=now(), summary=summary, outputs=outputs, hashes=hashes, memory=memory)
    progress.finish(stage.name, summary)


def _remembered(directory: StageDir, warn: Callable[[str], None]) -> Callable[[str], None]:
    """Tell a person, and write it to stage.json under "notes"."""

    def say(text: str) -> None:
        warn(text)
        directory.write(notes=[*directory.read().get("notes", []), {"at": now(), "text": text}])

    return say


@contextmanager
def _recorded(directory: StageDir) -> Iterator[None]:
    """Say in stage.json how a stage that did not end well ended; one that never came to work leaves nothing."""
    try:
        yield
    except (Stopped, KeyboardInterrupt):
        _end(directory, "stopped")
        raise
    except UserError:
        if [path.name for path in directory.path.glob("*")] == ["stage.json"]:
            directory.reset()
        else:
            _end(directory, "failed")
        raise
    except StageFailed as error:
        if not (directory.path / "stage.json").exists():
            raise  # its directory was taken away, and every checkpoint with it
        _end(directory, "failed")
        raise StageFailed(f"stage {directory.name}: {error}. {_last_good(directory)}") from error
    except BaseException as error:
        _end(directory, "failed")
        said = refusal(error, directory.path)
        if said:
            again = "run the same command again. What was recorded is kept"
            raise StageFailed(f"stage {directory.name}: {said}, and {again}. {_last_good(directory)}") from error
        raise


def _end(directory: StageDir, status: str) -> None:
    """Record how a stage ended, where that can still be written."""
    with contextlib.suppress(OSError, StageFailed):
        directory.write(status=status)


def _last_good(directory: StageDir) -> str:
    checkpoint = StageDir(directory.path).latest_checkpoint()
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
