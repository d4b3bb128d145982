"""`mull lineage TARGET`: from a model back to every input."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("lineage")(lineage)


def lineage(
    target: Annotated[str, typer.Argument(help="run, RUN:STAGE, or model directory in a run", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Say what a model was made from: stages, files and models with their hashes, back to the first."""
    from json import dumps

    from mull.recipe.lineage import lineage as read
    from mull.recipe.lineage import lines

    found = read(target)
    typer.echo(dumps([one.to_json() for one in found], ensure_ascii=False) if json else "\n".join(lines(found)))
