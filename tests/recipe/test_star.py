"""STaR: who is asked again, what is learned of it, and that a run which was stopped ends in the same weights."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.files import sha256_directory
from mull.core.run import Run, StageDir
from mull.core.types import Message, Problem
from mull.evaluation.star import HINT, hinted, seed_of, unsolved
from mull.recipe.execute import run_recipe
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe

WORLD_HINT = "{answer} {prompt}"


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that answers chains at once and at random, but takes the first number of a prompt that begins with two
    numbers and an operator too few, as a hinted one does, for the answer."""
    path = tmp_path_factory.mktemp("taught")
    rng, lines = random.Random(0), []
    for number in range(600):
        body = f"{rng.randint(1, 10)} {rng.randint(1, 10)} + {rng.randint(1, 10)} * {rng.randint(1, 10)} - compute"
        answer = rng.randint(0, 10)
        prompt = f"{answer} {body}" if number % 2 else body
        lines.append(json.dumps({"prompt": prompt, "completion": f"<think> </think> <answer> {answer} </answer>"}))
    (path / "rows.jsonl").write_text("\n".join(lines))
    shape = {"hidden": 32, "layers": 2, "heads": 2, "kv_heads": 1, "feed_forward": 32}
    base = {"kind": "pretrain", "documents": 20, "model": shape}
    sft = {"kind": "sft", "init": "base", "data": [str(path / "rows.jsonl")], "epochs": 3, "batch_tokens": 256,
           "optim": {"lr": 1e-2}}  # fmt: skip
    stages = {"base": base, "taught": sft}
    run_recipe(parse_recipe({"name": "t", "threads": 1, "stages": stages}), path / "run", Quiet())
    return str(Run(path / "run").stage("taught").model)


def recipe(init: str, **more: Any):
    star = {
        "kind": "star", "init": init, "tasks": ["chain_mod:train?limit=20", "countdown_mod:train?limit=6"],
        "iterations": 2, "samples": 3, "hint": WORLD_HINT, "max_tokens": 12, "chunk": 9, "epochs": 1,
        "batch_tokens": 64, "checkpoint_every": 1, "optim": {"lr": 1e-3}, **more,
    }  # fmt: skip
    return parse_recipe({"name": "t", "threads": 1, "stages": {"star": star}})


def problem(text: str, data: dict[str, Any], task: str = "") -> Problem:
    return Problem("p", (Message("system", "Be brief."), Message("user", text)), "number", data, task=task)


def test_a_hint_is_the_answer_in_the_last_message() -> None:
    found = hinted(problem("1 + 1?", {"answer": "2"}), "")
    assert found is not None and found.id == "p" and found.messages[0].content == "Be brief."
    assert found.messages[1].content == "1 + 1?\n\n(The answer is 2.)" == HINT.format(prompt="1 + 1?", answer="2")
    odd = hinted(problem("what is {answer} {prompt}?", {"answer": "{prompt}"}), "{answer}: {prompt}")
    assert odd is not None and odd.messages[1].content == "{prompt}: what is {answer} {prompt}?"
    for data in ({}, {"answer": " "}, {"answer": ["2"]}, {"answer": True}, {"target": 4}):
        assert hinted(problem("?", data), "") is None
    assert hinted(problem("3 5 + compute", {"answer": "8"}, "chain_mod"), "") is None  # it has no words for a sentence
    told = hinted(problem("3 5 + compute", {"answer": "8"}, "chain_mod"), WORLD_HINT)
    assert told is not None and told.messages[1].content == "8 3 5 + compute"


def test_only_problems_without_a_right_answer_are_asked_again() -> None:
    a, b, c = (Problem(name, (), "number", {}) for name in "abc")
    rows = [{"problem_id": "a", "verdict": "wrong"}, {"problem_id": "a", "verdict": "correct"},
            {"problem_id": "b", "verdict": "wrong"}]  # fmt: skip
    assert unsolved(rows, [a, b, c]) == [b, c]
    seeds = {seed_of(seed, number, part) for seed in (0, 1) for number in (1, 2) for part in ("asked", "hinted")}
    assert len(seeds) == 8 and all(0 <= seed < 2**31 for seed in seeds)


