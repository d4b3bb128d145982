"""Write docs/cli.md from the commands themselves; `--check` only says whether it is up to date (exit code 1 if not).

Read from the command objects, not from printed help, whose wrapping depends on the terminal.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from typer.main import get_command

from mull.cli.main import app

WORDS = {"Path": "PATH", "int": "NUMBER", "float": "NUMBER", "str": "TEXT"}
PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# The command line

Written by `scripts/cli_docs.py` from the commands themselves; `make docs` writes it again.

Exit codes: 0, it did what was asked; 1, a stage stopped because going on would do harm, a sandbox did not stop what it
should (`mull doctor`), or an attack on a reward pays (`mull verify --attack`); 2, a mistake in what was given, said in
one line; 130, stopped by Ctrl-C (the same command resumes).
"""


def page() -> str:
    """The whole page."""
    root: Any = get_command(app)
    commands = sorted(root.commands.items())
    return "\n".join([HEAD, *(_command(name, command) for name, command in commands)])


def _command(name: str, command: Any) -> str:
    shown = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    usage = " ".join(["mull", name, *(_argument(a) for a in arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"## mull {name}", "", f"    {usage}", "", inspect.cleandoc(command.help or "").partition("\f")[0], ""]
    rows = [(f"`{_metavar(a)}`", a.help or "") for a in arguments] + [(_option(o), o.help or "") for o in options]
    if rows:
        lines += ["| | |", "|---|---|", *(f"| {left} | {_cell(right)} |" for left, right in rows), ""]
    return "\n".join(lines)


def _metavar(parameter: Any) -> str:
    return (parameter.metavar or parameter.name or "").upper()


def _argument(parameter: Any) -> str:
    return _metavar(parameter) if parameter.required else f"[{_metavar(parameter)}]"


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    kinds = [word for kind, word in WORDS.items() if kind in str(parameter.type_descriptor.annotation)]
    flag = getattr(parameter, "is_flag", False)
    kind = "" if flag else f" {parameter.metavar or (kinds[0] if kinds else 'TEXT')}"
    default = parameter.default
    plain = not flag and isinstance(default, int | float | str) and default != "" and parameter.show_default
    return f"{names}{kind}" + (f" (default {default})" if plain else "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Write the page, or check it."""
    text = page().rstrip() + "\n"
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.name} is not what the commands say: run make docs and commit it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
