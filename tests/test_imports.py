"""The house of the design, held by a walk over the source: layers, hidden imports, sizes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "mull"
LAYERS = (
    {"core"},
    {"model", "verify", "stats", "pages"},
    {"tasks", "engine", "algo", "analysis"},
    {"rewards", "rollout"},
    {"train", "think"},
    {"backend", "evaluation", "serve"},
    {"recipe", "ui"},
    {"cli"},
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
LINES, FUNCTION_LINES = 400, 80


def own_imports(tree: ast.Module, parts: tuple[str, ...]) -> list[tuple[str, int, bool]]:
    """(package of ours, line, whether inside a function) of each import; `parts` is the module's own path."""
    found: list[tuple[str, int, bool]] = []

    def visit(node: ast.AST, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            for name in _names(child, parts):
                pieces = name.split(".")
                if pieces[0] == "mull" and len(pieces) > 1 and pieces[1] in LEVEL:
                    found.append((pieces[1], getattr(child, "lineno", 0), inside))
            visit(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    visit(tree, False)
    return found


def _names(node: ast.AST, parts: tuple[str, ...]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = ["mull", *parts[: len(parts) - node.level]] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        # `from mull import core` names a package as well as `from mull.core import files` does.
        return [f"{module}.{alias.name}" for alias in node.names]
    return []


def findings(text: str, parts: tuple[str, ...]) -> list[str]:
    """What is wrong with one module; `parts` are its names below mull, as in ("train", "rl")."""
    tree = ast.parse(text)
    found = [f"{text.count(chr(10))} lines, more than {LINES}"] if text.count("\n") > LINES else []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"line {node.lineno}: {node.name} has {length} lines, more than {FUNCTION_LINES}")
    if ast.get_docstring(tree) is None:
        found.append("opens without saying what it is for")
    home = parts[0]
    if home in ("__init__", "__main__"):
        return found
    if home not in LEVEL:
        return [*found, f"{home} is in no layer"]
    for target, line, inside in own_imports(tree, parts):
        if target == home:
            if inside and home != "cli":
                found.append(f"line {line}: imports its own package inside a function")
        elif LEVEL[target] >= LEVEL[home]:
            found.append(f"line {line}: {home} imports {target}, which is not below it")
        elif inside and home != "cli":
            found.append(f"line {line}: imports {target} inside a function")
    return found


def test_the_house_stands() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 50
    wrong = [
        f"{path.relative_to(SOURCE)}: {finding}"
        for path in files
        for finding in findings(path.read_text(encoding="utf-8"), path.relative_to(SOURCE).with_suffix("").parts)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("parts", "text", "word"),
    [
        (("algo", "losses"), "from mull.train.learner import Learner", "not below"),
        (("algo", "losses"), "from mull.engine import base", "not below"),
        (("algo", "losses"), "from ..engine import base", "not below"),
        (("algo", "losses"), "from mull import train", "not below"),
        (("algo", "losses"), "import mull.recipe.schema", "not below"),
        (("algo", "losses"), "def f():\n    from mull.core import files", "inside a function"),
        (("algo", "losses"), "def f():\n    from mull.algo import kl", "inside a function"),
        (("algo", "losses"), "x = 1\n" * 401, "more than 400"),
        (("algo", "losses"), "def f():\n" + "    x = 1\n" * 80, "more than 80"),
        (("misc", "losses"), "x = 1", "in no layer"),
    ],
)
def test_a_breach_is_seen(parts: tuple[str, ...], text: str, word: str) -> None:
    assert any(word in finding for finding in findings('"""Doc."""\n' + text, parts))


def test_what_is_allowed() -> None:
    assert not findings('"""Doc."""\nfrom mull.core.types import Problem\nfrom mull.model import head', ("algo", "x"))
    assert not findings('"""Doc."""\ndef f():\n    from mull.train import rl', ("cli", "run"))
    assert findings("x = 1", ("algo", "x")) == ["opens without saying what it is for"]
