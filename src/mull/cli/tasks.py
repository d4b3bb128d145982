"""`mull tasks`: what there is to solve, and what the problems look like."""

from __future__ import annotations

import json as json_lines
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mull.core.types import Problem
    from mull.tasks.decontaminate import Contamination


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("tasks")(tasks)


def tasks(
    name: Annotated[str, typer.Argument(help="a task, or a spec such as data/gsm8k.jsonl?preset=gsm8k")] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="how many problems to show")] = 3,
    split: Annotated[str, typer.Option(help="train, dev or test; default: the spec's, else train")] = "",
    seed: Annotated[int, typer.Option(help="which problems are picked")] = 0,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="report which problems a benchmark also asks; may be given several times"),
    ] = None,
    ngram: Annotated[int, typer.Option(help="with --decontaminate: words in a row that count, 8, 10 or 13")] = 10,
    numbers: Annotated[str, typer.Option(help='with --decontaminate: "same", or "any" to disregard numbers')] = "same",
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """List the built-in tasks, show a few problems of one, or say which of them a benchmark also asks."""
    if decontaminate:
        _contamination(name, split, n, {"decontaminate": decontaminate, "ngram": ngram, "numbers": numbers}, json)
    elif name:
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


def _contamination(name: str, split: str, n: int, options: dict[str, Any], as_json: bool) -> None:
    from mull.core.errors import UserError
    from mull.tasks.registry import find_contamination

    if not name:
        raise UserError("name the task whose problems are to be checked: mull tasks NAME --decontaminate SPEC")
    found = find_contamination(name, {**options, **({"split": split} if split else {})})
    if as_json:
        typer.echo(json_lines.dumps({"decontamination": found.as_dict()}, ensure_ascii=False))
        return
    _say_contamination(found, n)


def _say_contamination(found: Contamination, n: int) -> None:
    from collections import Counter

    against = ", ".join(f"{name} ({count})" for name, count in found.benchmarks.items())
    ways = Counter(clash.how for clash in found.clashes)
    how = f" ({', '.join(f'{way}: {count}' for way, count in ways.most_common())})" if ways else ""
    typer.echo(f"{found.checked} problems against {against}: {len(found.clashes)} in both{how}")
    for clash in found.clashes[:n]:
        typer.echo(f"\n{clash.id} and {clash.other}, {clash.how}:\n  {clash.words}")
    if len(found.clashes) > n:
        typer.echo(f"\nand {len(found.clashes) - n} more; --n or --json shows them")


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
