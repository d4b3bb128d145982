"""`mull --help` is quick because nothing heavy is imported before a command needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "tokenizers", "pyarrow", "numpy", "datasets", "accelerate")
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


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["report", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(arguments=arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "mull" in done.stdout


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "mull", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout
    assert "report" in done.stdout
