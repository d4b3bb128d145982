"""A recipe: a TOML file of named stages. Read, checked whole, and only then run.

A stage's `init` or `model` that names another stage makes the graph; anything else there is a model to load. Unknown
keys, kinds and references are errors before anything is written. Left out on purpose: includes and conditions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from mull.core.config import Config, apply_overrides, parse_config, read_toml
from mull.core.errors import UserError, nearest
from mull.recipe.stages import KINDS, StageKind

REFERENCES = ("init", "model")


class RecipeHead(Config):
    """What a recipe says of itself."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0, lt=2**31)
    threads: int = Field(default=2, ge=1, description="CPU threads of torch; results are exact for one number of them")
    stages: dict[str, dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe. `needs` maps a reference key to the stage it names.

    Example: `recipe.stages["zero"].needs == {"init": "base"}`
    """

    name: str
    kind: StageKind
    config: Config
    needs: dict[str, str]


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; `stages` are in an order in which they can run. Example: `read_recipe(Path("zero.toml"))`"""

    name: str
    seed: int
    threads: int
    stages: dict[str, Stage]


def read_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe of a file with `--set` overrides applied, checked whole, tasks and models included.

    Raises:
        UserError: one line that names what is wrong and how to mend it.
    """
    return parse_recipe(apply_overrides(read_toml(path), overrides), str(path))


def parse_recipe(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """A recipe from its tables.

    Raises:
        UserError: an unknown key or kind, a value out of range, a reference to nothing, or stages that need each other.
    """
    head = parse_config(RecipeHead, values, where)
    stages = {name: _stage(name, table, set(head.stages)) for name, table in head.stages.items()}
    ordered = _in_order(stages)
    for stage in ordered.values():
        stage.kind.check(stage.config, f"stages.{stage.name}", frozenset(stage.needs))
    return Recipe(head.name, head.seed, head.threads, ordered)


def _stage(name: str, table: dict[str, Any], known: set[str]) -> Stage:
    where = f"stages.{name}"
    if not name.replace("-", "_").isidentifier():
        raise UserError(f"{where}: a stage's name is letters, digits, - and _, not starting with a digit")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        said = "this key is required" if kind is None else f"unknown kind {kind!r}"
        raise UserError(f"{where}.kind: {said}{nearest(str(kind), KINDS)}")
    config = parse_config(KINDS[kind].config, table, where)
    needs = {key: getattr(config, key) for key in REFERENCES if getattr(config, key, None) in known}
    return Stage(name, KINDS[kind], config, needs)


def _in_order(stages: dict[str, Stage]) -> dict[str, Stage]:
    """Stages after what they need, else in the order of the file."""
    ordered: dict[str, Stage] = {}
    while len(ordered) < len(stages):
        ready = [s for s in stages.values() if s.name not in ordered and set(s.needs.values()) <= set(ordered)]
        if not ready:
            left = ", ".join(name for name in stages if name not in ordered)
            raise UserError(f"stages {left} need each other: break the circle of init and model")
        ordered[ready[0].name] = ready[0]
    for stage in ordered.values():
        for key, needed in stage.needs.items():
            if not stages[needed].kind.makes_model:
                raise UserError(f"stages.{stage.name}.{key}: stage {needed!r} makes no model; name one that does")
    return ordered
