"""Two options of every command that may run programs: which wall they run behind, and whether they may run without."""

from __future__ import annotations

from typing import Annotated

import typer

Sandbox = Annotated[
    str, typer.Option(help="wall for programs: auto, namespaces, landlock, bubblewrap, remote=URL or none")
]
AllowUnsandboxed = Annotated[
    bool, typer.Option("--allow-unsandboxed", help="run programs without a wall where none can be put up")
]


def choose(sandbox: str, allow_unsandboxed: bool) -> None:
    """Note it for this process; the wall is put up when the first program comes.

    Raises:
        UserError: no such wall.
    """
    from mull.verify.sandbox import walls

    walls.use(sandbox, allow_unsandboxed)
