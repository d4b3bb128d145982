"""`mull verify --attack` as a user meets it: a sound reward, a weak one, a recipe, a task, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MULL = [sys.executable, "-m", "mull"]
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


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MULL, "verify", *map(str, words)], capture_output=True, text=True, timeout=300)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    return path


def test_a_sound_reward(rows: Path) -> None:
    done = run("--attack", rows)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "1 (math)", "  honest right reply: 1   42", "  honest wrong reply: 0   \\boxed{43}",
    ]  # fmt: skip
    assert sum(line[:2].isdigit() and line[2] == " " for line in lines[3:]) == 24
    assert lines[-1] == "none of 22 attacks pays" and "PAYS" not in done.stdout


@pytest.mark.usefixtures("sandbox")
def test_a_weak_reward_of_ones_own(rows: Path, tmp_path: Path) -> None:
    reward = tmp_path / "reward.py"
    reward.write_text("def score(text, data): return data['answer'] in text")
    done = run("--attack", rows, "--verifier", f"python:{reward}:score")
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("PAYS") >= 5 and "01 enumerate" in done.stdout
    told = run("--attack", rows, "--verifier", f"python:{reward}:score", "--json")
    found = json.loads(told.stdout)
    assert told.returncode == 1 and found["pays"] == sum(one.get("pays", False) for one in found["attacks"]) >= 5
    assert {one["number"] for one in found["attacks"]} == set(range(1, 25))
    assert found["problems"] == [
        {"id": "1", "verifier": f"python:{reward}:score", "right": 1.0, "wrong": 0.0, "wrong_pays": False}
    ]


def test_a_recipe_is_attacked_with_its_whole_reward(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    done = run("--attack", path)
    assert done.returncode == 1, done.stderr
    assert "honest right reply: 2" in done.stdout and "honest wrong reply: 1" in done.stdout
    paid = [line for line in done.stdout.splitlines() if "PAYS" in line]
    assert [line[:7] for line in paid] == ["20 form"]
    path.write_text(RECIPE.replace("additive", "gate"))
    assert run("--attack", path).returncode == 0


def test_a_task() -> None:
    done = run("--attack", "--task", "countdown:dev", "--problems", "1", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"][0]["right"] == 1.0 and found["pays"] == 0


def test_mistakes(rows: Path, tmp_path: Path) -> None:
    for words, message in (
        (("--attack",), "needs one of: a file of rows"),
        (("--attack", rows, "--task", "countdown"), "needs one of"),
        (("--attack", rows, "--serve"), "neither --serve nor --out"),
        (("--task", "countdown"), "--task goes with --attack"),
        (("--attack", tmp_path / "none.jsonl"), "no such file"),
        (("--attack", "--task", "countdwon"), "did you mean 'countdown'"),
    ):
        done = run(*words)
        assert done.returncode == 2 and message in done.stderr and not done.stdout, done.stderr
