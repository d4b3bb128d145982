"""`mull behaviours RUN`: what the chains of a run do, before and after, and what goes with being right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("behaviours")(behaviours)


def behaviours(
    run: Annotated[Path, typer.Argument(help="directory that `mull run` wrote", show_default=False)],
    stage: Annotated[str | None, typer.Option(help="a stage that kept its chains", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Say what a run's thoughts do (check, doubt, backtrack …), before and after training, and how that goes with being
    right."""
    import json

    from mull.recipe.behaviours import studies
    from mull.recipe.behaviours_text import study_json, study_text
    from mull.recipe.evidence import read_pairs, read_run

    found = read_run(run)
    shown = studies(found, read_pairs(found), stage)
    if as_json:
        document = {"run": found.name, "stages": [study_json(study) for study in shown]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        return
    typer.echo("\n\n".join(study_text(study) for study in shown))
