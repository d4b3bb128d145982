"""A finished run made by hand: the files that a run leaves, from samples whose right claims are known.

The chains are those of the embedded world, written by a small simulated writer with two habits: how long it searches
and whether it checks.
"""

from __future__ import annotations

import json
import random
from importlib import util
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

OPERATIONS = {"+": lambda a, b: (a + b) % 11, "-": lambda a, b: (a - b) % 11, "*": lambda a, b: a * b % 11}
RECIPE = """name = "zero-tiny"
seed = 0

[stages.base]
kind = "pretrain"

[stages.measure_base]
kind = "evaluate"
model = "base"

[stages.zero]
kind = "rl"
init = "base"

[stages.measure_zero]
kind = "evaluate"
model = "zero"
"""


def row(problem, sample, correct, *, family="f", task="countdown_mod", thinking=20, checks=False, **more):
    """One row of an evaluate stage's rollouts."""
    verdict = "correct" if correct else "wrong"
    return {
        "step": 0, "group": 0, "sample": sample, "draw": 0, "problem_id": problem, "task": task, "split": "test",
        "family": family, "level": 1, "language": "en", "prompt": "3 5 8 make 4", "text": "<think> 3 5 + 8 </think>",
        "finish": "stop", "tokens": thinking + 9, "thinking_tokens": thinking, "verdict": verdict,
        "reason": "" if correct else "makes 3, not 8",
        "answer": str(int(correct)), "reward": float(correct), "parts": "{}", "excluded": "", "checks": checks,
        "well_formed": True, "version": 0, "trained": False, "language_share": 1.0, **more,
    }  # fmt: skip


def write_stage(run: Path, name: str, kind: str, config: dict, *, rows=None, metrics=None, status="done", start=0.0):
    """One stage directory with its stage.json, rollouts and metrics."""
    directory = run / "stages" / name
    (directory / "rollouts").mkdir(parents=True)
    record = {
        "stage": name, "kind": kind, "status": status, "config": config, "fingerprint": "0", "summary": {},
        "started": f"2026-11-24T10:{int(start):02d}:00+00:00",
        "finished": f"2026-11-24T10:{int(start) + 2:02d}:30+00:00",
    }  # fmt: skip
    (directory / "stage.json").write_text(json.dumps(record))
    if rows is not None:
        pq.write_table(pa.Table.from_pylist(rows), directory / "rollouts" / "step-000000.parquet")
    if metrics is not None:
        (directory / "metrics.jsonl").write_text("".join(json.dumps(m) + "\n" for m in metrics))