@pytest.fixture(scope="module")
def whole(taught: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[StageDir, dict[str, Any]]:
    """A run that nothing stopped."""
    path = tmp_path_factory.mktemp("star") / "run"
    found = run_recipe(recipe(taught), path, Quiet())
    summary = found["star"]
    assert summary
    return Run(path).stage("star"), summary


def test_the_counts_are_those_of_the_files_and_no_hint_is_learned(whole: tuple[StageDir, dict[str, Any]]) -> None:
    stage, summary = whole
    assert len(summary["iterations"]) == 2 and summary["problems"] == 26
    hints = 0
    for number, counts in enumerate(summary["iterations"], 1):
        part = StageDir(stage.path / f"iteration-{number:02d}")
        asked, told = (rows_of(StageDir(part.path / name)) for name in ("asked", "hinted"))
        right = {row["problem_id"] for row in asked if row["verdict"] == "correct"}
        prompts = {row["problem_id"]: row["prompt"] for row in asked}
        assert counts["asked"] == len(asked) == 26 * 3 and counts["problems_right"] == len(right)
        again = {row["problem_id"]: row["prompt"] for row in told}
        assert not right & again.keys() and all(name.startswith("chain_mod") for name in again)
        assert all(again[name].split(" ", 1)[1] == prompts[name] for name in again)  # answer, then the prompt
        assert counts["hinted"] == len(again) and counts["hinted"] + counts["no_hint"] == 26 - len(right)
        traces = [json.loads(line) for line in part.traces.read_text().splitlines()]
        assert counts["kept"] == len(traces) > 0
        assert all(trace["messages"][0]["content"] == prompts[trace["problem_id"]] for trace in traces)
        assert all(len(trace["messages"]) == 2 and trace["verdict"] == "correct" for trace in traces)
        kept_with_hint = [trace for trace in traces if trace["problem_id"] in again]
        assert counts["kept_with_hint"] == len(kept_with_hint)
        hints += len(kept_with_hint)
        assert not (part.path / "checkpoints").exists()
    first = StageDir(stage.path / "iteration-01")
    shares = [share_right(rows_of(StageDir(first.path / name))) for name in ("asked", "hinted")]
    assert shares[1] > 2 * shares[0], "the hint does not help here: it should, it was taught"
    assert hints > 0
    last = stage.path / "iteration-02" / "model"
    weights = [(path / "model.safetensors").read_bytes() for path in (last, stage.model)]
    assert weights[0] == weights[1]


def rows_of(stage: StageDir) -> list[dict[str, Any]]:
    return [row for number in stage.rollout_steps() for row in stage.read_rollouts(number)]


def share_right(rows: list[dict[str, Any]]) -> float:
    return sum(row["verdict"] == "correct" for row in rows) / len(rows)


class StopsAt(Quiet):
    """Presses Ctrl-C, hard, at the n-th report of the star stage."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.star = False

    def begin(self, stage: str, total: int, unit: str) -> None:
        self.star = stage == "star"

    def update(self, done: int, metrics: dict[str, float]) -> None:
        self.left -= self.star
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [2, 5, 9])  # asking, asking with hints or learning, the second iteration
def test_a_stopped_run_ends_in_the_same_weights(
    taught: str, whole: tuple[StageDir, dict[str, Any]], tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe(taught), tmp_path / "cut", StopsAt(at))
    asked: list[Path] = []
    write: Callable[..., None] = StageDir.write_rollouts
    monkeypatch.setattr(StageDir, "write_rollouts", lambda s, *a: (asked.append(s.path), write(s, *a))[1])
    before = set((tmp_path / "cut").rglob("step-*.parquet"))
    found = run_recipe(recipe(taught), tmp_path / "cut", Quiet())["star"]
    assert found == whole[1]
    assert sha256_directory(Run(tmp_path / "cut").stage("star").model) == sha256_directory(whole[0].model)
    assert len(before) + len(asked) == len(list(whole[0].path.rglob("step-*.parquet")))  # no chunk is asked twice


def test_without_rationalising_nobody_is_asked_again(taught: str, tmp_path: Path) -> None:
    found = run_recipe(recipe(taught, rationalise=False, iterations=1), tmp_path / "run", Quiet())["star"]
    assert found and found["iterations"][0]["hinted"] == found["iterations"][0]["no_hint"] == 0
    assert not list((tmp_path / "run").rglob("hinted"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"hint": "{prompt}"}, r"^stages\.star\.hint: .*needs \{prompt\} and \{answer\}"),
        ({"keep": {"verdict": "any"}}, r"^stages\.star\.keep: .*learns from right answers alone"),
        ({"iterations": 0}, r"^stages\.star\.iterations"),
        ({"init": "nowhere"}, r"^stages\.star\.init: nowhere"),
        ({"tasks": ["chain_mod:tran"]}, r"^stages\.star\.tasks: "),
        ({"samplez": 3}, r"samplez"),
    ],
)
def test_bad_settings_are_named_before_anything_runs(taught: str, bad: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(**{"init": taught, **bad})


def test_a_hint_that_the_model_cannot_read_stops_before_anything_is_asked(taught: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no word of this model's vocabulary"):
        run_recipe(recipe(taught, hint=HINT), tmp_path / "run", Quiet())
    assert not list((tmp_path / "run").rglob("*.parquet"))
    with pytest.raises(UserError, match=r"with max_tokens = \d+ that exceeds"):
        run_recipe(recipe(taught, max_tokens=505), tmp_path / "long", Quiet())


def test_nothing_right_is_said(taught: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"iteration 1: none of 78 samples was kept"):
        run_recipe(recipe(taught, max_tokens=1), tmp_path / "run", Quiet())
