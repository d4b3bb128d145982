"""What `mull run` would do, without doing it: the graph, what is done already, what goes on, what runs anew.

Where a stage costs money, its most is told. Left out on purpose: how long it will take and how much memory
(`estimate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mull.core.run import Run
from mull.recipe.execute import chosen_stages, is_same, redone_stages, refuse_changes, refuse_foreign
from mull.recipe.graph import Recipe, origins

Outlook = Literal["done", "goes on", "runs", "runs again", "left out"]


@dataclass(frozen=True)
class Planned:
    """One stage. `needs` are the stages it builds on, `at` the step after which it goes on.

    Example: `Planned("zero", "rl", ("base",), "goes on", at=40)`
    """

    name: str
    kind: str
    needs: tuple[str, ...]
    outlook: Outlook
    at: int | None = None
    notes: tuple[str, ...] = ()
    """What it will take at most, and what is missing for it here."""

    def to_json(self) -> dict[str, Any]:
        """The row for `mull run --dry-run --json`."""
        return asdict(self)

    @property
    def words(self) -> str:
        """The outlook for a person."""
        return {
            "done": "done, is not run again",
            "goes on": f"goes on after step {self.at}" if self.at else "goes on from its beginning",
            "runs": "runs",
            "runs again": "runs again, what it made before is replaced",
            "left out": "left out by --until",
        }[self.outlook]


def plan(recipe: Recipe, out: Path, from_: str | None = None, until: str | None = None) -> list[Planned]:
    """What `run_recipe` would do now; nothing is written.

    Raises:
        UserError: an unknown stage, or results in `out` that this recipe would not give.
    """
    chosen = {stage.name for stage in chosen_stages(recipe, from_, until)}
    refuse_foreign(out)
    sources, run = origins(recipe), Run(out)
    redone = redone_stages(recipe, run, sources, from_)
    refuse_changes(recipe, run, sources, redone)
    found = []
    for stage in recipe.stages.values():
        directory = run.stage(stage.name)
        again = stage.name in redone and (directory.path / "stage.json").exists()
        record = {} if again else directory.read()
        checkpoint = directory.latest_checkpoint()
        outlook: Outlook = "runs"
        if again:
            outlook = "runs again"
        elif record.get("status") == "done" and is_same(directory, sources[stage.name]):
            outlook = "done"
        elif stage.name not in chosen:
            outlook = "left out"
        elif record:
            outlook = "goes on"
        at = int(checkpoint.name.removeprefix("step-")) if checkpoint and outlook == "goes on" else None
        kind, needs = stage.settings["kind"], tuple(dict.fromkeys(stage.needs.values()))
        runs = outlook not in ("done", "left out")
        notes = (*stage.kind.costs(stage.config), *stage.kind.lacks(stage.config)) if runs else ()
        found.append(Planned(stage.name, kind, needs, outlook, at, notes))
    return found


def lines(planned: list[Planned], estimates: Mapping[str, str] | None = None) -> list[str]:
    """One line a stage, in columns; `estimates` is what is said of some stages besides; notes follow."""
    after = {p.name: "after " + ", ".join(p.needs) if p.needs else "" for p in planned}
    said = estimates or {}
    rows = [(p.name, p.kind, after[p.name], p.words, said.get(p.name, "")) for p in planned]
    wide = [max((len(row[i]) for row in rows), default=0) for i in range(5)]
    found = []
    for p, row in zip(planned, rows, strict=True):
        found.append("  ".join(f"{text:{width}}" for text, width in zip(row, wide, strict=True)).rstrip())
        found += [f"{'':{wide[0]}}  {note}" for note in p.notes]
    return found
