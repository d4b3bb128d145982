"""Fingerprints change with everything that decides a result, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.config import Config
from mull.core.errors import UserError
from mull.recipe.graph import Recipe, Stage, first_difference, in_order, origins
from mull.recipe.kind import StageKind
from mull.verify.own import own_file


class Spec(Config):
    source: str
    decontaminate: tuple[str, ...] = ()
    verifier: str = ""


class SomeConfig(Config):
    kind: Literal["some"] = "some"
    init: str | None = None
    steps: int = 1
    tasks: tuple[Spec, ...] = ()


KIND = StageKind(SomeConfig, lambda context: {}, lambda config, where, inner: None, makes="model")


def stage(name: str, init: str | None = None, needs: dict[str, str] | None = None, **values: Any) -> Stage:
    inner = {"init": init} if init and needs is None else needs or {}
    return Stage(name, KIND, SomeConfig(init=init, **values), inner)


def recipe(*stages: Stage, seed: int = 0, threads: int = 1) -> Recipe:
    return Recipe("x", seed, threads, {each.name: each for each in stages})


def prints(*stages: Stage, **values: int) -> dict[str, str]:
    return {name: origin.fingerprint for name, origin in origins(recipe(*stages, **values)).items()}


def changed(old: dict[str, str], new: dict[str, str]) -> set[str]:
    return {name for name in old if old[name] != new[name]}


def test_a_change_reaches_what_builds_on_it() -> None:
    a, b, c, d = stage("a"), stage("b", "a"), stage("c", "b"), stage("d", "a")
    old = prints(a, b, c, d)
    assert old == prints(a, b, c, d)
    assert changed(old, prints(a, stage("b", "a", steps=2), c, d)) == {"b", "c"}
    assert changed(old, prints(stage("a", steps=2), b, c, d)) == {"a", "b", "c", "d"}
    assert changed(old, prints(a, b, c, d, seed=1)) == {"a", "b", "c", "d"}
    assert changed(old, prints(a, b, c, d, threads=2)) == {"a", "b", "c", "d"}
    newer = replace(d, kind=replace(KIND, version="2"))
    assert changed(old, prints(a, b, c, newer)) == {"d"}


def test_the_bytes_of_what_lies_outside_count(tmp_path: Path) -> None:
    model, data = tmp_path / "model", tmp_path / "rows.jsonl"
    model.mkdir()
    (model / "weights").write_text("1")
    data.write_text("a")
    made = stage("a", str(model), needs={}, tasks=({"source": str(data)}, {"source": "countdown"}))
    old = prints(made)
    assert set(origins(recipe(made))["a"].inputs) == {str(model), str(data)}
    (model / "weights").write_text("2")
    after_model = prints(made)
    assert changed(old, after_model) == {"a"}
    data.write_text("b")
    assert changed(after_model, prints(made)) == {"a"}
    (model / "weights").write_text("1")
    data.write_text("a")
    assert prints(made) == old


def test_the_bytes_of_a_verifier_of_ones_own_count(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def reward(text, data): return True")
    made = stage("a", tasks=({"source": "countdown", "verifier": f"python:{own}:reward"},))
    old = prints(made)
    own.write_text("def reward(text, data): return False")
    assert changed(old, prints(made)) == {"a"}
    assert own_file("python:math:gcd") == own_file("math") == own_file("") == ""


@given(st.data())
def test_every_stage_comes_after_what_it_needs(data: st.DataObject) -> None:
    names = [f"s{i}" for i in range(data.draw(st.integers(1, 8)))]
    stages = {
        name: stage(name, data.draw(st.sampled_from(names[:i])) if i and data.draw(st.booleans()) else None)
        for i, name in enumerate(names)
    }
    shuffled = data.draw(st.permutations(names))
    ordered = list(in_order({name: stages[name] for name in shuffled}))
    assert sorted(ordered) == sorted(names)
    for name in names:
        assert all(ordered.index(needed) < ordered.index(name) for needed in stages[name].needs.values())
    assert list(in_order({name: stages[name] for name in ordered})) == ordered


def test_the_bytes_of_a_benchmark_count_too(tmp_path: Path) -> None:
    data, bench = tmp_path / "rows.jsonl", tmp_path / "test.jsonl"
    data.write_text("a")
    bench.write_text("b")
    made = stage("a", tasks=({"source": str(data), "decontaminate": (f"{bench}:test?preset=gsm8k",)},))
    old = prints(made)
    assert set(origins(recipe(made))["a"].inputs) == {str(data), str(bench)}
    bench.write_text("c")
    assert changed(old, prints(made)) == {"a"}


def test_a_circle_is_named() -> None:
    stages = {s.name: s for s in (stage("a"), stage("b", "c"), stage("c", "b"))}
    with pytest.raises(UserError, match="stages b, c need each other"):
        in_order(stages)


def test_the_first_difference_is_named() -> None:
    old = {"a": 1, "optim": {"lr": 0.1, "name": "adamw"}, "z": 1}
    assert first_difference(old, {**old, "z": 2}) == "z (1, now 2)"
    assert first_difference(old, {**old, "optim": {"lr": 0.2, "name": "adamw"}}) == "optim.lr (0.1, now 0.2)"
    assert first_difference(old, {**old, "new": True}) == "new (None, now True)"
    assert first_difference(old, {**old, "optim": None}).startswith("optim ({")
    assert first_difference(old, dict(old)) == ""
