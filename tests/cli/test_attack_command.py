"""`mull verify --attack` as a user meets it: a sound reward, a weak one, a recipe, a task, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mull.cli.verify import register
from mull.core.errors import UserError

ROW = {"id": 1, "gold": "42", "prediction": "42", "question": "What is 6 * 7?"}
RECIPE = """
name = "r"
[stages.base]
kind = "pretrain"
[stages.zero]
kind = "rl"
init = "base"
tasks = ["chain_mod:train?limit=1"]
steps = 1
[stages.zero.reward]
format = "additive"
"""


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return app


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    return path


def verify(app: typer.Typer, *words: object) -> Result:
    """`mull verify` with these words."""
    return CliRunner().invoke(app, ["verify", *map(str, words)])


def test_a_sound_reward(app: typer.Typer, rows: Path) -> None:
    done = verify(app, "--attack", rows)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "1 (math)", "  honest right reply: 1   42", "  honest wrong reply: 0   \\boxed{43}",
    ]  # fmt: skip
    assert sum(line[:2].isdigit() and line[2] == " " for line in lines[3:]) == 24
    assert lines[-1] == "none of 22 attacks pays" and "PAYS" not in done.stdout


@pytest.mark.usefixtures("sandbox")
def test_a_weak_reward_of_ones_own(app: typer.Typer, rows: Path, tmp_path: Path) -> None:
    reward = tmp_path / "reward.py"
    reward.write_text("def score(text, data): return data['answer'] in text")
    done = verify(app, "--attack", rows, "--verifier", f"python:{reward}:score")
    assert done.exit_code == 1, done.output
    assert done.stdout.count("PAYS") >= 5 and "01 enumerate" in done.stdout
    told = verify(app, "--attack", rows, "--verifier", f"python:{reward}:score", "--json")
    found = json.loads(told.stdout)
    assert told.exit_code == 1 and found["pays"] == sum(one.get("pays", False) for one in found["attacks"]) >= 5
    assert {one["number"] for one in found["attacks"]} == set(range(1, 25))
    assert found["problems"] == [
        {"id": "1", "verifier": f"python:{reward}:score", "right": 1.0, "wrong": 0.0, "wrong_pays": False}
    ]


def test_a_recipe_is_attacked_with_its_whole_reward(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    done = verify(app, "--attack", path)
    assert done.exit_code == 1, done.output
    assert "honest right reply: 2" in done.stdout and "honest wrong reply: 1" in done.stdout
    paid = [line for line in done.stdout.splitlines() if "PAYS" in line]
    assert [line[:7] for line in paid] == ["20 form"]
    path.write_text(RECIPE.replace("additive", "gate"))
    assert CliRunner().invoke(app, ["verify", "--attack", str(path)]).exit_code == 0


def test_a_task(app: typer.Typer) -> None:
    done = verify(app, "--attack", "--task", "countdown:dev", "--problems", "1", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["problems"][0]["right"] == 1.0 and found["pays"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--attack"], "needs one of: a file of rows"),
        (["--attack", "rows.jsonl", "--task", "countdown"], "needs one of"),
        (["--attack", "rows.jsonl", "--serve"], "neither --serve nor --out"),
        (["--task", "countdown"], "--task goes with --attack"),
        (["--attack", "nowhere.jsonl"], "no such file"),
        (["--attack", "--task", "countdwon"], "did you mean 'countdown'"),
    ],
)
def test_mistakes(app: typer.Typer, words: list[str], message: str) -> None:
    found = CliRunner().invoke(app, ["verify", *words])
    assert isinstance(found.exception, UserError) and message in str(found.exception), found.output


def test_the_command_runs_no_attack_without_a_wall(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    tests = [{"args": [1], "expected": 1}]
    row = {"id": 1, "verifier": "code-call", "function": "f", "tests": tests, "program": "def f(x): return 1"}
    path.write_text(json.dumps(row) + "\n")
    words = [sys.executable, "-m", "mull", "verify", "--attack", str(path), "--sandbox", "none"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "never run without a wall" in done.stderr and not done.stdout
