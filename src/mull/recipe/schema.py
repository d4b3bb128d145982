"""A recipe: a TOML file of named stages. Read, checked whole, and only then run.

A stage's `init`, `model` or `data` that names another stage makes the graph; anything else there is to be loaded.
Unknown keys, kinds and references are errors before anything is written. Left out on purpose: includes and conditions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from mull.core.config import Config, apply_overrides, parse_config, read_toml
from mull.core.errors import UserError, nearest
from mull.recipe.graph import Recipe, Stage, in_order, references
from mull.recipe.stages import KINDS, StageKind


class RecipeHead(Config):
    """What a recipe says of itself."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0, lt=2**31)
    threads: int = Field(default=2, ge=1, description="CPU threads of torch; results are exact for one number of them")
    stages: dict[str, dict[str, Any]] = Field(min_length=1)


def read_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe of a file with `--set` overrides applied, checked whole, tasks and models included.

    Raises:
        UserError: one line that names what is wrong and how to mend it.
    """
    values = read_toml(path)
    return parse_recipe(apply_overrides(values, complete(values, overrides)), str(path))


def complete(values: Mapping[str, Any], overrides: Iterable[str]) -> list[str]:
    """STAGE.key=value is what people write; stages.STAGE.key=value is where it lives.

    Raises:
        UserError: an override of a stage that the recipe lacks.
    """
    stages = values.get("stages")
    known = list(stages) if isinstance(stages, dict) else []
    found = []
    for override in overrides:
        key = override.partition("=")[0]
        parts = [part.strip() for part in key.split(".")]
        if parts[0] not in RecipeHead.model_fields and len(parts) > 1:
            override, parts = f"stages.{override}", ["stages", *parts]
        if parts[0] == "stages" and len(parts) > 1 and parts[1] not in known:
            raise UserError(f"--set {key.strip()}: no stage {parts[1]!r}{nearest(parts[1], known)}")
        found.append(override)
    return found


def parse_recipe(values: Mapping[str, Any], where: str = "recipe", kinds: Mapping[str, StageKind] = KINDS) -> Recipe:
    """A recipe from its tables; `kinds` are the kinds of stages there are.

    Raises:
        UserError: an unknown key or kind, a value out of range, a reference to nothing, or stages that need each other.
    """
    head = parse_config(RecipeHead, values, where)
    stages = {name: _stage(name, table, set(head.stages), kinds) for name, table in head.stages.items()}
    ordered = in_order(stages)
    for stage in ordered.values():
        _check(stage, [name for name in stages if name != stage.name])
    return Recipe(head.name, head.seed, head.threads, ordered)


def _stage(name: str, table: dict[str, Any], known: set[str], kinds: Mapping[str, StageKind]) -> Stage:
    where = f"stages.{name}"
    if not name.isascii() or not name.replace("-", "_").isidentifier():
        raise UserError(f"{where}: a stage's name is letters, digits, - and _, not starting with a digit")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        said = "this key is required" if kind is None else f"unknown kind {kind!r}"
        raise UserError(f"{where}.kind: {said}{nearest(str(kind), kinds)}")
    config = parse_config(kinds[kind].config, table, where)
    needs = {key: named for key, named in references(config).items() if named in known}
    return Stage(name, kinds[kind], config, needs)


def _check(stage: Stage, others: list[str]) -> None:
    """What the kind checks; where a model is not found whose name is nearly a stage's, that stage is named."""
    try:
        stage.kind.check(stage.config, f"stages.{stage.name}", frozenset(stage.needs))
    except UserError as error:
        for key, name in stage.references.items():
            close = difflib.get_close_matches(name, others, n=1)
            if close and key not in stage.needs and name in str(error):
                raise UserError(f"{error}; or did you mean the stage {close[0]!r}?") from None
        raise
