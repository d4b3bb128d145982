"""`mull --help` answers at once: it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "transformers", "pyarrow", "numpy", "pydantic", "datasets")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['mull', '--help']\n"
        "from mull.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name in " + repr(HEAVY) + "], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "run" in done.stdout and "report" in done.stdout


def test_core_and_pages_load_without_torch() -> None:
    code = (
        "import pkgutil, importlib, sys, mull.core, mull.pages\n"
        "for package in (mull.core, mull.pages):\n"
        "    for module in pkgutil.iter_modules(package.__path__):\n"
        "        importlib.import_module(f'{package.__name__}.{module.name}')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
