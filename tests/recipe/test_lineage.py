"""From any model back to every input, across stages and runs, by real runs of small recipes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mull.cli.main import app
from mull.core.errors import UserError
from mull.core.files import sha256_directory, sha256_file
from mull.recipe.execute import run_recipe
from mull.recipe.lineage import lineage, lines
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe

SMALL = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "feed_forward": 32}
BASE = {"kind": "pretrain", "documents": 30, "model": SMALL}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run `one` makes a base; run `two` fine-tunes it on a file."""
    folder = tmp_path_factory.mktemp("runs")
    messages = [{"role": "user", "content": "3 5 + compute"}, {"role": "assistant", "content": "<answer> 8 </answer>"}]
    (folder / "data.jsonl").write_text(json.dumps({"messages": messages}) + "\n")
    run_recipe(parse_recipe({"name": "one", "threads": 1, "stages": {"base": BASE}}), folder / "one", Quiet())
    model, data = str(folder / "one" / "stages" / "base" / "model"), str(folder / "data.jsonl")
    stages = {
        "cold": {"kind": "sft", "init": model, "data": [data], "epochs": 1, "batch_tokens": 64},
        "after": {
            "kind": "evaluate", "model": "cold", "samples": 1, "max_tokens": 4,
            "tasks": [{"source": "countdown_mod", "split": "test", "limit": 2}],
        },
    }  # fmt: skip
    run_recipe(parse_recipe({"name": "two", "threads": 1, "stages": stages}), folder / "two", Quiet())
    return folder


def test_a_model_is_followed_into_the_run_that_made_it(runs: Path) -> None:
    [cold] = lineage(str(runs / "two" / "stages" / "cold" / "model"))
    assert (cold.name, cold.kind) == ("cold", "sft")
    assert cold.digest == sha256_directory(runs / "two" / "stages" / "cold" / "model")
    base, data = cold.inputs
    assert (base.role, base.name, base.kind, base.run) == ("init", "base", "pretrain", str(runs / "one"))
    assert base.digest == sha256_directory(runs / "one" / "stages" / "base" / "model")
    assert (data.role, data.name, data.kind) == ("data.1", str(runs / "data.jsonl"), "")
    assert data.digest == sha256_file(runs / "data.jsonl")
    assert lineage(f"{runs / 'two'}:cold") == [cold]


def test_a_run_is_shown_from_its_ends(runs: Path) -> None:
    [after] = lineage(str(runs / "two"))
    assert after.name == "after" and [one.name for one in after.inputs] == ["cold"]
    shown = lines([after])
    assert [line.split("(")[0].strip() for line in shown[:3]] == ["after", "model: cold", "init: base"]
    assert [len(line) - len(line.lstrip()) for line in shown] == [0, 4, 8, 8]


def test_a_model_that_was_altered_since_is_not_taken_for_the_one_that_was_read(runs: Path, tmp_path: Path) -> None:
    record = runs / "one" / "stages" / "base" / "stage.json"
    before = record.read_text()
    record.write_text(json.dumps({**json.loads(before), "hashes": {"model": "0" * 64}}))
    try:
        [cold] = lineage(f"{runs / 'two'}:cold")
    finally:
        record.write_text(before)
    assert cold.inputs[0].kind == "" and cold.inputs[0].name.endswith("base/model")


def test_an_older_run_is_read_by_its_lineage(runs: Path) -> None:
    record = runs / "two" / "stages" / "cold" / "stage.json"
    before = record.read_text()
    expected = lineage(f"{runs / 'two'}:cold")
    record.write_text(json.dumps({k: v for k, v in json.loads(before).items() if k != "inputs"}))
    try:
        assert lineage(f"{runs / 'two'}:cold") == expected
    finally:
        record.write_text(before)


def test_the_command_and_its_mistakes(runs: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["lineage", str(runs / "two"), "--json"])
    assert json.loads(done.stdout)[0]["inputs"][0]["inputs"][0]["kind"] == "pretrain"
    assert CliRunner().invoke(app, ["lineage", str(runs / "two")]).stdout.startswith("after (evaluate) in ")
    with pytest.raises(UserError, match="no stage 'clod'.*'cold'"):
        lineage(f"{runs / 'two'}:clod")
    with pytest.raises(UserError, match="belongs to no run"):
        lineage(str(tmp_path))
