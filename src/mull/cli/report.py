"""`mull report RUN`: the claims of a finished run as a table, as JSON, and as one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("report")(report)


def report(
    run: Annotated[Path, typer.Argument(help="directory that `mull run` wrote", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document and write no page")] = False,
    vote_on: Annotated[
        list[str] | None,
        typer.Option(help="task to measure the majority vote on (may be given again)", show_default=False),
    ] = None,
) -> None:
    """Say what a finished run shows: claims with before, after and interval, and a page to read."""
    import json

    from mull.recipe.report import read_report, report_json, write_report

    found = read_report(run, vote_on or ())
    if as_json:
        typer.echo(json.dumps(report_json(found), indent=2, ensure_ascii=False, allow_nan=False))
        return
    page = write_report(found)
    typer.echo(claims_table(found.claims))
    typer.echo(f"\n{page}")


def claims_table(claims) -> str:
    """The claims as text: verdict, statement, change with its interval."""
    from rich.console import Console
    from rich.table import Table

    from mull.recipe.claims import DEFINITIONS, change_text, counted_text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    for heading in ("holds", "claim", "change"):
        table.add_column(heading, no_wrap=heading == "holds")
    words = {True: "yes", False: "no", None: "not measured"}
    for claim in claims:
        counted = counted_text(claim, DEFINITIONS[claim.id])
        table.add_row(words[claim.holds], claim.statement, "\n".join(filter(None, [change_text(claim), counted])))
    console = Console(no_color=True, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()
