"""Running a recipe: once, in order, resumed, refused where results would mix. Stages here only count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from mull.core.config import Config, read_toml
from mull.core.errors import StageFailed, Stopped, UserError
from mull.core.files import sha256_directory, write_directory, write_text
from mull.core.run import Run
from mull.recipe.execute import run_recipe
from mull.recipe.kind import Context, StageKind
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe


class CountConfig(Config):
    """Counts to `steps`, from where its `init` stopped."""

    kind: Literal["count"]
    init: str = ""
    steps: int = 3
    pause: float = 0.0
    trouble: Literal["", "stop", "fail", "mistake", "late mistake", "bug", "abort"] = ""
    at: int = 1


def count(context: Context) -> dict[str, Any]:
    """A training stage without the training: checkpoints every step, a metrics row a step, a model at the end."""
    config: CountConfig = context.config
    first = Path(context.models["init"], "number").read_text() if config.init else "0"
    latest = context.stage.latest_checkpoint()
    total = int((latest / "number").read_text()) if latest else int(first)
    begun = int(latest.name[5:]) if latest else 0
    context.stage.cut_metrics(begun)
    if config.trouble == "mistake":
        raise UserError("the model does not fit the task; choose another")
    context.begin(config.steps, "step")
    for step in range(begun, config.steps):
        if context.stop():
            raise Stopped(f"stopped after step {step} of {config.steps}")
        if step == config.at and not (context.stage.path.parents[1] / "mended").exists():
            trouble(config.trouble)
        total += 1
        time.sleep(config.pause)
        context.stage.log({"step": step, "total": total})
        context.stage.save_checkpoint(step + 1, partial(write_number, str(total)))
        context.stage.keep_last(2)
        context.report(step + 1, {"reward": float(total)})
    write_directory(context.stage.model, partial(write_number, str(total)))
    return {"total": total}


def write_number(number: str, path: Path) -> None:
    write_text(path / "number", number)


def trouble(kind: str) -> None:
    """What can end a stage early."""
    if kind == "stop":
        os.kill(os.getpid(), signal.SIGINT)
    if kind == "abort":
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    if kind == "fail":
        raise StageFailed("the loss is nan")
    if kind == "late mistake":
        raise UserError("the data changed; put it back")
    if kind == "bug":
        raise RuntimeError("index out of range")


def check(config: Any, where: str, inner: frozenset[str]) -> None:
    """`init` is a stage or a directory."""
    if config.init and "init" not in inner and not Path(config.init).is_dir():
        raise UserError(f"{where}.init: {config.init}: no such directory")


KINDS = {"count": StageKind(CountConfig, count, check, makes="model")}


class Told(Quiet):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def skipped(self, stage: str) -> None:
        self.said.append(f"skipped {stage}")

    def begin(self, stage: str, total: int, unit: str) -> None:
        self.said.append(f"began {stage}")

    def finish(self, stage: str, summary: dict[str, Any]) -> None:
        self.said.append(f"finished {stage}")

    def note(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        self.said.append("closed")


def recipe(seed: int = 0, name: str = "counting", **stages: dict[str, Any]) -> Any:
    """A recipe whose stages count."""
    tables = {key: {"kind": "count", **values} for key, values in stages.items()}
    return parse_recipe({"name": name, "seed": seed, "threads": 1, "stages": tables}, kinds=KINDS)


def go(out: Path, recipe: Any, from_: str | None = None, until: str | None = None) -> list[str]:
    """Run, and say what the person saw."""
    told = Told()
    run_recipe(recipe, out, told, from_, until)
    return told.said


def snapshot(path: Path) -> dict[str, int]:
    """When every file below was written."""
    return {str(p): p.stat().st_mtime_ns for p in path.rglob("*") if p.is_file()}


TWO = {"first": {"steps": 3}, "second": {"init": "first", "steps": 2}}


def test_stages_run_once_in_the_order_of_their_needs(tmp_path: Path) -> None:
    out = tmp_path / "run"
    turned = recipe(**dict(reversed(TWO.items())))
    said = go(out, turned)
    assert said == ["began first", "finished first", "began second", "finished second", "closed"]
    run = Run(out)
    assert run.stages == ["first", "second"]
    assert run.stage("second").read()["summary"] == {"total": 5}
    memory = run.stage("second").read()["memory"]
    assert memory.keys() == {"before", "peak"}
    assert None in memory.values() or 0 < memory["before"] <= memory["peak"]
    assert run.read()["status"] == "done"
    before = snapshot(out / "stages")
    assert go(out, turned) == ["skipped first", "skipped second", "closed"]
    assert snapshot(out / "stages") == before


def test_the_lineage_says_what_came_from_what(tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(out, recipe(**TWO))
    lineage = json.loads((out / "lineage.json").read_text())
    assert lineage["second"]["inputs"] == {"init": lineage["first"]["fingerprint"]}
    assert lineage["first"]["outputs"] == {"model": sha256_directory(out / "stages" / "first" / "model")}


def test_the_written_recipe_is_the_run_itself(tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(out, recipe(seed=4, **TWO))
    again = parse_recipe(read_toml(out / "recipe.toml"), kinds=KINDS)
    assert again == recipe(seed=4, **TWO)
    assert go(out, again) == ["skipped first", "skipped second", "closed"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (recipe(**(TWO | {"first": {"steps": 4}})), r"stage 'first' .* another steps \(3, now 4\); .* --from first"),
        (recipe(seed=1, **TWO), "stage 'first' .* another seed, thread count, version or input"),
        (recipe(first=TWO["first"]), "holds stage 'second', which this recipe lacks"),
        (recipe(name="other", **TWO), "holds a run of recipe 'counting', not of 'other'; use another --out"),
    ],
)
def test_another_recipe_touches_nothing(tmp_path: Path, changed: Any, message: str) -> None:
    out = tmp_path / "run"
    go(out, recipe(**TWO))
    before = snapshot(out)
    with pytest.raises(UserError, match=message):
        go(out, changed)
    before.pop(str(out / ".lock"))
    after = snapshot(out)
    after.pop(str(out / ".lock"))
    assert after == before


def test_a_stage_more_is_run_on_top(tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(out, recipe(**TWO))
    assert go(out, recipe(**TWO, third={"init": "second"}))[-3:] == ["began third", "finished third", "closed"]


def test_from_does_it_and_what_follows_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(out, recipe(**TWO))
    changed = recipe(seed=1, **(TWO | {"second": {"init": "first", "steps": 9}}))
    with pytest.raises(UserError, match="first"):  # made with the old seed, and not asked for again
        go(out, changed, from_="second")
    assert "began first" in go(out, changed, from_="first")
    assert Run(out).stage("second").read()["summary"] == {"total": 12}
    assert Run(out).read()["seed"] == 1


def test_until_leaves_the_rest_for_later(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert go(out, recipe(**TWO), until="first") == ["began first", "finished first", "closed"]
    assert Run(out).read()["status"] == "partial"
    assert go(out, recipe(**TWO)) == ["skipped first", "began second", "finished second", "closed"]
    with pytest.raises(UserError, match="second comes after first"):
        go(out, recipe(**TWO), from_="second", until="first")
    with pytest.raises(UserError, match="no stage 'frist'.*'first'"):
        go(out, recipe(**TWO), until="frist")


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    broken = recipe(**(TWO | {"first": {"steps": 3, "trouble": "stop"}}))
    told = Told()
    with pytest.raises(Stopped, match="after step 2 of 3"):
        run_recipe(broken, out, told)
    assert any("stopping after this step" in line for line in told.said)
    assert told.said[-1] == "closed"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (Run(out).read()["status"], Run(out).stage("first").read()["status"]) == ("stopped", "stopped")
    started = Run(out).stage("first").read()["started"]
    go(out, broken)
    assert [row["total"] for row in Run(out).stage("first").metrics()] == [1, 2, 3]
    assert Run(out).stage("first").read()["started"] == started


def test_ctrl_c_twice_ends_at_once(tmp_path: Path) -> None:
    broken = recipe(first={"trouble": "abort"})
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", broken)
    assert Run(tmp_path / "run").stage("first").read()["status"] == "stopped"
    (tmp_path / "run" / "mended").touch()
    assert go(tmp_path / "run", broken)[-1] == "closed"


def test_an_interrupted_from_goes_on_with_the_same_command(tmp_path: Path) -> None:
    out = tmp_path / "run"
    plain = recipe(**TWO)
    go(out, plain)
    broken = recipe(**(TWO | {"second": {"init": "first", "steps": 5, "trouble": "stop", "at": 3}}))
    with pytest.raises(Stopped):
        go(out, broken, from_="second")
    checkpoint = out / "stages" / "second" / "checkpoints" / "step-000004"
    written = checkpoint.stat().st_mtime_ns
    assert go(out, broken, from_="second") == ["skipped first", "began second", "finished second", "closed"]
    assert checkpoint.stat().st_mtime_ns == written, "it began anew instead of going on"
    (out / "mended").touch()
    assert go(out, broken, from_="second")  # a finished one is done again
    assert checkpoint.stat().st_mtime_ns > written


def test_a_failing_stage_names_its_last_good_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(StageFailed, match="stage first: the loss is nan. The last good checkpoint is .*step-000001$"):
        go(out, recipe(first={"trouble": "fail"}))
    assert (Run(out).read()["status"], Run(out).stage("first").read()["status"]) == ("failed", "failed")
    with pytest.raises(StageFailed, match="There is no checkpoint yet"):
        go(tmp_path / "new", recipe(first={"trouble": "fail", "at": 0}))


def test_a_bug_of_ours_is_recorded_and_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="index out of range"):
        go(tmp_path / "run", recipe(first={"trouble": "bug"}))
    assert Run(tmp_path / "run").stage("first").read()["status"] == "failed"
    (tmp_path / "run" / "mended").touch()
    go(tmp_path / "run", recipe(first={"trouble": "bug"}))
    assert [row["total"] for row in Run(tmp_path / "run").stage("first").metrics()] == [1, 2, 3]


def test_a_mistake_found_late_leaves_nothing_half_written(tmp_path: Path) -> None:
    wrong = {"init": "first", "trouble": "mistake"}
    with pytest.raises(UserError, match="does not fit"):
        go(tmp_path / "run", recipe(first={"trouble": "mistake"}))
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="does not fit"):
        go(tmp_path / "two", recipe(**(TWO | {"second": wrong})))
    assert Run(tmp_path / "two").stages == ["first"]
    assert Run(tmp_path / "two").read()["status"] == "failed"
    assert go(tmp_path / "two", recipe(**TWO))[0] == "skipped first"  # mended: what was done stays done
    with pytest.raises(UserError, match="put it back"):
        go(tmp_path / "three", recipe(first={"trouble": "late mistake"}))
    assert Run(tmp_path / "three").stage("first").read()["status"] == "failed"
    assert Run(tmp_path / "three").stage("first").latest_checkpoint()


def test_a_place_that_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written .* --out"):
        go(tmp_path / "file", recipe(**TWO))
    write_text(tmp_path / "home" / "thesis.tex", "x")
    with pytest.raises(UserError, match="holds files but no run"):
        go(tmp_path / "home", recipe(**TWO))
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["thesis.tex"]


def test_a_model_that_was_deleted_is_missed_at_once(tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(out, recipe(**TWO))
    (out / "stages" / "first" / "model" / "number").unlink()
    (out / "stages" / "first" / "model").rmdir()
    with pytest.raises(UserError, match="first/model: gone, .* --from first"):
        go(out, recipe(**TWO))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_execute import Told, recipe, run_recipe
run_recipe(recipe(first={{"steps": 40, "pause": 0.02}}, second={{"init": "first"}}), Path(sys.argv[1]), Told())
"""


def start(out: Path) -> subprocess.Popen[str]:
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    return subprocess.Popen([sys.executable, "-c", script, str(out)], stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()[1]


@pytest.mark.timeout(120)
def test_killed_in_mid_stage_then_two_at_once_then_finished(tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = Run(out).stage("first")
    process = start(out)
    wait_for(process, lambda: len(first.metrics()) >= 5)
    process.kill()
    process.communicate()
    assert first.read()["status"] == "running"
    rows = len(first.metrics())
    process = start(out)
    wait_for(process, lambda: len(first.metrics()) > rows)
    with pytest.raises(UserError, match=f"process {process.pid} on .* is running here"):
        go(out, recipe(first={"steps": 40, "pause": 0.02}, second={"init": "first"}))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert [row["total"] for row in first.metrics()] == list(range(1, 41))
    assert Run(out).stage("second").read()["summary"] == {"total": 43}
