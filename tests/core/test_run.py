"""Run directories: one writer, no torn rows, no broken checkpoint taken for a good one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mull.core.errors import UserError
from mull.core.files import write_text
from mull.core.rows import COLUMNS
from mull.core.run import Run, StageDir, damage, locked

HOLDER = """
import sys
from pathlib import Path
from mull.core.run import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(directory: Path) -> subprocess.Popen[str]:
    """Another process that holds `directory` until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_one_process_a_directory(tmp_path: Path) -> None:
    other = holder(tmp_path)
    with pytest.raises(UserError, match=rf"process {other.pid} on .* --out"), locked(tmp_path):
        pass
    other.communicate("\n")
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text().count("process") == 1


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    other = holder(tmp_path)
    other.kill()
    other.communicate()
    with locked(tmp_path):
        pass


def row(step: int, sample: int) -> dict:
    """A rollout row that a reader can check."""
    empty = {"int32": 0, "int64": 0, "string": "", "float": 0.0, "bool": False}
    values = {name: empty.get(kind, []) for name, kind in COLUMNS.items()}
    return values | {"step": step, "sample": sample, "answer": None, "logprobs": [-0.5, -0.25], "text": "é </think>"}


def test_what_lies_past_a_checkpoint_is_cut_off(tmp_path: Path) -> None:
    stage = StageDir(tmp_path / "zero")
    for step in range(4):
        stage.log({"step": step, "reward": 0.5 * step, "grad_norm": float("nan")})
        stage.write_rollouts(step, [row(step, 0), row(step, 1)])
    with (stage.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "rew')
    stage.cut_metrics(2)
    stage.cut_rollouts(2)
    stage.log({"step": 2, "reward": 9.0})
    assert [(r["step"], r["reward"]) for r in stage.metrics()] == [(0, 0.0), (1, 0.5), (2, 9.0)]
    assert stage.metrics()[0]["grad_norm"] is None
    assert stage.rollout_steps() == [0, 1]
    assert stage.read_rollouts(1) == [row(1, 0), row(1, 1)]
    stage.cut_metrics(0)
    assert stage.metrics() == []


def save(stage: StageDir, step: int) -> Path:
    """A checkpoint of two files."""

    def fill(path: Path) -> None:
        write_text(path / "weights", f"weights {step}")
        write_text(path / "deep" / "state", f"state {step}")

    return stage.save_checkpoint(step, fill)


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    stage = StageDir(tmp_path / "zero")
    assert stage.latest_checkpoint() is None
    saved = {step: save(stage, step) for step in (2, 4, 6, 8, 10)}
    assert stage.latest_checkpoint() == saved[10]
    (saved[10] / "weights").write_text("weights 11")  # a flipped bit
    assert stage.latest_checkpoint() == saved[8]
    (saved[8] / "deep" / "state").unlink()
    assert stage.latest_checkpoint() == saved[6]
    (saved[6] / "manifest.json").write_text('{"weights": ')
    assert damage(saved[6]) == "manifest.json has changed"
    assert stage.latest_checkpoint() == saved[4]
    (saved[4] / "manifest.json").unlink()
    assert stage.latest_checkpoint() == saved[2]


def test_old_checkpoints_go_and_leftovers_are_swept(tmp_path: Path) -> None:
    stage = StageDir(tmp_path / "zero")
    for step in range(0, 50, 10):
        save(stage, step)
    stage.keep_last(2)
    assert sorted(p.name for p in (stage.path / "checkpoints").iterdir()) == ["step-000030", "step-000040"]
    (stage.path / "checkpoints" / ".step-000050.x.part").mkdir()
    write_text(stage.path / "rollouts" / ".step-000001.parquet.x.part", "half")
    write_text(stage.path / ".metrics.jsonl.x.part", "half")
    stage.clean()
    assert not list(stage.path.rglob(".*"))
    assert stage.latest_checkpoint() == stage.path / "checkpoints" / "step-000040"
    stage.reset()
    assert stage.latest_checkpoint() is None
    assert stage.read() == {}


def test_a_run_taken_up_again_keeps_its_beginning(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    with pytest.raises(UserError, match="no run here"):
        run.read()
    run.begin("small", seed=7)
    first = run.read()
    run.end("stopped")
    assert run.read()["status"] == "stopped"
    run.begin("small", seed=7)
    again = run.read()
    assert again["status"] == "running"
    assert again["created"] == first["created"]
    assert again["seed"] == 7
    assert again["versions"]["torch"]
    for name, started in (("after", "2026-01-02"), ("before", "2026-01-01")):
        run.stage(name).write(started=started)
    assert run.stages == ["before", "after"]
    assert json.loads((run.path / "stages" / "after" / "stage.json").read_text()) == {"started": "2026-01-02"}
