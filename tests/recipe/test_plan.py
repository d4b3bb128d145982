"""What would be done, before, in the middle of and after a run; nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mull.cli.main import app
from mull.core.errors import UserError
from mull.core.run import Run
from mull.recipe.execute import run_recipe
from mull.recipe.plan import lines, plan
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe

SMALL = {"hidden": 8, "layers": 1, "heads": 2, "kv_heads": 1, "feed_forward": 16}
ASK = {"kind": "evaluate", "model": "base", "tasks": [{"source": "countdown_mod:dev", "limit": 2}], "samples": 1,
       "max_tokens": 4}  # fmt: skip


def values(**base: Any) -> dict[str, Any]:
    made = {"kind": "pretrain", "documents": 40, "batch_tokens": 64, "checkpoint_every": 3, "model": SMALL, **base}
    return {"name": "t", "threads": 1, "stages": {"after": ASK, "base": made}}


def outlooks(path: Path, *given: str | None, **base: Any) -> dict[str, Any]:
    return {p.name: (p.outlook, p.at) for p in plan(parse_recipe(values(**base)), path, *given)}


def test_before_during_and_after(tmp_path: Path) -> None:
    made, out = parse_recipe(values()), tmp_path / "run"
    assert outlooks(out) == {"base": ("runs", None), "after": ("runs", None)} and not out.exists()
    assert outlooks(out, None, "base") == {"base": ("runs", None), "after": ("left out", None)}

    class StopsAt(Quiet):
        def update(self, done: int, metrics: dict[str, float]) -> None:
            if done == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(made, out, StopsAt())
    before = sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*"))
    assert outlooks(out) == {"base": ("goes on", 3), "after": ("runs", None)}
    assert sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*")) == before
    run_recipe(made, out, Quiet())
    assert outlooks(out) == {"base": ("done", None), "after": ("done", None)}
    assert outlooks(out, "after") == {"base": ("done", None), "after": ("runs again", None)}
    with pytest.raises(UserError, match=r"stage 'base' was run with another documents \(40, now 41\)"):
        outlooks(out, documents=41)
    with pytest.raises(UserError, match="no stage 'affter'"):
        outlooks(out, "affter")
    assert Run(out).read()["status"] == "done"


def test_the_command_prints_one_line_a_stage_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(
        'name = "t"\n[stages.base]\nkind = "pretrain"\ndocuments = 40\n'
        '[stages.after]\nkind = "evaluate"\nmodel = "base"\ntasks = ["countdown_mod:dev"]\n'
    )
    shown = CliRunner().invoke(app, ["run", "r.toml", "--dry-run"])
    assert shown.exit_code == 0
    first, second, total = shown.stdout.splitlines()
    assert first.startswith("base   pretrain              runs  about ") and first.endswith(" GB")
    assert second.startswith("after  evaluate  after base  runs  about ") and second.endswith(" GB")
    assert total.startswith("in all about ")
    found = json.loads(CliRunner().invoke(app, ["run", "r.toml", "--dry-run", "--json"]).stdout)
    assert found["run"] == "runs/t" and found["stages"][1]["needs"] == ["base"]
    assert not (tmp_path / "runs").exists()


def test_columns_hold_the_longest_name() -> None:
    shown = lines(plan(parse_recipe(values()), Path("nowhere")))
    assert len({line.index("runs") for line in shown}) == 1
