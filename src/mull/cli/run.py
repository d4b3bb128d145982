"""`mull run RECIPE`: run a recipe's stages, or take them up where they were left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("run")(run)


def run(
    recipe: Annotated[Path, typer.Argument(help="recipe file (TOML)", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="run directory; default: runs/<name>", show_default=False)] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key, as in zero.steps=20")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="do this stage and all later ones again")] = None,
    until: Annotated[str | None, typer.Option(help="last stage to run")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="show no progress")] = False,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Run a recipe. Finished stages are not run again; an interrupted run goes on where it was."""
    import json as json_lines

    from mull.core.config import apply_overrides, read_toml
    from mull.core.errors import UserError

    values = read_toml(recipe)
    stages = values.get("stages")
    known = stages if isinstance(stages, dict) else {}
    # STAGE.key is what people write; stages.STAGE.key is where it lives.
    full = [f"stages.{item}" if item.split(".")[0].strip() in known else item for item in set_ or []]
    for item in full:
        parts = item.partition("=")[0].strip().split(".")
        if parts[0] == "stages" and len(parts) > 1 and parts[1] not in known:
            raise UserError(f"--set {item}: no stage {parts[1]!r} in {recipe}")
    values = apply_overrides(values, full)

    from mull.recipe.execute import run_recipe
    from mull.recipe.progress import Lines, Quiet
    from mull.recipe.schema import parse_recipe

    parsed = parse_recipe(values, str(recipe))
    directory = out or Path("runs") / parsed.name
    summaries = run_recipe(parsed, directory, Quiet() if quiet else Lines(), from_, until)
    if json:
        print(json_lines.dumps({"run": str(directory), "stages": summaries}))
