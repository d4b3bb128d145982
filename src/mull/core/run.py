"""A run directory: the only interface between processes, pages and tools.

    run.json       seed, versions, machine, status      recipe.toml   the recipe as it was resolved
    lineage.json   stage → fingerprints                 .lock         who is writing here
    stages/NAME/   stage.json, metrics.jsonl, rollouts/, checkpoints/, model/ or traces.jsonl

Everything is whole or absent. What a killed process left half-done is cut off when its stage is taken up again.
Left out on purpose: any knowledge of what a stage does, and torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from importlib import metadata
from pathlib import Path
from typing import Any

from mull.core.disk import refusal
from mull.core.errors import StageFailed, UserError
from mull.core.files import fsync, read_json, read_json_lines, sha256_file, write_directory, write_json, write_text
from mull.core.rows import read_rows, write_rows

MANIFEST = "manifest.json"
PACKAGES = ("mull", "torch", "transformers", "numpy", "pyarrow", "tokenizers", "safetensors")


def now() -> str:
    """The time as an ISO string in UTC; fine enough that stages of a short run keep their order."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory for this process; the lock goes with the process, however it ends.

    A directory that was made for this and in which nothing was left is removed again.

    Raises:
        UserError: another process holds it (says which), or it cannot be made or written.
    """
    made = not directory.exists()
    lock = directory / ".lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+b", buffering=0)  # on a full disk closing must have nothing left to write
    except OSError as error:
        raise _unwritable(directory, error) from None
    with file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().decode("utf-8", "replace").strip() or "another process"
            raise UserError(
                f"{directory}: {owner} is running here; wait for it, or give this run a directory of its own with --out"
            ) from None
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {now()},".encode())
        except OSError as error:
            raise _unwritable(directory, error) from None
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # somebody removed it all meanwhile
                if made and [path.name for path in directory.iterdir()] == [".lock"]:
                    lock.unlink()
                    directory.rmdir()


def _unwritable(directory: Path, error: OSError) -> UserError:
    said = refusal(error, directory).partition("; ")[2]
    return UserError(
        f"{directory}: cannot be written ({error.strerror}); {f'{said}, or ' if said else ''}"
        "choose another place with --out"
    )


class StageDir:
    """The files of one stage. `say` is told, in one line, of what was found damaged.

    Example: `stage = Run(path).stage("zero"); stage.log({"step": 0, "reward": 0.2})`
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self.path = path
        self.name = path.name
        self.say = say
        self._begun = False

    # -- what the stage is

    def read(self) -> dict[str, Any]:
        """stage.json, {} when the stage was never begun.

        Raises:
            UserError: it cannot be read.
        """
        file = self.path / "stage.json"
        return read_json(file, f"--from {self.name} does this stage and all later ones again") if file.exists() else {}

    def write(self, **changes: Any) -> None:
        """Change keys of stage.json.

        Raises:
            StageFailed: this object wrote it before, and it is gone.
        """
        self._check_present()
        write_json(self.path / "stage.json", {**self.read(), **changes})
        self._begun = True

    def _check_present(self) -> None:
        """A directory that was taken away is not made again: what was written there then would belong to nothing."""
        if self._begun and not (self.path / "stage.json").exists():
            raise StageFailed(
                f"{self.path} was removed or moved during the run; put it back, and the same command goes on, "
                "or choose another place with --out"
            )

    @property
    def model(self) -> Path:
        """Where the stage's model is, once it is done."""
        return self.path / "model"

    @property
    def traces(self) -> Path:
        """Where the conversations that the stage made are, once it is done."""
        return self.path / "traces.jsonl"

    @property
    def steps(self) -> Path:
        """Where the chains whose steps the stage labelled are, once it is done."""
        return self.path / "steps.jsonl"

    def output(self, made: str) -> Path:
        """Where what the stage makes is: "model", "score" (a model that gives one), "traces" or "steps"."""
        return {"model": self.model, "score": self.model, "traces": self.traces, "steps": self.steps}[made]

    # -- metrics

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to metrics.jsonl; numbers that are not finite are written as null."""
        self._check_present()
        clean = {k: None if isinstance(v, float) and v - v != 0 else v for k, v in row.items()}
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(clean) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All rows of metrics.jsonl."""
        return list(read_json_lines(self.path / "metrics.jsonl"))

    def cut_metrics(self, step: int) -> None:
        """Forget the rows of `step` and after, and a torn last line."""
        if (self.path / "metrics.jsonl").exists():
            kept = [row for row in self.metrics() if row["step"] < step]
            write_text(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in kept))

    # -- rollouts

    def write_rollouts(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """One Parquet file for the rollouts of a step; columns as in `core.rows`."""
        self._check_present()
        write_rows(self.path / "rollouts" / f"step-{step:06d}.parquet", rows)

    def rollout_steps(self) -> list[int]:
        """The steps whose rollouts are on disk."""
        return sorted(int(file.stem[5:]) for file in (self.path / "rollouts").glob("step-*.parquet"))

    def read_rollouts(self, step: int) -> list[dict[str, Any]]:
        """The rows of one step."""
        return read_rows(self.path / "rollouts" / f"step-{step:06d}.parquet")

    def cut_rollouts(self, step: int) -> None:
        """Forget the rollouts of `step` and after."""
        for found in self.rollout_steps():
            if found >= step:
                (self.path / "rollouts" / f"step-{found:06d}.parquet").unlink()

    # -- checkpoints

    def save_checkpoint(self, step: int, fill: Callable[[Path], None]) -> Path:
        """A checkpoint after `step` steps: a directory made by `fill`, with the hash of every file, atomic."""
        self._check_present()
        metrics = self.path / "metrics.jsonl"
        if metrics.exists():
            fsync(metrics)  # or a power cut could keep the checkpoint and lose rows that it covers

        def fill_and_sign(path: Path) -> None:
            fill(path)
            files = sorted(p for p in path.rglob("*") if p.is_file())
            write_json(path / MANIFEST, {str(p.relative_to(path)): sha256_file(p) for p in files})

        target = self._checkpoint(step)
        write_directory(target, fill_and_sign)
        return target

    def latest_checkpoint(self) -> Path | None:
        """The newest checkpoint whose files are what its manifest says, None when there is none; damage is said.

        Raises:
            UserError: one that is there may not be read.
        """
        damaged: list[str] = []
        for step in reversed(self._checkpoints()):
            wrong = damage(self._checkpoint(step))
            if not wrong:
                self._say_damaged(damaged, f"goes on after step {step}")
                return self._checkpoint(step)
            damaged.append(f"{self._checkpoint(step)} is damaged ({wrong})")
        self._say_damaged(damaged, "no other is left: the stage begins anew")
        return None

    def _say_damaged(self, damaged: list[str], then: str) -> None:
        if damaged:
            self.say(f"stage {self.name}: {', '.join(damaged)}; {then}")

    def cut_checkpoints(self, step: int) -> None:
        """Forget the checkpoints after `step`: damaged ones, which would count as the newest when old ones go."""
        for found in self._checkpoints():
            if found > step:
                shutil.rmtree(self._checkpoint(found))

    def keep_last(self, count: int) -> None:
        """Delete all but the newest `count` checkpoints."""
        for step in self._checkpoints()[:-count]:
            shutil.rmtree(self._checkpoint(step))

    def _checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:06d}"

    def _checkpoints(self) -> list[int]:
        return sorted(int(path.name[5:]) for path in (self.path / "checkpoints").glob("step-*") if path.is_dir())

    def clean(self) -> None:
        """Remove what a killed process left half-written; a directory it was about to replace comes back."""
        for folder in (self.path, self.path / "rollouts", self.path / "checkpoints"):
            if not folder.is_dir():
                continue
            for aside in folder.glob(".*.old"):
                for kept in aside.iterdir():
                    if not (folder / kept.name).exists():
                        kept.rename(folder / kept.name)
                shutil.rmtree(aside)
            for left in folder.glob(".*.part"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def reset(self) -> None:
        """Forget everything about the stage; its stage.json first, or a killed reset would leave a done stage."""
        with contextlib.suppress(OSError):
            (self.path / "stage.json").unlink()
        shutil.rmtree(self.path, ignore_errors=True)
        self._begun = False


def damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint's files by its manifest: `"optimizer.pt has changed"`; "" when all is well.

    Raises:
        UserError: a file that is there may not be read: nothing is known of it.
    """
    name = MANIFEST
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            return f"{MANIFEST} has changed"
        there = {str(p.relative_to(checkpoint)) for p in checkpoint.rglob("*") if p.is_file()} - {MANIFEST}
        for name in sorted({*manifest, *there}):
            if name not in there:
                return f"{name} is missing"
            if sha256_file(checkpoint / name) != manifest.get(name):
                return f"{name} has changed"
    except FileNotFoundError:
        return f"{name} is missing"
    except ValueError:
        return f"{name} has changed"
    except OSError as error:
        raise UserError(f"{checkpoint / name}: cannot be read ({error.strerror}); make it readable") from None
    return ""


class Run:
    """A run directory. Example: `with locked(path): Run(path).begin({"name": "zero-tiny"}, seed=0)`"""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def stages(self) -> list[str]:
        """Names of the stages that were begun, oldest first."""
        return sorted((f.parent.name for f in self.path.glob("stages/*/stage.json")), key=self._started)

    def _started(self, name: str) -> tuple[str, str]:
        """When a stage was begun; one that cannot be read comes first, and whoever reads it is told so."""
        with contextlib.suppress(UserError):
            return str(self.stage(name).read().get("started")), name
        return "", name

    def stage(self, name: str) -> StageDir:
        """The directory of a stage, made or not."""
        return StageDir(self.path / "stages" / name)

    def read(self) -> dict[str, Any]:
        """run.json.

        Raises:
            UserError: this is no run directory.
        """
        file = self.path / "run.json"
        if not file.exists():
            raise UserError(f"{self.path}: no run here (run.json is missing); name a directory that mull run has made")
        return read_json(file, "run the recipe again: finished stages are kept, and it is written anew")

    def known(self) -> dict[str, Any]:
        """run.json as far as there is one; {} where it is missing or cannot be read."""
        with contextlib.suppress(UserError):
            return self.read()
        return {}

    def begin(self, name: str, seed: int, **more: Any) -> None:
        """Write run.json, or mark a run that is taken up again; `more` is kept with it."""
        for left in self.path.glob(".*.part"):
            left.unlink()
        created = self.known().get("created") or now()
        record = {"name": name, "seed": seed, "created": created, "updated": now(), "status": "running", **more}
        write_json(self.path / "run.json", {**record, "versions": versions(), "machine": machine()})

    def end(self, status: str) -> None:
        """Record how the run ended: done, partial, failed or stopped."""
        write_json(self.path / "run.json", {**self.read(), "status": status, "updated": now()})

    def discard(self) -> None:
        """Remove what `begin` and the recipe wrote; for a run in which no stage was begun."""
        with contextlib.suppress(OSError):
            (self.path / "stages").rmdir()
        for name in ("recipe.toml", "lineage.json", "run.json"):  # the last is what makes the directory a run's
            (self.path / name).unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def machine() -> dict[str, Any]:
    """What computed: processor, cores, operating system."""
    model = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return {"cpu": model, "cores": os.cpu_count(), "platform": platform.platform()}
