"""From a model back to every input: which stages made it, from what, by the records that a run leaves.

    stage ─ made (hash) ─ built on ─► stage … ─► files and directories from outside (hash), names of a hub

An input that is a model of another run is followed there as long as its bytes are the ones that were read. Left out on
purpose: hashing anything again (`mull run` does, before it builds on a model).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mull.core.errors import UserError, nearest
from mull.core.files import read_json
from mull.core.run import Run
from mull.recipe.graph import REFERENCES


@dataclass(frozen=True)
class Ancestor:
    """A stage with all that it came from, or an input from outside (`kind` is "" there).

    `role` is what it is to the stage that reads it (init, data.1, …), `digest` the SHA-256 of what was read or made, ""
    for what is known by its name alone.

    Example: `Ancestor("init", "base", "pretrain", "5f0c…", "runs/a", ())`
    """

    role: str
    name: str
    kind: str
    digest: str
    run: str
    inputs: tuple[Ancestor, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The node for `mull lineage --json`."""
        return asdict(self)


def lineage(target: str) -> list[Ancestor]:
    """The ancestry of a stage's model or files, of `RUN:STAGE`, or of every stage of a run on which none builds.

    Raises:
        UserError: the target belongs to no run, or the run has no such stage.
    """
    place, _, named = target.rpartition(":") if not Path(target).exists() else (target, "", "")
    path = Path(place or target).expanduser().resolve()
    for folder in (path, *path.parents):
        if (folder / "stage.json").is_file() and not named:
            return [_stage(Run(folder.parents[1]), folder.name, "")]
        if (folder / "run.json").is_file():
            run = Run(folder)
            if named and named not in run.stages:
                raise UserError(f"{folder}: no stage {named!r}{nearest(named, run.stages)}")
            return [_stage(run, name, "") for name in ([named] if named else _last(run))]
    raise UserError(f"{target}: belongs to no run; name a run, RUN:STAGE, or a model directory inside a run")


def _last(run: Run) -> list[str]:
    """Stages on which no other builds."""
    used = {one.name for name in run.stages for one in _stage(run, name, "").inputs if one.kind}
    return [name for name in run.stages if name not in used]


def _stage(run: Run, name: str, role: str) -> Ancestor:
    record = run.stage(name).read()
    config, inputs = record.get("config", {}), record.get("inputs")
    if inputs is None:  # a run of before stages recorded them
        file = run.path / "lineage.json"
        inputs = (read_json(file) if file.exists() else {}).get(name, {}).get("inputs", {})
    found, left = [], dict(inputs)
    for key, source in _named(config).items():
        if left.pop(key, None) is not None:
            found.append(_stage(run, source, key))
        else:
            found.append(_outside(key, source, left.pop(source, "")))
    found += [_outside("read", path, digest) for path, digest in left.items()]
    digest = next(iter(record.get("hashes", {}).values()), "")
    return Ancestor(role, name, record.get("kind", "?"), digest, str(run.path), tuple(found))


def _named(config: dict[str, Any]) -> dict[str, str]:
    """Reference key → what it names, as `graph.references` has it for a configuration that is still an object."""
    found = {key: config[key] for key in REFERENCES if isinstance(config.get(key), str) and config[key]}
    for key in ("process.model", "keep.judge.model"):
        inner: Any = config
        for part in key.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        found |= {key: inner} if isinstance(inner, str) else {}
    judges = ((config.get("reward") or {}).get("models") or {}).items()
    found |= {f"reward.models.{name}": str(use["model"]) for name, use in judges}
    for kind in ("data", "test"):
        named = enumerate(config.get(kind) or (), 1)
        found |= {f"{kind}.{i}": str(one.get("source")) if isinstance(one, dict) else str(one) for i, one in named}
    return found


def _outside(role: str, source: str, digest: str) -> Ancestor:
    """A file or directory; where it is what a stage of another run made, that stage."""
    folder = Path(source).expanduser().resolve().parent
    if digest and (folder / "stage.json").is_file():
        other = _stage(Run(folder.parents[1]), folder.name, role)
        if other.digest == digest:
            return other
    return Ancestor(role, source, "", digest, "")


def lines(ancestors: list[Ancestor], depth: int = 0) -> list[str]:
    """A tree for a person: a line a stage or input, what it came from below it, indented."""
    found = []
    for one in ancestors:
        role = f"{one.role}: " if one.role else ""
        kind = f" ({one.kind})" if one.kind else ""
        place = f" in {one.run}" if one.run and not depth else ""
        digest = f"  sha256 {one.digest[:16]}" if one.digest else "" if one.kind else "  by its name alone"
        found.append(f"{'    ' * depth}{role}{one.name}{kind}{place}{digest}")
        found += lines(list(one.inputs), depth + 1)
    return found
