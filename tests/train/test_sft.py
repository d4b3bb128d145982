"""Supervised fine-tuning: what an epoch goes over, that it learns only marked words, and an exact resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mull.algo.samples import Example
from mull.core.errors import Stopped, UserError
from mull.core.files import sha256_directory
from mull.core.run import Run
from mull.recipe.execute import run_recipe
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe
from mull.train.sft import Source, epoch_of, steps_of

BASE: dict[str, Any] = {
    "kind": "pretrain", "documents": 40,
    "model": {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "feed_forward": 32},
}  # fmt: skip
SFT: dict[str, Any] = {"kind": "sft", "init": "base", "batch_tokens": 64, "epochs": 2, "checkpoint_every": 2}


def recipe(data: list[Any], **more: Any):
    return parse_recipe({"name": "t", "threads": 1, "stages": {"base": BASE, "cold": {**SFT, "data": data, **more}}})


def write(path: Path, rows: int = 12) -> str:
    said = "<think> 3 5 + 8 8 * 9 4 - 5 no </think> <answer> 3 5 + 8 * </answer>"
    lines = [{"prompt": f"{n % 9 + 1} 5 8 make 4", "completion": said} for n in range(rows)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_an_epoch_goes_over_each_source_by_its_weight() -> None:
    many, few = ([Example((k, i), (0.0, 1.0)) for i in range(10)] for k in (1, 2))
    sources = [Source(many, 0.5), Source(few, 2.3)]
    first, second = (epoch_of(sources, 0, epoch) for epoch in (0, 1))
    assert len(first) == len(second) == 5 + 23 and first != second
    assert len({e.tokens for e in first if e.tokens[0] == 1}) == 5
    assert {e.tokens for e in first if e.tokens[0] == 2} == {e.tokens for e in few}
    steps = steps_of(sources, 3, 16, seed=0)
    assert sum(map(len, steps)) == 3 * 28 and steps == steps_of(sources, 3, 16, 0) != steps_of(sources, 3, 16, 1)


def test_it_learns_what_is_marked_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl")
    made = recipe([data], optim={"lr": 1e-2})
    whole = run_recipe(made, tmp_path / "whole", Quiet())["cold"]
    losses = [row["loss"] for row in Run(tmp_path / "whole").stage("cold").metrics()]
    assert whole["steps"] == len(losses) > 5 and losses[-1] < 0.7 * losses[0]
    assert whole["sequences"] == 24 and whole["trained_tokens"] == 24 * 21 and whole["too_long"] == {data: 0}

    class StopsAt(Quiet):
        def update(self, done: int, metrics: dict[str, float]) -> None:
            if "loss" in metrics and self.stage == "cold" and done == 3:
                raise KeyboardInterrupt

        def begin(self, stage: str, total: int, unit: str) -> None:
            self.stage = stage

    with pytest.raises((Stopped, KeyboardInterrupt)):
        run_recipe(made, tmp_path / "cut", StopsAt())
    run_recipe(made, tmp_path / "cut", Quiet())
    hashes = [sha256_directory(Run(tmp_path / name).stage("cold").model) for name in ("whole", "cut")]
    assert hashes[0] == hashes[1]


def test_adapters_are_merged_into_the_layers_that_they_sit_beside(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    write(data)
    run_recipe(recipe([str(data)], lora={"rank": 2}), tmp_path / "run", Quiet())
    before, after = (Run(tmp_path / "run").stage(name).model for name in ("base", "cold"))
    assert {path.name for path in before.iterdir()} == {path.name for path in after.iterdir()}
    one, two = (load_file(path / "model.safetensors") for path in (before, after))
    assert one.keys() == two.keys()
    changed = {name for name in one if not torch.equal(one[name], two[name])}
    assert changed and not any("embed" in name or "norm" in name for name in changed)


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ([{"prompt": "3 5 8 make 4", "completion": "seven"}], {}, "conversation 1: 'seven' is no word"),
        ([{"prompt": "hello", "completion": "4"}], {}, "'hello' is no word"),
        ([{"prompt": "3 5 8 make 4", "completion": "4 " * 30}], {"max_tokens": 20}, "longer than 20 tokens"),
    ],
)
def test_mistakes_that_show_when_the_model_is_there(rows: Any, more: Any, message: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=message):
        run_recipe(recipe([str(file)], **more), tmp_path / "run", Quiet())
    assert not (tmp_path / "run" / "stages" / "cold").exists()


def test_mistakes_that_show_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stages\.cold\.data\.1: .*no such file"):
        recipe([str(tmp_path / "none.jsonl")])
    with pytest.raises(UserError, match=r"stages\.cold\.data\.1: stage 'base' makes no traces"):
        recipe(["base"])


def test_sampled_traces_are_learned_and_are_an_input_of_the_graph(tmp_path: Path) -> None:
    sample = {
        "kind": "sample", "model": "base", "tasks": [{"source": "countdown_mod:train", "limit": 4}], "samples": 2,
        "max_tokens": 12, "keep": {"verdict": "any", "well_formed": False, "finished": False},
    }  # fmt: skip
    stages = {"base": BASE, "said": sample, "cold": {**SFT, "data": [{"source": "said", "weight": 2}]}}
    made = parse_recipe({"name": "t", "threads": 1, "stages": stages})
    assert made.stages["cold"].needs == {"init": "base", "data.1": "said"}
    found = run_recipe(made, tmp_path / "run", Quiet())
    assert found["said"]["kept"] == 8 - found["said"]["dropped"].get("double", 0)
    assert found["cold"]["sequences"] == 2 * 2 * found["said"]["kept"]
    record = Run(tmp_path / "run").stage("said").read()
    assert record["outputs"] == {"traces": "traces.jsonl"} and set(record["hashes"]) == {"traces"}
    (tmp_path / "run" / "stages" / "said" / "traces.jsonl").unlink()
    with pytest.raises(UserError, match="gone, though its stage is done"):
        run_recipe(made, tmp_path / "run", Quiet())
    strict = {**sample, "keep": {"language": 1.0}}
    none = parse_recipe({"name": "t", "threads": 1, "stages": {**stages, "said": strict}})
    with pytest.raises(UserError, match="none of 8 samples was kept"):
        run_recipe(none, tmp_path / "none", Quiet())
