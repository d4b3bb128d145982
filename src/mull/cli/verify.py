"""`mull verify`: verdicts on a file of answers, or over HTTP; or attacks on what gives them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mull.cli.sandbox import AllowUnsandboxed, Sandbox, choose

if TYPE_CHECKING:
    from mull.verify.batch import Reading


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("verify")(verify)


def verify(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="rows with id, gold and prediction or response, or with id, program, tests and verifier (JSON lines); "
            "with --attack also a recipe (.toml)",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="file of verdicts, resumed if it is there; default: stdout", show_default=False)
    ] = None,
    verifier: Annotated[
        str, typer.Option(help="verifier of rows that name none; your own: python:file.py:function")
    ] = "math",
    thought: Annotated[
        str, typer.Option(help="closed: an opened thought must be closed; required: there must be a closed one")
    ] = "closed",
    convention: Annotated[
        list[str] | None,
        typer.Option(
            help="where a response says its answer, as in boxed (again for more, in order)", show_default=False
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="rows judged at the same time")] = 4,
    serve: Annotated[bool, typer.Option("--serve", help="answer over HTTP in place of reading a file")] = False,
    host: Annotated[str, typer.Option(help="with --serve: address to listen at")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="with --serve: port; 0: any free one")] = 8765,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="with --serve: another name that requests may call this server by", show_default=False),
    ] = None,
    attack: Annotated[
        bool, typer.Option("--attack", help="try known ways of being paid without being right; exit code 1 if one pays")
    ] = False,
    task: Annotated[str, typer.Option(help="with --attack: a task in place of a file, as in functions:dev")] = "",
    problems: Annotated[int, typer.Option(min=1, help="with --attack: how many problems of each source")] = 2,
    sandbox: Sandbox = "auto",
    allow_unsandboxed: AllowUnsandboxed = False,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout: how many of each verdict")] = False,
) -> None:
    """Judge answers: id, verdict, reason, method and milliseconds for each row, in the order of the rows.

    With --attack: say which named attacks the reward of a file of rows, a recipe or a task pays for.
    """
    from mull.core.errors import UserError
    from mull.verify.batch import Reading, check_reading
    from mull.verify.extract import DEFAULT
    from mull.verify.registry import known

    known(verifier, "--verifier")
    reading = Reading(verifier, thought, tuple(convention or DEFAULT))  # type: ignore[arg-type]
    check_reading(reading)
    choose(sandbox, allow_unsandboxed)
    if attack:
        if serve or out:
            raise UserError("--attack writes what it finds to stdout; give neither --serve nor --out")
        _attack(file, task, problems, reading, json)
    elif task:
        raise UserError("--task goes with --attack")
    elif serve:
        if file or out:
            raise UserError("--serve takes rows over HTTP; give either --serve or a file")
        _serve(host, port, reading, tuple(allow_host or ()))
    elif file is None:
        raise UserError("give a file of rows, or --serve; see mull verify --help")
    else:
        _file(file, out, reading, threads, json)


def _attack(file: Path | None, task: str, problems: int, reading: Reading, as_json: bool) -> None:
    from mull.cli.attack import run

    if run(file, task, problems, reading, as_json):
        raise typer.Exit(1)


def _file(file: Path, out: Path | None, reading: Reading, threads: int, as_json: bool) -> None:
    import json

    from mull.verify.files import verify_file

    if out is None and as_json:
        tally = verify_file(file, None, lambda line: None, reading, threads)
    else:
        tally = verify_file(file, out, typer.echo, reading, threads)
    if as_json:
        typer.echo(json.dumps({**tally.as_json(), "out": str(out) if out else None}))
        return
    found = ", ".join(f"{number} {kind}" for kind, number in tally.kinds.items() if number)
    resumed = f" ({tally.resumed} were there)" if tally.resumed else ""
    typer.echo(f"{tally.rows} rows{resumed}: {found or 'nothing to judge'}{f'; {out}' if out else ''}", err=True)


def _serve(host: str, port: int, reading: Reading, names: tuple[str, ...]) -> None:
    from mull.verify.http import VerifyServer

    with VerifyServer(host, port, reading, names) as server:
        typer.echo(f"{server.url}/verify takes rows; Ctrl-C ends it", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
