"""The `mull` command: its commands, and one place where errors become lines and exit codes.

0: it did what was asked; 2: a mistake in what was given, be it a file or the words of a command, said in one line;
1: a stage stopped to prevent harm, a sandbox failed (`mull doctor`), or an attack on a reward pays; 130: stopped by
Ctrl-C. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from mull import __version__
from mull.cli import behaviours, doctor, fetch, lineage, report, run, tasks, verify
from mull.core.errors import StageFailed, Stopped, UserError

app = typer.Typer(
    name="mull",
    help="Train, serve and measure models that think before they answer.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (run, report, behaviours, lineage, tasks, verify, fetch, doctor):
    command.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mull {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Entry point of the console script."""
    words = sys.argv[1:] or ["--help"]
    try:
        code = app(words, prog_name="mull", standalone_mode=False)
    except UserError as error:
        _leave(str(error), 2)
    except typer.TyperException as error:
        _leave(_usage(error), 2)
    except StageFailed as error:
        _leave(str(error), 1)
    except Stopped as error:
        _leave(f"{error}; saved: the same command resumes", 130)
    if code == 130:
        _leave("interrupted; the same command goes on from the last checkpoint", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: typer.TyperException) -> str:
    """What is wrong with the words of a command, and where to read how it is written."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see {context.command_path if context else 'mull'} --help"


def _leave(message: str, code: int) -> NoReturn:
    print(f"mull: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
