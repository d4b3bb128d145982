"""What was damaged, altered or taken away between and during runs: noticed, said in one line, mended, nothing lost.

Every case ends with the hash that an undisturbed run gives.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import StageFailed, UserError
from mull.core.run import Run
from mull.recipe.execute import run_recipe
from mull.recipe.plan import plan
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe

SMALL = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "feed_forward": 32}
BASE = {"kind": "pretrain", "documents": 60, "batch_tokens": 256, "checkpoint_every": 2, "keep_checkpoints": 2}


class Person(Quiet):
    """Hears the warnings, and does something after the `at`-th step of all."""

    def __init__(self, act: Callable[[], None] = lambda: None, at: int = 0) -> None:
        self.act, self.at = act, at
        self.done = 0
        self.heard: list[str] = []

    def update(self, done: int, metrics: dict[str, float]) -> None:
        self.done += 1
        if self.done == self.at:
            self.act()

    def warn(self, text: str) -> None:
        self.heard.append(text)


def recipe(tmp_path: Path, **base: Any) -> Any:
    """A base of some steps, and a fine-tuning of it on a file."""
    data = tmp_path / "data.jsonl"
    if not data.exists():
        data.write_text("".join(row(i) for i in range(6)))
    cold = {"kind": "sft", "init": "base", "data": [str(data)], "epochs": 1, "batch_tokens": 64, "checkpoint_every": 2}
    stages = {"base": {**BASE, "model": SMALL, **base}, "cold": cold}
    return parse_recipe({"name": "small", "threads": 1, "stages": stages})


def row(number: int) -> str:
    said = f"<think> {number} </think> <answer> {number} </answer>"
    turns = [("user", f"{number} 3 + compute"), ("assistant", said)]
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]}) + "\n"


def go(made: Any, out: Path, person: Person | None = None, from_: str | None = None, until: str | None = None) -> Any:
    person = person or Person()
    run_recipe(made, out, person, from_, until)
    return person.heard


def hashes(out: Path) -> dict[str, Any]:
    run = Run(out)
    return {name: run.stage(name).read().get("hashes") for name in run.stages}


def steps(out: Path) -> list[int]:
    """The steps of the base that are recorded, in their order."""
    return [line["step"] for line in Run(out).stage("base").metrics()]


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert go(recipe(folder), folder / "run") == []
    return folder / "run"


def base_hash(undisturbed: Path) -> Any:
    return hashes(undisturbed)["base"]


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def deleted(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.pt", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", [emptied, flipped, deleted])
def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(
    undisturbed: Path, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    made, out = recipe(tmp_path), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        go(made, out, Person(interrupt, 5), until="base")
    checkpoints = out / "stages" / "base" / "checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == ["step-000002", "step-000004"]
    harm(checkpoints / "step-000004" / name)
    heard = go(made, out, until="base")
    assert len(heard) == 1 and "step-000004 is damaged (" in heard[0] and "after step 2" in heard[0]
    assert name in heard[0] or name == "manifest.json"  # a changed hash looks like a changed file
    assert [note["text"] for note in Run(out).stage("base").read()["notes"]] == heard
    assert steps(out) == steps(undisturbed)
    assert hashes(out)["base"] == base_hash(undisturbed)


def test_without_a_good_checkpoint_the_stage_begins_anew(undisturbed: Path, tmp_path: Path) -> None:
    made, out = recipe(tmp_path), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        go(made, out, Person(interrupt, 5), until="base")
    for path in (out / "stages" / "base" / "checkpoints").glob("*/weights.safetensors"):
        flipped(path)
    heard = go(made, out, until="base")
    assert len(heard) == 1 and "step-000004" in heard[0] and "step-000002" in heard[0] and "begins anew" in heard[0]
    assert hashes(out)["base"] == base_hash(undisturbed)


def test_a_damaged_checkpoint_does_not_push_out_good_ones(undisturbed: Path, tmp_path: Path) -> None:
    """One of an odd step is never written again, and would count as the newest when old ones are deleted."""
    made, out = recipe(tmp_path, keep_checkpoints=1), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        go(made, out, Person(interrupt, 3), until="base")
    stage = Run(out).stage("base")
    shutil.copytree(stage.path / "checkpoints" / "step-000002", stage.path / "checkpoints" / "step-000005")
    flipped(stage.path / "checkpoints" / "step-000005" / "optimizer.pt")
    with pytest.raises(KeyboardInterrupt):
        go(made, out, Person(interrupt, 3), until="base")
    assert stage.latest_checkpoint() == stage.path / "checkpoints" / "step-000004"


@pytest.mark.parametrize("harm", [emptied, flipped, deleted])
def test_an_altered_model_is_not_built_on(undisturbed: Path, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    made, out = recipe(tmp_path), tmp_path / "run"
    go(made, out, until="base")
    shutil.copytree(out, tmp_path / "copy")
    harm(out / "stages" / "base" / "model" / "model.safetensors")
    with pytest.raises(UserError, match=r"base/model: altered since its stage was done .* --from base"):
        go(made, out)
    assert Run(out).stages == ["base"]
    go(made, out, from_="base")
    harm(tmp_path / "copy" / "stages" / "base" / "model" / "config.json")
    with pytest.raises(UserError, match="altered"):
        go(made, tmp_path / "copy")
    shutil.copy(out / "stages" / "base" / "model" / "config.json", tmp_path / "copy" / "stages" / "base" / "model")
    assert go(made, tmp_path / "copy") == []  # put back: it goes on
    assert hashes(out)["base"] == hashes(tmp_path / "copy")["base"] == base_hash(undisturbed)


def test_an_input_that_changes_during_the_run(tmp_path: Path) -> None:
    made, out, data = recipe(tmp_path), tmp_path / "run", tmp_path / "data.jsonl"
    before = data.read_text()
    with pytest.raises(UserError, match=r"data.jsonl: changed since this run began.*'cold'"):
        go(made, out, Person(lambda: data.write_text(before + row(7)), 2))
    assert Run(out).stages == ["base"]
    data.write_text(before)
    shutil.move(out / "stages" / "base" / "model", tmp_path / "model")
    with pytest.raises(UserError, match=r"base/model: gone.*--from base"):
        go(made, out)
    shutil.move(tmp_path / "model", out / "stages" / "base" / "model")
    with pytest.raises(KeyboardInterrupt):
        go(made, out, Person(interrupt, 1))
    data.write_text(before + row(7))
    with pytest.raises(UserError, match=r"stage 'cold' was run with another .*data.jsonl; .* --from cold"):
        go(made, out)
    data.write_text(before)
    assert go(made, out) == []


def test_an_input_that_is_removed_during_the_run(tmp_path: Path) -> None:
    made, out, data = recipe(tmp_path), tmp_path / "run", tmp_path / "data.jsonl"
    before = data.read_text()
    with pytest.raises(UserError, match=r"data.jsonl: was removed since this run began"):
        go(made, out, Person(data.unlink, 2))
    data.write_text(before)
    assert go(made, out) == []


def test_a_run_directory_that_is_taken_away_is_not_made_again(undisturbed: Path, tmp_path: Path) -> None:
    made, out = recipe(tmp_path), tmp_path / "run"
    with pytest.raises(StageFailed, match="was removed or moved during the run; put it back"):
        go(made, out, Person(lambda: out.rename(tmp_path / "elsewhere"), 3), until="base")
    assert not out.exists()
    (tmp_path / "elsewhere").rename(out)
    go(made, out, until="base")
    assert hashes(out)["base"] == base_hash(undisturbed)
    with pytest.raises(StageFailed, match="was removed or moved"):
        go(made, out, Person(lambda: shutil.rmtree(out), 3), from_="base", until="base")
    assert not out.exists()
    assert go(made, out, until="base") == []


# -- disks


@contextmanager
def tmpfs(path: Path, options: str) -> Iterator[None]:
    """A small file system of its own, where this process may mount one."""
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def fill(path: Path) -> None:
    """Leave no room at all."""
    with (path / "ballast").open("wb", buffering=0) as file:
        for block in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * block)


@pytest.mark.parametrize("at", [1, 2, 3, 6])
def test_a_full_disk(undisturbed: Path, tmp_path: Path, at: int) -> None:
    made, disk = recipe(tmp_path), tmp_path / "disk"
    with tmpfs(disk, "size=4m"):
        out = disk / "run"
        with pytest.raises(StageFailed, match=r"No space left on device; make room on it, and run the same command"):
            go(made, out, Person(lambda: fill(disk), at), until="base")
        (disk / "ballast").unlink()
        assert not [path for path in out.rglob("*") if path.suffix in (".part", ".old")]
        assert go(made, out, until="base") == []
        assert steps(out) == steps(undisturbed)
        assert hashes(out)["base"] == base_hash(undisturbed)


def test_a_disk_that_is_full_from_the_beginning(tmp_path: Path) -> None:
    made, disk = recipe(tmp_path), tmp_path / "disk"
    with tmpfs(disk, "size=64k"):
        fill(disk)
        with pytest.raises((UserError, StageFailed), match="No space left on device.*make room"):
            go(made, disk / "run")
        (disk / "ballast").unlink()


def test_a_file_that_would_be_too_large(undisturbed: Path, tmp_path: Path) -> None:
    """The limit on a file's size needs no rights to set; every library that writes for us is refused by it."""
    made, out = recipe(tmp_path), tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (2_000, 20_000):
        lower = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(StageFailed, match=r"File too large; raise .* \(ulimit -f\), and run the same command"):
                go(made, out, Person(lower, 3), until="base")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert go(made, out, until="base") == []
    assert hashes(out)["base"] == base_hash(undisturbed)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    with pytest.raises(UserError, match="cannot be written .*--out"):
        go(made, Path("/proc/a-run"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot be written .*--out"):
            go(made, out)
    with pytest.raises(UserError, match="cannot be written .*--out"):
        plan(made, tmp_path / "file")
    assert (tmp_path / "file").read_text() == ""


def test_a_disk_that_becomes_read_only(undisturbed: Path, tmp_path: Path) -> None:
    made, disk = recipe(tmp_path), tmp_path / "disk"
    with tmpfs(disk, "size=4m"):
        out = disk / "run"
        with pytest.raises(KeyboardInterrupt):
            go(made, out, Person(interrupt, 3), until="base")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(UserError, match="cannot be written .*Read-only file system.*make it writable"):
            go(made, out, until="base")
        assert plan(made, out)[0].at == 2  # looking needs no writing
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert go(made, out, until="base") == []
        assert hashes(out)["base"] == base_hash(undisturbed)


def test_a_directory_without_the_right_to_write(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    made, out = recipe(tmp_path), tmp_path / "run"
    go(made, out, until="base")
    out.chmod(0o500)
    try:
        (out / ".lock").chmod(0o400)
        with pytest.raises(UserError, match="Permission denied.*give yourself the right"):
            go(made, out)
    finally:
        out.chmod(0o700)
        (out / ".lock").chmod(0o600)
    assert go(made, out) == []
