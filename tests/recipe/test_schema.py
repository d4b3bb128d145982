"""A recipe is checked whole before anything runs; every mistake is one line that names its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.recipe.schema import complete, parse_recipe, read_recipe

BASE = {"kind": "pretrain", "documents": 50}
ZERO = {"kind": "rl", "init": "base", "tasks": ["countdown_mod:train"], "group_size": 4}
YOUR_DATA = {"gsm8k.toml": "data/gsm8k/train.jsonl", "r1-qwen.toml": "data/math/train.jsonl",
             "r1-smol.toml": "data/general.jsonl", "reward-smollm2.toml": "data/pairs.jsonl"}  # fmt: skip
"""Recipes whose data are the user's, and the file that stands for them."""
AFTER = {"kind": "evaluate", "model": "zero", "tasks": ["chain_mod:dev"]}


def tables(**stages: Any) -> dict[str, Any]:
    return {"name": "small", "stages": stages}


def test_references_make_the_graph() -> None:
    recipe = parse_recipe(tables(after=AFTER, zero=ZERO, base=BASE))
    assert list(recipe.stages) == ["base", "zero", "after"]
    assert recipe.stages["zero"].needs == {"init": "base"}
    assert recipe.stages["after"].needs == {"model": "zero"}
    assert recipe.stages["base"].needs == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": {"base": BASE}}, "recipe.name: this key is required"),
        ({"name": "a b", "stages": {"base": BASE}}, "recipe.name"),
        ({"name": "../x", "stages": {"base": BASE}}, "recipe.name"),
        ({"name": "x"}, "recipe.stages: this key is required"),
        ({"name": "x", "stages": {}}, "recipe.stages"),
        ({"name": "x", "stages": {"base": 3}}, "recipe.stages.base"),
        ({"name": "x", "seeds": 1, "stages": {"base": BASE}}, "recipe.seeds: unknown key; did you mean 'seed'"),
        ({"name": "x", "seed": -1, "stages": {"base": BASE}}, "recipe.seed: .*greater than or equal to 0"),
        ({"name": "x", "threads": 0, "stages": {"base": BASE}}, "recipe.threads"),
        (tables(**{"my stage": BASE}), "a stage's name is letters"),
        (tables(**{"../base": BASE}), "a stage's name is letters"),
        (
            tables(base={"documents": 3}),
            "stages.base.kind: this key is required; known: distil, evaluate, label_steps, ppo, pretrain, prm, ",
        ),
        (tables(base={"kind": "pretrian"}), "unknown kind 'pretrian'; did you mean 'pretrain'"),
        (tables(base={"kind": 3}), "stages.base.kind: unknown kind 3"),
        (tables(base=BASE, zero={**ZERO, "init": "zero"}), "zero need each other"),
        (tables(a={**ZERO, "init": "b"}, b={**ZERO, "init": "a"}), "stages a, b need each other"),
        (tables(base=BASE, e={**AFTER, "model": "base"}, zero={**ZERO, "init": "e"}), "'e' makes no model"),
        (
            tables(base=BASE, zero={**ZERO, "reward": {"models": {"good": {"model": "base"}}}}),
            r"stages\.zero\.reward\.models\.good: stage 'base' makes no score",
        ),
        (
            tables(base=BASE, zero={**ZERO, "reward": {"models": {"good": {"model": "nowhere"}}}}),
            r"stages\.zero\.reward\.models\.good: nowhere: no model directory",
        ),
        (
            tables(base=BASE, zero={**ZERO, "monitor": {"tasks": ["chain_mod:devel"]}}),
            r"stages\.zero\.monitor\.tasks: chain_mod: no split 'devel'",
        ),
        (tables(base=BASE, zero={**ZERO, "sampling": {"temprature": 1}}), "zero.sampling.temprature.*'temperature'"),
        (tables(base=BASE, zero={**ZERO, "tasks": []}), "stages.zero.tasks"),
        (tables(base=BASE, zero={**ZERO, "tasks": ["absent.jsonl"]}), "stages.zero.tasks: .*absent.jsonl"),
        (tables(base=BASE, zero={**ZERO, "init": "./absent"}), "stages.zero.init: .*absent"),
    ],
)
def test_a_mistake_is_one_line_that_names_its_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_recipe(values)
    assert "\n" not in str(caught.value)


def test_a_reference_that_is_nearly_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="stages.zero.init: bsae.*or did you mean the stage 'base'"):
        parse_recipe(tables(base=BASE, zero={**ZERO, "init": "bsae"}))
    with pytest.raises(UserError, match="xyzzy") as caught:
        parse_recipe(tables(base=BASE, zero={**ZERO, "init": "xyzzy"}))
    assert "did you mean" not in str(caught.value)


def test_overrides_reach_stages_by_their_name(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('name = "small"\n[stages.base]\nkind = "pretrain"\n')
    recipe = read_recipe(path, ["base.documents=70", "stages.base.optim.lr=1e-3", "seed=5", "name=big"])
    assert (recipe.name, recipe.seed) == ("big", 5)
    assert recipe.stages["base"].settings["documents"] == 70
    assert recipe.stages["base"].settings["optim"]["lr"] == 1e-3
    with pytest.raises(UserError, match="stages.base.docs: unknown key"):
        read_recipe(path, ["base.docs=3"])
    with pytest.raises(UserError, match="recipe|small.toml"):
        read_recipe(path, ["sede=3"])


@pytest.mark.parametrize("override", ["bsae.documents=3", "stages.bsae.documents=3", " bsae . documents = 3"])
def test_an_override_of_no_stage_names_the_nearest(override: str) -> None:
    with pytest.raises(UserError, match="no stage 'bsae'; did you mean 'base'"):
        complete(tables(base=BASE), [override])


def test_the_recipes_that_come_with_mull_are_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mull.recipe.kind.check_source", lambda source: None)
    folder = Path(__file__).parents[2] / "recipes"
    for path in sorted(folder.glob("*.toml")):
        if path.name in YOUR_DATA:
            with pytest.raises(UserError, match=f"{YOUR_DATA[path.name]}: no such file"):
                read_recipe(path)
        else:
            assert read_recipe(path).stages, path
