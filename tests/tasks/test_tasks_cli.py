"""`mull tasks`: the table, the problems, and JSON for machines."""

import json

import pytest
import typer
from typer.testing import CliRunner

from mull.cli.tasks import register
from mull.core.errors import UserError


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return app


def test_the_table_names_every_task(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["tasks"])
    assert shown.exit_code == 0, shown.output
    for name in ("countdown_mod", "chain_mod", "countdown", "arithmetic", "functions"):
        assert name in shown.output
    tasks = json.loads(CliRunner().invoke(app, ["tasks", "--json"]).output)["tasks"]
    assert all(task["splits"]["test"]["families"] >= 40 for task in tasks)


def test_problems_of_a_task(app: typer.Typer) -> None:
    run = ["tasks", "arithmetic", "--n", "2", "--split", "dev", "--seed", "5"]
    shown = CliRunner().invoke(app, run)
    assert shown.exit_code == 0 and shown.output.count("checked by number: answer") == 2
    first = json.loads(CliRunner().invoke(app, [*run, "--json"]).output)["problems"]
    again = json.loads(CliRunner().invoke(app, [*run, "--json"]).output)["problems"]
    assert first == again and len(first) == 2
    assert {problem["split"] for problem in first} == {"dev"}
    assert {"messages", "data", "level", "language", "verifier"} <= set(first[0])


def test_an_unknown_task_is_the_users_mistake(app: typer.Typer) -> None:
    assert isinstance(CliRunner().invoke(app, ["tasks", "arithmetics"]).exception, UserError)
