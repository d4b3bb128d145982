"""`mull tasks`: what there is to solve, and what the problems look like."""

from __future__ import annotations

import json as json_lines
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mull.core.types import Problem


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("tasks")(tasks)


def tasks(
    name: Annotated[str, typer.Argument(help="a task, or a spec such as data/gsm8k.jsonl?preset=gsm8k")] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="how many problems to show")] = 3,
    split: Annotated[str, typer.Option(help="train, dev or test; default: the spec's, else train")] = "",
    seed: Annotated[int, typer.Option(help="which problems are picked")] = 0,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """List the built-in tasks, or show a few problems of one."""
    if name:
        _show(_pick(name, split, n, seed), json)
    else:
        _list(json)


def _list(as_json: bool) -> None:
    from mull.tasks.registry import known_tasks

    rows = []
    for task in known_tasks():
        splits = {}
        for split in task.splits:
            problems = task.problems(split)
            splits[split] = {"problems": len(problems), "families": len({p.family for p in problems})}
        rows.append({"name": task.name, "summary": task.summary, "splits": splits})
    if as_json:
        typer.echo(json_lines.dumps({"tasks": rows}, ensure_ascii=False))
        return
    _table(rows)


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    splits = list(dict.fromkeys(split for row in rows for split in row["splits"]))
    table = Table("task", "what it asks", *splits, box=None, pad_edge=False, caption="problems / families per split")
    for row in rows:
        counts = [row["splits"].get(split) for split in splits]
        table.add_row(
            row["name"], row["summary"], *(f"{c['problems']} / {c['families']}" if c else "-" for c in counts)
        )
    Console().print(table)


def _pick(name: str, split: str, n: int, seed: int) -> list[Problem]:
    import random

    from mull.tasks.registry import load_task

    problems = load_task(name, {"split": split} if split else None)
    return random.Random(f"mull tasks {seed}").sample(problems, min(n, len(problems)))


def _show(problems: list[Problem], as_json: bool) -> None:
    if as_json:
        typer.echo(json_lines.dumps({"problems": [_as_dict(p) for p in problems]}, ensure_ascii=False))
        return
    for problem in problems:
        data = ", ".join(f"{key} {value}" for key, value in problem.data.items())
        typer.echo(
            f"{problem.id}   level {problem.level} · {problem.language} · {problem.split} · family {problem.family}"
        )
        for message in problem.messages:
            typer.echo(f"  {message.role}: {message.content}")
        typer.echo(f"  checked by {problem.verifier}: {data}\n")


def _as_dict(problem: Problem) -> dict[str, Any]:
    return {
        "id": problem.id,
        "messages": [{"role": m.role, "content": m.content} for m in problem.messages],
        "verifier": problem.verifier,
        "data": dict(problem.data),
        "task": problem.task,
        "split": problem.split,
        "family": problem.family,
        "level": problem.level,
        "language": problem.language,
    }