def write_run(path: Path, before: list[dict], after: list[dict], metrics: list[dict] | None = None) -> Path:
    """A run with one rl stage, evaluated before and after."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "recipe.toml").write_text(RECIPE)
    info = {"seed": 0, "status": "done", "versions": {"mull": "0.1.0", "torch": "2.13.0"}, "machine": "2 cores"}
    (path / "run.json").write_text(json.dumps(info))
    asked = ["chain_mod:test", "countdown_mod:test"]
    settings = {"tasks": asked, "samples": 16, "sampling": {"temperature": 1.0, "max_tokens": 160}}
    practised = ["countdown_mod:train", "chain_mod:train"]
    trained = {"init": "base", "tasks": practised, "algorithm": "grpo", "steps": len(metrics or []), "group_size": 16}
    write_stage(path, "base", "pretrain", {"documents": 45000, "optimizer": "muon"}, start=0)
    write_stage(path, "measure_base", "evaluate", {"model": "base", **settings}, rows=before, start=3)
    write_stage(path, "zero", "rl", trained, metrics=metrics or [], start=6)
    write_stage(path, "measure_zero", "evaluate", {"model": "zero", **settings}, rows=after, start=9)
    return path


def countdown_sample(rng: random.Random, numbers, target, patience: int, checks: bool, thinks: bool):
    """(text, thinking tokens, answer, right) of a writer who tries up to `patience` expressions."""
    thought: list[str] = []
    for _ in range(patience if thinks else 1):
        x, y, z = rng.sample(numbers, 3)
        first, second = rng.choice("+-*"), rng.choice("+-*")
        middle = OPERATIONS[first](x, y)
        value = OPERATIONS[second](middle, z)
        tried = f"{x} {y} {first} {middle} {z} {second} {value}"
        check = f" {target} - {(value - target) % 11}" if checks else ""
        thought.append(f"{tried}{check} {'yes' if value == target else 'no'}")
        if value == target:
            break
    answer = f"{x} {y} {first} {z} {second}"
    inside = " ".join([*thought, "so"]) if thinks else ""
    text = f"<think> {inside} </think> <answer> {answer} </answer>".replace("  ", " ")
    return text, len(inside.split()), answer, value == target


def chain_sample(rng: random.Random, operands, operators, slip: float, checks: bool, thinks: bool):
    """(text, thinking tokens, answer, right) of a writer who computes step by step and slips now and then."""
    value = true = operands[0]
    words = [str(value)]
    for number, operator in zip(operands[1:], operators, strict=True):
        true = OPERATIONS[operator](true, number)
        value = OPERATIONS[operator](value, number) if rng.random() > slip else rng.randrange(11)
        words += [str(number), operator, str(value)]
    inside = (
        " ".join([*words, *(["again", *words, str(value), "-", "0", "yes"] if checks else []), "so"]) if thinks else ""
    )
    text = f"<think> {inside} </think> <answer> {value} </answer>".replace("  ", " ")
    return text, len(inside.split()), str(value), value == true


def world_rows(seed: int, trained: bool, families: int = 20, samples: int = 16) -> list[dict]:
    """Rows of both tasks by a base writer or a trained one, on the same problems for every seed."""
    problems, rng, rows = random.Random(1), random.Random(seed), []
    for family in range(families):
        numbers, target = problems.sample(range(1, 11), 3), problems.randrange(11)
        operands = [problems.randrange(1, 11) for _ in range(4 + family % 3)]
        operators = [problems.choice("+-*") for _ in operands[1:]]
        formula = " ".join([str(operands[0]), *(f"{n} {o}" for n, o in zip(operands[1:], operators, strict=True))])
        for sample in range(samples):
            thinks, checks = (
                (rng.random() < 0.97, rng.random() < 0.96) if trained else (rng.random() < 0.5, rng.random() < 0.5)
            )
            text, tokens, answer, right = countdown_sample(rng, numbers, target, 12 if trained else 3, checks, thinks)
            rows.append(row(
                f"countdown_mod/{family}", sample, right, family=f"c{family}", thinking=tokens,
                checks=checks and thinks,
                text=text,
                answer=answer, prompt=f"{' '.join(map(str, numbers))} make {target}", level=1 + family % 3,
            ))  # fmt: skip
            text, tokens, answer, right = chain_sample(
                rng, operands, operators, 0.08 if trained else 0.3, checks, thinks
            )
            rows.append(row(
                f"chain_mod/{family}", sample, right, family=f"m{family}", task="chain_mod", thinking=tokens, text=text,
                checks=checks and thinks, answer=answer, prompt=f"{formula} compute", level=1 + family % 3,
            ))  # fmt: skip
    return rows


def world_metrics(steps: int = 64) -> list[dict]:
    """Curves as an rl stage would leave them: rising, noisy, one step without entropy."""
    rng = random.Random(2)
    rows = []
    for step in range(1, steps + 1):
        grown = 1 - 0.97**step
        rows.append({
            "step": step, "reward": 0.15 + 0.6 * grown + rng.gauss(0, 0.04),
            "pass_rate": 0.15 + 0.6 * grown + rng.gauss(0, 0.04),
            "thinking_tokens": 20 + 50 * grown + rng.gauss(0, 3), "tokens": 90, "checks": min(1, 0.4 + 0.6 * grown),
            "lr": 4e-4,
            "entropy": None if step == 9 else 0.5 - 0.15 * grown + rng.gauss(0, 0.01),
            "truncated": max(0, rng.gauss(0.06, 0.03)),
        })  # fmt: skip
    return rows


@pytest.fixture
def make_row():
    return row


@pytest.fixture
def make_stage():
    return write_stage


@pytest.fixture
def make_run():
    return write_run


@pytest.fixture
def world_run(tmp_path: Path) -> Path:
    """A run on the embedded world in which training helped."""
    return write_run(tmp_path / "zero-tiny", world_rows(3, False), world_rows(4, True), world_metrics())


@pytest.fixture(scope="session")
def every_kind() -> ModuleType:
    """The module `every_kind.py` of this directory, which tests cannot import by its name."""
    spec = util.spec_from_file_location("every_kind", Path(__file__).with_name("every_kind.py"))
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
