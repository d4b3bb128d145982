"""`mull doctor`: what this machine has, which wall stands around programs, and whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mull.verify.doctor import Examined, Report, Row

WIDTH = 24


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("doctor")(doctor)


def doctor(
    sandbox: Annotated[
        str,
        typer.Option(help="wall to try: auto (the strongest), namespaces, landlock, bubblewrap, remote=URL or none"),
    ] = "auto",
    every: Annotated[bool, typer.Option("--all", help="try every wall that can be put up here")] = False,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Say what this machine has, and try the list of escapes against the sandbox: does it stop what it should?

    Exit code 1 if an escape that the wall is expected to stop was not stopped, or no wall can be put up.
    """
    import json as json_lines

    from mull.core.errors import UserError
    from mull.model.machine import facts
    from mull.verify.doctor import Watch, examine

    if every and sandbox != "auto":
        raise UserError("give either --all or --sandbox")
    machine = {**_python(), **facts()}
    if json:
        report = examine(sandbox, every, Watch(lambda wall: None, lambda row: None))
        typer.echo(json_lines.dumps({"machine": machine, **report.as_json()}, ensure_ascii=False))
    else:
        typer.echo(_machine(machine))
        report = examine(sandbox, every, Watch(_wall, _row))
        typer.echo("\n".join(_end(report)))
    if not report.ok:
        raise typer.Exit(1)


def _python() -> dict[str, Any]:
    import os
    import platform

    from mull import __version__

    return {
        "mull": __version__, "python": platform.python_version(), "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(), "processors": os.cpu_count(), "root": os.getuid() == 0,
    }  # fmt: skip


def _machine(machine: dict[str, Any]) -> str:
    user = "root" if machine["root"] else "an ordinary user"
    cuda = f", CUDA {machine['cuda']}" if machine["cuda"] else ""
    return (
        f"mull {machine['mull']}, Python {machine['python']}, {machine['system']} on {machine['processor']}, "
        f"{machine['processors']} processors, started as {user}\n"
        f"torch {machine['torch']}{cuda}, {machine['threads']} threads; devices: {', '.join(machine['devices'])}"
    )


def _wall(wall: Examined) -> None:
    typer.echo(f"\nsandbox: {wall.name} stands" if wall.stands else f"\nsandbox: {wall.name} cannot stand: {wall.why}")


def _row(row: Row) -> None:
    outcome = str(row.finding.outcome) + (" (expected)" if _known(row) else "")
    why = row.why if _known(row) else row.finding.detail
    mark = "!!" if row.broken else "  "
    typer.echo(f"{mark} {outcome:{WIDTH}} {row.finding.name}: {row.escape.tries} [{why}]")


def _known(row: Row) -> bool:
    return str(row.finding.outcome) == "not stopped" and not row.broken


def _end(report: Report) -> list[str]:
    """What to do, then one line for each wall."""
    from mull.verify.sandbox.escapes.base import Outcome

    lines = ["", *report.advice]
    for wall in report.walls:
        if wall.stands:
            counts = ", ".join(f"{wall.count(kind)} {kind}" for kind in Outcome if wall.count(kind))
            broken = [row.finding.name for row in wall.rows if row.broken]
            verdict = f"HAS FAILED at {', '.join(broken)}" if broken else "stopped all that it is expected to stop"
            lines.append(f"{wall.name} {verdict} ({counts})")
    if not any(wall.stands for wall in report.walls):
        lines.append("no sandbox can be put up here: programs are refused (see --allow-unsandboxed)")
    return lines[0 if lines[1:] else 1 :]
