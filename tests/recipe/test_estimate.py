"""Estimates: every term against a computation by hand, sizes against real models, earlier runs before counting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mull.core.run import Run, machine
from mull.model.tiny import TinyConfig
from mull.recipe.estimate import (
    DECODING,
    PROCESS,
    TRAINING,
    about,
    estimate,
    measured_rate,
    memory,
    seconds,
    total_words,
)
from mull.recipe.plan import plan
from mull.recipe.schema import parse_recipe
from mull.recipe.sizes import Sizes, read_sizes, sizes_of
from mull.recipe.workload import Work, work_of
from mull.train.pretrain import PretrainConfig, blank_model

SHAPE = {"hidden": 16, "layers": 2, "heads": 2, "kv_heads": 1, "feed_forward": 32}
SIZES = Sizes(vocabulary=40, hidden=16, layers=2, queries=16, keys=8, feed_forward=32)
MATRICES = 2 * (16 * 16 * 2 + 16 * 8 * 2 + 3 * 16 * 32)
ALL = MATRICES + 40 * 16 + 5 * 16


def recipe(**zero: Any) -> Any:
    """A base, learning from verdicts, and a measurement."""
    stages = {
        "base": {"kind": "pretrain", "documents": 50, "model": SHAPE},
        "zero": {
            "kind": "rl", "init": "base", "tasks": ["countdown_mod:train"], "steps": 10, "prompts": 4, "group_size": 8,
            "sampling": {"max_tokens": 20}, "algorithm": {"name": "dapo", "minibatches": 2}, **zero,
        },
        "after": {
            "kind": "evaluate", "model": "zero", "tasks": [{"source": "countdown_mod", "split": "test", "limit": 40}],
            "samples": 4, "max_tokens": 20, "chunk": 16, "slots": 32,
        },
    }  # fmt: skip
    return parse_recipe({"name": "t", "threads": 1, "stages": stages})


def test_sizes_are_those_of_the_model(tmp_path: Path) -> None:
    model, _ = blank_model(PretrainConfig(kind="pretrain", model=TinyConfig(**SHAPE)), 0)
    counted = sizes_of(recipe(), "after")
    assert counted and counted.parameters == sum(p.numel() for p in model.parameters())
    model.config.save_pretrained(tmp_path)
    assert read_sizes(json.loads((tmp_path / "config.json").read_text())) == counted
    assert sizes_of(recipe(), str(tmp_path)) == counted
    assert sizes_of(recipe(), str(tmp_path / "absent")) is None
    assert SIZES.parameters == ALL
    assert SIZES.flops(10) == 2 * (MATRICES + 640) + 4 * 2 * 16 * 10


def test_work_is_counted_from_the_configuration() -> None:
    made = recipe(max_rounds=3)
    work = work_of(made, made.stages["zero"])
    assert work and (work.steps, work.unit, work.updates) == (10, "step", 20)
    assert work.completions == 10 * 4 * 8 * 2  # half of the two rounds more
    assert work.written == work.completions * 10
    assert work.read == 10 * 4 * 8 * 10  # the logprobs that two minibatches are compared with
    assert work.slots == 32 and work.turns == 20 * 20
    asked = work_of(made, made.stages["after"])
    assert asked and (asked.steps, asked.unit, asked.completions, asked.slots) == (3, "chunk", 160, 32)
    assert asked.trained == 0 and asked.turns == 60


def test_the_memory_of_learning() -> None:
    zero = recipe().stages["zero"]
    work = Work(10, "step", trained=1000.0, written=1.0, updates=10, micro_batch=64, slots=32, longest=30)
    terms = memory(zero, work, SIZES)
    assert terms["process"] == PROCESS
    assert terms["weights"] == terms["gradients"] == 4 * ALL
    assert terms["optimizer"] == 8 * ALL
    assert terms["cache"] == 32 * 30 * 2 * 2 * 8 * 4
    assert terms["activations"] == 64 * (2 * (9 * 16 + 3 * 8 + 4 * 32) * 4 + 2 * 40 * 4)
    assert "reference" not in terms and "critic" not in terms
    muon = memory(recipe(optim={"name": "muon"}).stages["zero"], work, SIZES)
    assert muon["optimizer"] == 8 * ALL - 4 * MATRICES
    checked = memory(recipe(algorithm={"name": "grpo", "kl_coefficient": 0.1}).stages["zero"], work, SIZES)
    assert checked["reference"] == 4 * ALL
    half = memory(recipe(dtype="bfloat16").stages["zero"], work, SIZES)
    assert half["weights"] == 2 * ALL and half["masters"] == 8 * ALL
    small = memory(recipe(lora={"rank": 2}).stages["zero"], work, SIZES)
    adapters = 2 * 2 * ((16 + 16) * 2 + (16 + 8) * 2 + 3 * (16 + 32))
    assert small["adapters"] == small["gradients"] == 4 * adapters and small["optimizer"] == 8 * adapters


def test_time_grows_with_the_work_and_falls_with_the_rate() -> None:
    zero = recipe().stages["zero"]
    once = Work(1, "step", trained=1e6, written=1e5, turns=100.0, updates=2, micro_batch=1000, context=10)
    twice = Work(2, "step", trained=2e6, written=2e5, turns=200.0, updates=4, micro_batch=1000, context=10)
    assert seconds(zero, twice, SIZES, 1e9) == pytest.approx(2 * seconds(zero, once, SIZES, 1e9))
    slow, fast = (seconds(zero, once, SIZES, rate) for rate in (1e9, 1e15))
    products = SIZES.flops(10) / 1e9 * (3 * 1e6 / TRAINING + 1e5 / DECODING)
    assert slow - fast == pytest.approx(products, rel=1e-4)
    assert measured_rate(16, 1, budget=0.01) > 1e6


def test_a_stage_that_ran_before_is_taken_by_its_own_seconds(tmp_path: Path) -> None:
    made = recipe()
    old = Run(tmp_path / "old")
    old.begin("t", 0)
    stage = old.stage("zero")
    settings = recipe(steps=3).stages["zero"].settings
    stage.write(status="done", config=settings, memory={"before": 1e8, "peak": 7e8})
    for step in range(3):
        stage.log({"step": step, "seconds": 2.0 + step})
    found = {e.name: e for e in estimate(made, Run(tmp_path / "new"), plan(made, tmp_path / "new"))}
    assert (found["zero"].seconds, found["zero"].how, found["zero"].bytes) == (30.0, "measured before", 7e8)
    assert found["base"].how == found["after"].how == "counted"
    stage.write(memory=None)
    again = {e.name: e for e in estimate(made, Run(tmp_path / "new"), plan(made, tmp_path / "new"))}
    assert again["zero"].bytes == sum(again["zero"].terms.values())
    stage.write(config={**settings, "prompts": 5})
    other = {e.name: e for e in estimate(made, Run(tmp_path / "new"), plan(made, tmp_path / "new"))}
    assert other["zero"].how == "counted"
    assert machine()["cores"] == old.read()["machine"]["cores"]
    assert total_words(list(found.values())).startswith("in all about ")


def test_words() -> None:
    assert [about(s) for s in (0.2, 42, 100, 3700)] == ["about 1 s", "about 42 s", "about 2 min", "about 1 h 2 min"]


MEASURE = """
import json, resource, sys
from pathlib import Path
sys.argv[1:] = ["run", sys.argv[1], "--out", sys.argv[2], "--quiet"]
from mull.cli.main import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_the_memory_of_a_real_run_is_of_that_order(tmp_path: Path) -> None:
    wide = {"hidden": 256, "layers": 4, "heads": 4, "kv_heads": 2, "feed_forward": 1024}
    text = f'name = "t"\nthreads = 1\n[stages.base]\nkind = "pretrain"\ndocuments = 300\nmodel = {toml(wide)}\n'
    (tmp_path / "r.toml").write_text(text.replace("documents = 300", "documents = 60"))
    base = {"kind": "pretrain", "documents": 60, "model": wide}
    made = parse_recipe({"name": "t", "threads": 1, "stages": {"base": base}})
    [told] = estimate(made, Run(tmp_path / "run"), plan(made, tmp_path / "run"))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "r.toml"), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.bytes and 0.5 < told.bytes / int(done.stdout.split()[-1]) < 2


def toml(table: dict[str, int]) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }"
