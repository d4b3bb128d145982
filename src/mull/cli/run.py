"""`mull run RECIPE`: run a recipe's stages, or take them up where they were left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    from mull.core.config import read_toml

    read_toml(recipe)  # a missing file is said at once, before torch is imported

    from mull.recipe.execute import run_recipe
    from mull.recipe.progress import for_stderr
    from mull.recipe.schema import read_recipe

    choose(sandbox, allow_unsandboxed)
    parsed = read_recipe(recipe, set_ or ())
    directory = out or Path("runs") / parsed.name
    if dry_run:
        typer.echo("\n".join(_dry(parsed, directory, from_, until, json)))
        return
    summaries = run_recipe(parsed, directory, for_stderr(quiet), from_, until)
    if json:
        import json as json_lines

        typer.echo(json_lines.dumps({"run": str(directory), "stages": summaries}, ensure_ascii=False))


def _dry(recipe: Any, directory: Path, from_: str | None, until: str | None, json: bool) -> list[str]:
    """What `--dry-run` prints: a line a stage and their sum, or one JSON document."""
    from json import dumps

    from mull.core.run import Run
    from mull.recipe.estimate import estimate, total_words
    from mull.recipe.plan import lines, plan

    planned = plan(recipe, directory, from_, until)
    found = {one.name: one for one in estimate(recipe, Run(directory), planned)}
    if json:
        stages = [p.to_json() | {"estimate": found[p.name].to_json() if p.name in found else None} for p in planned]
        known = [one.seconds for one in found.values()]
        total = None if None in known else sum(s for s in known if s is not None)
        return [dumps({"run": str(directory), "stages": stages, "seconds": total}, ensure_ascii=False)]
    shown = lines(planned, {name: one.words for name, one in found.items()})
    return [*shown, total_words(list(found.values()))] if found else shown
