"""Every mistake in what is given: exit code 2, one line that names the fix, nothing written.

Runs in this process for speed; `test_resume` runs the real command.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mull.cli.main import main
from mull.core.run import locked

BASE = """name = "small"
threads = 1
[stages.base]
kind = "pretrain"
documents = 60
model = { hidden = 16, layers = 1, heads = 1, kv_heads = 1, feed_forward = 16 }
"""
RL = """[stages.zero]
kind = "rl"
init = "base"
tasks = ["countdown_mod:train"]
steps = 1
prompts = 1
group_size = 2
sampling = { max_tokens = 8 }
"""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def mull(*words: str | Path) -> Done:
    """The command line in this process: its parser, its error handling, its exit code."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["mull", *map(str, words)]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = before
    return Done(code, out.getvalue(), err.getvalue())


def refused(done: Done, *parts: str) -> None:
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("mull: "), done.stderr
    for part in parts:
        assert part in lines[0]


def recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("steps = 1", "stpes = 1"), ["stages.zero.stpes", "did you mean 'steps'"]),
        (("max_tokens = 8", "max_tokns = 8"), ["stages.zero.sampling.max_tokns", "did you mean 'max_tokens'"]),
        (("group_size = 2", "group_size = 1"), ["group_size", "2 or more"]),
        (("max_tokens = 8", "max_tokens = 8, top_p = 0.9"), ["top_p", "top_p = 1.0"]),
        (("countdown_mod:train", "countdown_mood:train"), ["countdown_mood", "countdown_mod"]),
        (("countdown_mod:train", "absent.jsonl"), ["absent.jsonl"]),
        (('init = "base"', 'init = "./absent"'), ["stages.zero.init", "absent"]),
        (('init = "base"', 'init = "zero"'), ["zero", "circle"]),
        (('kind = "rl"', 'kind = "lr"'), ["unknown kind", "rl"]),
        (("steps = 1", "steps = 0"), ["stages.zero.steps"]),
        (("steps = 1", 'algorithm = "grop"'), ["algorithm"]),
        (("steps = 1", "optim = { betas = [1.5, 0.9] }"), ["optim.betas", "less than 1"]),
        (("countdown_mod:train", "/tmp"), ["/tmp", "not a directory"]),
        (("heads = 1, kv_heads = 1", "heads = 3, kv_heads = 1"), ["stages.base.model", "heads"]),
        (("heads = 1, kv_heads = 1", "heads = 2, kv_heads = 3"), ["stages.base.model", "kv_heads"]),
    ],
)
def test_a_mistake_in_the_recipe(tmp_path: Path, change: tuple[str, str], parts: list[str]) -> None:
    out = tmp_path / "run"
    refused(mull("run", recipe(tmp_path, (BASE + RL).replace(*change)), "--out", out), *parts)
    assert not out.exists()


def test_a_missing_or_broken_recipe(tmp_path: Path) -> None:
    refused(mull("run", tmp_path / "absent.toml"), "no such file")
    refused(mull("run", recipe(tmp_path, "name = ")), "not valid TOML")
    refused(mull("run", recipe(tmp_path, f"name = {'[' * 3000}")), "not valid TOML")
    refused(mull("run", recipe(tmp_path, BASE), "--set", f"base.documents={'[' * 3000}"), "base.documents")


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"stage": '])
def test_a_torn_stage_json(tmp_path: Path, text: str) -> None:
    path, out = recipe(tmp_path, BASE), tmp_path / "run"
    assert mull("run", path, "--out", out, "--quiet").returncode == 0
    (out / "stages" / "base" / "stage.json").write_text(text)
    refused(mull("run", path, "--out", out, "--quiet"), "base", "--from base")
    refused(mull("run", path, "--out", out, "--dry-run"), "base", "--from base")
    assert mull("run", path, "--out", out, "--quiet", "--from", "base", "--dry-run").stdout.count("runs again") == 1
    assert mull("run", path, "--out", out, "--quiet", "--from", "base").returncode == 0
    assert json.loads((out / "stages" / "base" / "stage.json").read_text())["status"] == "done"


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"stage": '])
def test_a_torn_run_json_is_written_anew(tmp_path: Path, text: str) -> None:
    path, out = recipe(tmp_path, BASE), tmp_path / "run"
    assert mull("run", path, "--out", out, "--quiet").returncode == 0
    (out / "run.json").write_text(text)
    again = mull("run", path, "--out", out)
    assert again.returncode == 0 and "run.json: could not be read; it is written anew" in again.stderr
    assert "base     done before" in again.stderr
    assert json.loads((out / "run.json").read_text())["status"] == "done"


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert mull("run", recipe(tmp_path, BASE), "--out", out, "--quiet").returncode == 0
    (out / "report.html").mkdir()
    refused(mull("report", out), "report.html", "--json")


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({"question": "1 + 1?"}, ["answer"]),
        ({"question": "1 + 1?", "answer": "no number here"}, ["answer"]),
        ({"question": "1 + 1?", "answer": ""}, ["answer"]),
    ],
)
def test_a_row_without_a_usable_answer(tmp_path: Path, row: dict[str, str], parts: list[str]) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"question": "2 + 2?", "answer": "so #### 4"}) + "\n" + json.dumps(row) + "\n")
    text = BASE + RL.replace("countdown_mod:train", f"{data}?preset=gsm8k")
    refused(mull("run", recipe(tmp_path, text), "--out", tmp_path / "run"), "rows.jsonl", "2", *parts)
    assert not (tmp_path / "run").exists()


