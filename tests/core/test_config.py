"""Configuration: the nearest key is named, overrides reach any table, and nothing given is changed."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from mull.core.config import Config, apply_overrides, parse_config, read_toml
from mull.core.errors import UserError, nearest


class Inner(Config):
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=8, ge=1)


class Outer(Config):
    steps: int
    seed: int = 0
    sampling: Inner = Inner()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stpes": 3, "steps": 1}, "stages.zero.stpes: unknown key; did you mean 'steps'?"),
        ({"steps": 1, "sampling": {"temprature": 1}}, "sampling.temprature: unknown key; did you mean 'temperature'?"),
        ({"steps": 1, "xyzzy": 1}, "unknown key; known: sampling, seed, steps"),
        ({}, "stages.zero.steps: this key is required"),
        ({"steps": "many"}, r"stages.zero.steps: .*integer.*\(got 'many'\)"),
        ({"steps": 1, "sampling": {"temperature": 0}}, r"sampling.temperature: .*greater than 0 \(got 0\)"),
        ({"steps": 1, "sampling": {"temperature": float("nan")}}, r"sampling.temperature: .*finite"),
        ({"steps": 1, "sampling": 3}, r"stages.zero.sampling: "),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_config(Outer, values, "stages.zero")
    assert "\n" not in str(caught.value)


def test_a_configuration_cannot_be_changed() -> None:
    config = parse_config(Outer, {"steps": 3, "sampling": {"max_tokens": 2}}, "x")
    assert config == Outer(steps=3, sampling=Inner(max_tokens=2))
    with pytest.raises(ValueError, match="frozen"):
        config.steps = 4


def test_nearest_with_nothing_known() -> None:
    assert nearest("steps", []) == ""


def test_overrides_make_tables_and_read_toml_values() -> None:
    values = {"seed": 0, "stages": {"zero": {"steps": 1, "tasks": ["a:train"]}}}
    before = copy.deepcopy(values)
    got = apply_overrides(
        values,
        [
            "stages.zero.steps = 7",
            "stages.zero.optim.lr=3e-4",
            "stages.zero.init=runs/a=b/model",
            'stages.zero.tasks=["b:train", "c:train"]',
            "stages.zero.quick=true",
            'name="7"',
            "seed=1",
            "seed=2",
        ],
    )
    assert got == {
        "seed": 2,
        "name": "7",
        "stages": {
            "zero": {
                "steps": 7,
                "optim": {"lr": 3e-4},
                "init": "runs/a=b/model",
                "tasks": ["b:train", "c:train"],
                "quick": True,
            }
        },
    }
    assert values == before


@pytest.mark.parametrize(
    ("override", "message"),
    [("steps", "write it as"), ("=3", "write it as"), ("seed.a=1", "'seed' is a value, not a table")],
)
def test_a_wrong_override_is_the_users(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        apply_overrides({"seed": 0}, [override])


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False), st.text("abc_", min_size=1))
def test_any_number_survives_an_override(value: float, key: str) -> None:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    got = apply_overrides({}, [f"x.{key}={text}"])["x"][key]
    assert got == value
    assert type(got) is type(value)


def test_toml_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(UserError, match="cannot be read"):
        read_toml(tmp_path)
    (tmp_path / "bad.toml").write_text("name = [")
    with pytest.raises(UserError, match="not valid TOML"):
        read_toml(tmp_path / "bad.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(UserError, match="cannot be read"):
        read_toml(tmp_path / "latin.toml")
    (tmp_path / "good.toml").write_text('name = "é"\n[stages.a]\nsteps = 3\n', encoding="utf-8")
    assert read_toml(tmp_path / "good.toml") == {"name": "é", "stages": {"a": {"steps": 3}}}
