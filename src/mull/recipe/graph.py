"""Stages as a graph: what each builds on, in which order they can run, and the fingerprint of what decides a result.

A fingerprint covers the kind's code version, the configuration, the seed, the threads, the fingerprints of the stages
it builds on, and the bytes of the files and directories from outside (models, problems). Left out on purpose: what is
known by a name alone (a hub's models and data sets), and the versions of libraries, which `run.json` records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.config import Config, decisive
from mull.core.errors import UserError
from mull.core.files import sha256_directory, sha256_file
from mull.recipe.kind import StageKind
from mull.tasks.registry import parse_spec
from mull.verify.own import own_file

FILES = ("data", "test")
REFERENCES = ("init", "model", "teacher")
"""Keys that name a model: a stage that makes one, or one from outside. The entries of `data` name traces or steps
likewise, and the reward's `models` and `process.model` scores."""

JUDGE = "keep.judge.model"
"""The model that a `sample` stage asks whether an answer is right."""


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe. `needs` maps a reference key to the stage it names.

    Example: `recipe.stages["zero"].needs == {"init": "base"}`
    """

    name: str
    kind: StageKind
    config: Config
    needs: dict[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        """The whole configuration as plain values, defaults included."""
        return self.config.model_dump(mode="json")

    @property
    def essence(self) -> dict[str, Any]:
        """The settings that decide a result."""
        return decisive(self.settings, self.config)

    @property
    def references(self) -> dict[str, str]:
        """Reference key → what it names: a stage, a model, a file of conversations."""
        return references(self.config)


def references(config: Config) -> dict[str, str]:
    """What a stage's configuration names: `init`, `model`, `teacher`; `data.1`, `data.2`, …, `test.1`, …;
    `process.model`, `reward.models.NAME` and `keep.judge.model`."""
    found = {key: _value(config, key) for key in (*REFERENCES, "process.model", JUDGE)}
    data = {
        f"{kind}.{number}": str(getattr(spec, "source", spec))
        for kind in FILES
        for number, spec in enumerate(getattr(config, kind, ()), 1)
    }
    judges = getattr(getattr(config, "reward", None), "models", {})
    scores = {f"reward.models.{name}": use.model for name, use in judges.items()}
    return {key: value for key, value in found.items() if isinstance(value, str)} | data | scores


def wanted(stage: Stage, key: str) -> str:
    """What the stage that a reference key names must make."""
    return "model" if key in (*REFERENCES, JUDGE) else stage.kind.reads if key.partition(".")[0] in FILES else "score"


def _value(config: Config, key: str) -> Any:
    """What stands at a dotted key, None where nothing does."""
    found: Any = config
    for part in key.split("."):
        found = getattr(found, part, None)
    return found


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; `stages` are in an order in which they can run. Example: `read_recipe(Path("zero.toml"))`"""

    name: str
    seed: int
    threads: int
    stages: dict[str, Stage]


@dataclass(frozen=True)
class Origin:
    """What a stage's result comes from: its fingerprint, and its inputs (reference key or path → fingerprint or hash).

    Example: `origins(recipe)["zero"].inputs == {"init": "5f0c…"}`
    """

    fingerprint: str
    inputs: dict[str, str]


def in_order(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """Stages after what they need, else in the order given.

    Raises:
        UserError: stages need each other, or one that does not make what is needed.
    """
    ordered: dict[str, Stage] = {}
    while len(ordered) < len(stages):
        ready = [s for s in stages.values() if s.name not in ordered and set(s.needs.values()) <= set(ordered)]
        if not ready:
            left = ", ".join(name for name in stages if name not in ordered)
            raise UserError(f"stages {left} need each other: break the circle of init, model and data")
        ordered[ready[0].name] = ready[0]
    for stage in ordered.values():
        for key, needed in stage.needs.items():
            makes = wanted(stage, key)
            if stages[needed].kind.makes != makes:
                raise UserError(f"stages.{stage.name}.{key}: stage {needed!r} makes no {makes}; name one that does")
    return ordered


def origins(recipe: Recipe) -> dict[str, Origin]:
    """Stage → what decides its result; reads every file from outside."""
    found: dict[str, Origin] = {}
    for stage in recipe.stages.values():
        inputs = {key: found[name].fingerprint for key, name in stage.needs.items()} | outside(stage)
        essence = [stage.kind.version, stage.essence, recipe.seed, recipe.threads, inputs]
        digest = hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()
        found[stage.name] = Origin(digest, inputs)
    return found


def outside(stage: Stage) -> dict[str, str]:
    """Path → SHA-256 of the files and directories from outside that a stage reads.

    Raises:
        UserError: one of them cannot be read.
    """
    named = {key: name for key, name in stage.references.items() if key not in stage.needs}
    models = [name for key, name in named.items() if key.partition(".")[0] not in FILES]
    watched = getattr(getattr(stage.config, "monitor", None), "tasks", ())
    tasks = (*getattr(stage.config, "tasks", ()), *watched)
    benchmarks = [parse_spec(text).source for spec in tasks for text in getattr(spec, "decontaminate", ())]
    data = [*(getattr(spec, "source", "") for spec in tasks), *benchmarks]
    verifiers = [own_file(getattr(spec, "verifier", "")) for spec in tasks]
    paths = {text: Path(text).expanduser() for text in [*named.values(), *data, *verifiers] if text}
    try:
        files = {text: sha256_file(path) for text, path in paths.items() if path.is_file()}
        return files | {
            text: sha256_directory(path) for text, path in paths.items() if path.is_dir() and text in models
        }
    except OSError as error:
        raise UserError(f"stages.{stage.name}: {error.filename}: cannot be read ({error.strerror})") from None


def first_difference(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> str:
    """`"steps (60, now 50)"`: the first key in which two configurations differ; "" when they agree."""
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                return first_difference(old[key], new[key], f"{path}{key}.")
            return f"{path}{key} ({old.get(key)!r}, now {new.get(key)!r})"
    return ""
