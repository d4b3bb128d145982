"""`mull run RECIPE`: run a recipe's stages, or take them up where they were left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mull.cli.sandbox import AllowUnsandboxed, Sandbox, choose


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="show no progress")] = False,
    sandbox: Sandbox = "auto",
    allow_unsandboxed: AllowUnsandboxed = False,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Run a recipe. Finished stages are not run again; an interrupted run goes on where it was."""
    import json as json_lines

    from mull.core.config import read_toml

    read_toml(recipe)  # a missing file is said at once, before torch is imported

    from mull.recipe.execute import run_recipe
    from mull.recipe.progress import for_stderr
    from mull.recipe.schema import read_recipe

    choose(sandbox, allow_unsandboxed)
    parsed = read_recipe(recipe, set_ or ())
    directory = out or Path("runs") / parsed.name
    if dry_run:
        from mull.recipe.plan import lines, plan

        planned = plan(parsed, directory, from_, until)
        document = {"run": str(directory), "stages": [stage.to_json() for stage in planned]}
        typer.echo(json_lines.dumps(document, ensure_ascii=False) if json else "\n".join(lines(planned)))
        return
    summaries = run_recipe(parsed, directory, for_stderr(quiet), from_, until)
    if json:
        typer.echo(json_lines.dumps({"run": str(directory), "stages": summaries}, ensure_ascii=False))
