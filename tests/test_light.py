"""What has to be light is: help, the core and the pages are there without torch and its kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "tokenizers", "pyarrow", "numpy", "datasets", "accelerate", "sympy", "mpmath")
SCRIPT = f"""
import sys
sys.argv = ["mull", *{{arguments!r}}]
from mull.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = [name for name in {HEAVY!r} if name in sys.modules]
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["report", "--help"],
        ["behaviours", "--help"],
        ["verify", "--help"],
        ["doctor", "--help"],
        ["--version"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(arguments=arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "mull" in done.stdout


def modules(package: str) -> list[str]:
    """Every module of a package of ours."""
    folder = Path(__file__).parents[1] / "src" / "mull" / package
    return [f"mull.{package}.{file.stem}" for file in sorted(folder.glob("*.py")) if file.stem != "__init__"]


@pytest.mark.parametrize("package", ["core", "pages", "stats", "verify", "cli"])
def test_a_light_package_is_imported_without_torch(package: str) -> None:
    names = modules(package)
    assert names
    lines = [f"import {name}" for name in names]
    lines += [
        "import sys",
        "heavy = {'torch', 'transformers', 'tokenizers', 'sympy', 'mpmath'} & set(sys.modules)",
        "assert not heavy, heavy",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    script = Path(__file__).parents[1] / "scripts" / "cli_docs.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "mull", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout
    assert "report" in done.stdout
