"""The `mull` command: its commands, and one place where errors become lines and exit codes.

0: it did what was asked; 2: a mistake in what was given, said in one line; 1: a stage stopped to prevent harm;
130: stopped by Ctrl-C. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mull import __version__
from mull.cli import fetch, report, run, tasks
from mull.core.errors import StageFailed, Stopped, UserError

app = typer.Typer(
    name="mull",
    help="Train, serve and measure models that think before they answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (run, report, tasks, fetch):
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
    try:
        app()
    except UserError as error:
        _leave(str(error), 2)
    except StageFailed as error:
        _leave(str(error), 1)
    except Stopped as error:
        _leave(f"{error}; saved: the same command resumes", 130)
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _leave(message: str, code: int) -> None:
    print(f"mull: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
