"""A run that is killed at any moment and taken up again ends where an undisturbed one ends, bit for bit.

Real processes, real signals, the real command line.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mull.core.files import sha256_file
from mull.core.run import Run

RECIPE = """
name = "small"
seed = 3
threads = 1

[stages.base]
kind = "pretrain"
documents = 600
checkpoint_every = 5
model = { hidden = 32, layers = 2, heads = 2, kv_heads = 1, feed_forward = 64 }

[stages.zero]
kind = "rl"
init = "base"
tasks = ["countdown_mod:train", "chain_mod:train"]
algorithm = { name = "dapo", minibatches = 2 }
reward = { format = "additive", format_weight = 0.5, overlong_buffer = 30 }
steps = 6
prompts = 4
group_size = 4
max_rounds = 2
checkpoint_every = 2
sampling = { max_tokens = 60 }
optim = { lr = 1e-3 }

[stages.after]
kind = "evaluate"
model = "zero"
tasks = [{ source = "countdown_mod", split = "dev", limit = 24 }]
samples = 4
max_tokens = 60
chunk = 4
"""


def start(recipe: Path, out: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mull", "run", str(recipe), "--out", str(out), "--quiet"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def finish(recipe: Path, out: Path) -> None:
    process = start(recipe, out)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors


def state(out: Path) -> dict[str, object]:
    """Everything that must not depend on interruptions."""
    run = Run(out)
    found: dict[str, object] = {}
    for name in ("base", "zero"):
        found[f"{name} weights"] = sha256_file(run.stage(name).model / "model.safetensors")
        rows = run.stage(name).metrics()
        found[f"{name} metrics"] = [
            {k: v for k, v in row.items() if k not in ("seconds", "peak_memory")} for row in rows
        ]
    for name in ("zero", "after"):
        stage = run.stage(name)
        rows = [row for step in stage.rollout_steps() for row in stage.read_rollouts(step)]
        found[f"{name} samples"] = [(r["step"], r["draw"], r["sample"], r["token_ids"], r["logprobs"]) for r in rows]
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = folder / "small.toml"
    recipe.write_text(RECIPE)
    finish(recipe, folder / "run")
    return recipe, folder / "run"


def test_an_undisturbed_run_records_every_step_once(undisturbed: tuple[Path, Path]) -> None:
    _, out = undisturbed
    run = Run(out)
    assert [row["step"] for row in run.stage("zero").metrics()] == list(range(6))
    assert run.stage("zero").rollout_steps() == list(range(6))
    assert run.stage("after").rollout_steps() == list(range(6))
    samples = [s[1:3] for s in state(out)["after samples"]]  # type: ignore[attr-defined]
    assert len(samples) == len(set(samples)) == 24 * 4


def killed_and_resumed(undisturbed: tuple[Path, Path], out: Path, moments: list[tuple[str, int, float]]) -> None:
    """Kill at each moment (stage, rows it has recorded, seconds after that), then let the run end."""
    recipe, reference = undisturbed
    for stage, rows, pause in moments:
        process = start(recipe, out)
        wait_for(process, lambda stage=stage, rows=rows: recorded(out, stage) >= rows)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    finish(recipe, out)
    assert state(out) == state(reference)


def recorded(out: Path, stage: str) -> int:
    directory = Run(out).stage(stage)
    return len(directory.rollout_steps()) if stage == "after" else len(directory.metrics())


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, "the run ended too early"


@pytest.mark.timeout(300)
def test_killed_once_and_resumed(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    killed_and_resumed(undisturbed, tmp_path / "run", [("zero", 3, 0.0)])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_five_times_at_random_and_resumed(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    rng = random.Random(7)
    base = sorted(rng.sample(range(1, 15), 2))
    moments = [("base", row, 0.05 * rng.random()) for row in base]
    moments += [("zero", row, 0.1 * rng.random()) for row in (1, 3)] + [("after", 2, 0.02 * rng.random())]
    killed_and_resumed(undisturbed, tmp_path / "run", moments)


@pytest.mark.timeout(300)
def test_interrupt_saves_and_the_same_command_resumes(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, reference = undisturbed
    out = tmp_path / "run"
    process = start(recipe, out)
    wait_for(process, lambda: recorded(out, "zero") > 0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command resumes" in errors and len(errors.strip().splitlines()) == 1
    assert Run(out).stage("zero").read()["status"] == "stopped"
    finish(recipe, out)
    assert state(out) == state(reference)
