"""Runs made by hand for one claim at a time: stages by their configuration, rows by what each sample should show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mull.recipe.claims import DEFINITIONS, Claim, scorecard
from mull.recipe.evidence import Evidence, read_run

TASKS = ["countdown_mod:test"]


class Bench:
    """A run directory that grows stage by stage; `claim(id)` judges what is there."""

    def __init__(self, path: Path, make_stage: Callable[..., None], make_row: Callable[..., dict[str, Any]]) -> None:
        self.path, self._stage, self.row, self._count = path, make_stage, make_row, 0

    def stage(
        self, name: str, kind: str, config: dict[str, Any] | None = None, summary: Any = None, **more: Any
    ) -> None:
        self._count += 1
        self._stage(self.path, name, kind, config or {}, start=self._count, **more)
        if summary is not None:
            import json

            file = self.path / "stages" / name / "stage.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), "summary": summary}))

    def measure(self, model: str, rows: list[dict[str, Any]], summary: Any = None, **config: Any) -> None:
        """An evaluate stage of `model`."""
        name = f"measure_{self._count}_{model}"
        self.stage(name, "evaluate", {"model": model, "tasks": TASKS, **config}, summary, rows=rows)

    def grid(self, right: int | Callable[[int], int], families: int = 12, samples: int = 4, **more: Any) -> list[dict]:
        """Rows of a problem a family, of which the first `right` samples are; other columns may depend on (f, s)."""
        return [
            self.row(
                f"p{f}", s, s < (right(f) if callable(right) else right), family=f"f{f}",
                **{k: v(f, s) if callable(v) else v for k, v in more.items()},
            )
            for f in range(families)
            for s in range(samples)
        ]  # fmt: skip

    def claims(self) -> dict[str, Claim]:
        evidence = Evidence(read_run(self.path))
        return {claim.id: claim for claim in scorecard(evidence, evidence.pairs())}

    def claim(self, name: str) -> Claim:
        assert name in DEFINITIONS
        return self.claims()[name]


@pytest.fixture
def bench(tmp_path: Path, make_stage: Any, make_row: Any) -> Bench:
    return Bench(tmp_path, make_stage, make_row)


@pytest.fixture
def zero(bench: Bench) -> Bench:
    """A run with a base and the R1-Zero stage on it, nothing measured yet."""
    bench.stage("base", "pretrain")
    bench.stage("zero", "rl", {"init": "base", "tasks": ["countdown_mod:train"], "steps": 3}, metrics=[])
    return bench
