"""A recipe with every kind of stage, small enough to be run, killed and run again; and how it is run as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mull.core.files import sha256_directory, sha256_file
from mull.core.run import Run

RECIPE = """name = "every-kind"
seed = 3
threads = 1

[stages.base]
kind = "pretrain"
documents = 60
batch_tokens = 256
checkpoint_every = 2
model = { hidden = 16, layers = 1, heads = 2, kv_heads = 1, feed_forward = 32 }

[stages.base_measured]
kind = "evaluate"
model = "base"
tasks = [{ source = "countdown_mod", split = "test", limit = 6 }]
samples = 2
max_tokens = 12
chunk = 2

[stages.zero]
kind = "rl"
init = "base"
tasks = ["countdown_mod:train", "chain_mod:train"]
algorithm = { name = "dapo", minibatches = 2 }
steps = 4
prompts = 2
group_size = 4
checkpoint_every = 2
reward = { format = "additive", format_weight = 0.5, overlong_buffer = 6 }
sampling = { max_tokens = 16 }
optim = { lr = 1e-3 }

[stages.chains]
kind = "sample"
model = "zero"
tasks = [{ source = "chain_mod", split = "train", limit = 8 }]
samples = 4
max_tokens = 16
chunk = 2
keep = { verdict = "any", well_formed = false, finished = false, per_problem = 2 }

[stages.cold]
kind = "sft"
init = "base"
data = ["chains"]
epochs = 2
batch_tokens = 64
checkpoint_every = 2
optim = { name = "muon", lr = 2e-3 }

[stages.taught]
kind = "distil"
init = "base"
teacher = "cold"
tasks = ["countdown_mod:train"]
steps = 4
prompts = 2
samples = 2
sampling = { max_tokens = 12 }
checkpoint_every = 2

[stages.taste]
kind = "reward_model"
init = "base"
data = ["PAIRS"]
epochs = 2
batch = 4
held_out = 0.2
checkpoint_every = 2
judged = "whole"
optim = { lr = 1e-3 }

[stages.critic]
kind = "ppo"
init = "cold"
tasks = ["countdown_mod:train"]
steps = 4
prompts = 2
group_size = 2
checkpoint_every = 2
reward = { format = "additive", format_weight = 0.5, overlong_buffer = 6 }
sampling = { max_tokens = 12 }
"""
TRAINED = {"base", "zero", "cold", "taught", "taste", "critic"}


def write_recipe(folder: Path) -> Path:
    """The recipe and its file of pairs in `folder`."""
    pairs = [
        {
            "prompt": f"{(7 * i) % 11} {i % 11} + compute",
            "chosen": f"<think> {i % 11} </think> <answer> {i % 11} </answer>",
            "rejected": f"<answer> {i % 7} </answer>",
        }
        for i in range(12)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    recipe = folder / "every-kind.toml"
    recipe.write_text(RECIPE.replace("PAIRS", str(folder / "pairs.jsonl")))
    return recipe


def start(recipe: Path, out: Path, *more: str, wrapper: str = "") -> subprocess.Popen[str]:
    """`python -m mull run` as a process of its own; `wrapper` is Python that is run in it before."""
    program = ["-c", wrapper] if wrapper else ["-m", "mull"]
    command = [sys.executable, *program, "run", str(recipe), "--out", str(out), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(recipe: Path, out: Path, *more: str, wrapper: str = "") -> str:
    """Run to the end; returns what was said on stderr."""
    process = start(recipe, out, *more, wrapper=wrapper)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return said


def state(out: Path) -> dict[str, object]:
    """Everything that must not depend on interruptions: what was made, every step and sample in its order."""
    run = Run(out)
    found: dict[str, object] = {}
    for name in run.stages:
        stage, record = run.stage(name), run.stage(name).read()
        assert record["status"] == "done", name
        found[f"{name} hashes"] = record["hashes"]
        found[f"{name} rows"] = [
            {k: v for k, v in row.items() if k not in ("seconds", "peak_memory")} for row in stage.metrics()
        ]
        rows = [row for step in stage.rollout_steps() for row in stage.read_rollouts(step)]
        found[f"{name} samples"] = [(r["step"], r["draw"], r["sample"], r["token_ids"], r["logprobs"]) for r in rows]
        if name in TRAINED:
            assert record["hashes"] == {next(iter(record["hashes"])): sha256_directory(stage.model)}
    found["traces"] = sha256_file(run.stage("chains").traces)
    found["critic's critic"] = sha256_directory(run.stage("critic").path / "critic")
    return found


def refuse_doubles(out: Path) -> None:
    """Every step and every sample is recorded once, in order, and nothing half-written is left."""
    run = Run(out)
    for name in run.stages:
        stage = run.stage(name)
        steps = [row["step"] for row in stage.metrics()]
        assert steps == list(range(len(steps))) and bool(steps) == (name in TRAINED), name
        samples = [(r["step"], r["draw"], r["sample"]) for s in stage.rollout_steps() for r in stage.read_rollouts(s)]
        assert len(samples) == len(set(samples)), name
    left = [str(path) for path in out.rglob("*") if path.suffix in (".part", ".old")]
    assert not left, left