def test_a_model_of_the_wrong_kind(tmp_path: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    text = BASE + RL.replace('init = "base"', f'init = "{tmp_path}/bert"')
    refused(mull("run", recipe(tmp_path, text), "--out", tmp_path / "run"), "bert")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_neither_repeated_nor_overwritten(tmp_path: Path) -> None:
    path, out = recipe(tmp_path, BASE), tmp_path / "run"
    first = mull("run", path, "--out", out, "--json")
    assert first.returncode == 0 and set(json.loads(first.stdout)["stages"]) == {"base"}
    before = {p: p.stat().st_mtime_ns for p in (out / "stages").rglob("*") if p.is_file()}
    assert mull("run", path, "--out", out).returncode == 0
    assert {p: p.stat().st_mtime_ns for p in (out / "stages").rglob("*") if p.is_file()} == before
    refused(mull("run", path, "--out", out, "--set", "base.documents=50"), "documents (60, now 50)", "--out")
    assert {p: p.stat().st_mtime_ns for p in (out / "stages").rglob("*") if p.is_file()} == before
    again = mull("run", path, "--out", out, "--set", "base.documents=50", "--from", "base")
    assert again.returncode == 0, again.stderr


def test_two_runs_in_one_directory(tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        refused(mull("run", recipe(tmp_path, BASE), "--out", tmp_path / "run"), "is running here", "--out")


def test_other_mistakes_of_the_command_line(tmp_path: Path) -> None:
    path = recipe(tmp_path, BASE)
    refused(mull("run", path, "--out", tmp_path / "r", "--set", "bas.documents=5"), "bas")
    refused(mull("run", path, "--out", tmp_path / "r", "--until", "bsae"), "did you mean 'base'")
    refused(mull("report", tmp_path / "nowhere"), "nowhere")
    refused(mull("run", path, "--out", tmp_path / "r", "--from", "base", "--until", "bsae"), "did you mean 'base'")
    refused(mull("run", path, "--out", path), "recipe.toml: cannot be written", "--out")
    refused(mull("run", tmp_path), "cannot be read")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run"], ["Missing argument", "mull run --help"]),
        (["rnu", "x.toml"], ["'rnu'", "'run'", "mull --help"]),
        (["run", "x.toml", "--utnil", "base"], ["--utnil", "--until"]),
        (["run", "x.toml", "--out"], ["--out", "requires an argument"]),
        (["tasks", "countdown", "--n", "many"], ["--n", "integer"]),
    ],
)
def test_a_mistake_in_the_words_of_a_command(words: list[str], parts: list[str]) -> None:
    refused(mull(*words), *parts)


def test_no_words_at_all_are_answered_with_help() -> None:
    done = mull()
    assert done.returncode == 0
    assert done.stdout == mull("--help").stdout
    assert mull("--version").stdout.startswith("mull ")


def test_a_prompt_that_does_not_fit_leaves_what_was_done(tmp_path: Path) -> None:
    path = recipe(tmp_path, BASE + RL.replace("max_tokens = 8", "max_tokens = 100_000"))
    refused(mull("run", path, "--out", tmp_path / "run", "--quiet"), "positions", "max_tokens")
    assert not (tmp_path / "run" / "stages" / "zero").exists()
    mended = mull("run", path, "--out", tmp_path / "run", "--set", "zero.sampling.max_tokens=8")
    assert mended.returncode == 0, mended.stderr
    assert "base     done before" in mended.stderr
    assert "zero     step 1/1: reward" in mended.stderr


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    more = BASE.replace("documents = 60", "documents = 300\ncheckpoint_every = 2")
    text = more + "optim = { name = 'adamw', lr = 1e38 }\n"
    done = mull("run", recipe(tmp_path, text), "--out", tmp_path / "run", "--quiet")
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "checkpoint" in lines[0] and "stage base" in lines[0]
