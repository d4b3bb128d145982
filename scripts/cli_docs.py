"""Writes docs/cli.md from the commands themselves; with --check says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from mull.cli.main import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"


def page() -> str:
    """The page as it should be."""
    group = typer.main.get_command(app)
    parts = ["# Command line\n\nMade from the commands by `make docs`; do not edit.\n"]
    for name, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
        parts.append(f"## mull {name}\n\n{command.help or ''}\n")
        rows = []
        for parameter in command.params:
            record = getattr(parameter, "help", None)
            names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name.upper()
            if names != "--help":
                rows.append(f"| `{names}` | {(record or '').replace('|', '/')} |")
        parts.append("\n".join(["| argument | is |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Exit code 1 when the page is stale and --check was given."""
    if "--check" in sys.argv:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print("docs/cli.md is stale: run make docs", file=sys.stderr)
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
