"""The layers of the house hold: imports point downwards, files and functions stay small."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src" / "mull"
LAYERS = [
    {"core"},
    {"model", "verify", "stats", "pages"},
    {"tasks", "engine", "algo", "analysis"},
    {"rewards", "rollout"},
    {"train", "think"},
    {"backend", "evaluation", "serve"},
    {"recipe", "ui"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LONGEST_FILE, LONGEST_FUNCTION = 400, 80
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}


def is_module(name: str) -> bool:
    """Whether `mull.a.b` is a file of ours rather than a name in one."""
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").exists() or path.is_dir()


def imports(tree: ast.AST, inside: bool = False) -> list[tuple[str, bool]]:
    """(module, is inside a function) of every import of our own code."""
    found: list[tuple[str, bool]] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").startswith("mull."):
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            found += [(name if is_module(name) else child.module or "", inside) for name in names]
        elif isinstance(child, ast.ImportFrom) and child.module == "mull":
            found += [(f"mull.{alias.name}", inside) for alias in child.names]
        elif isinstance(child, ast.Import):
            found += [(alias.name, inside) for alias in child.names if alias.name.startswith("mull.")]
        found += imports(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))
    return found


def test_every_package_has_a_layer() -> None:
    packages = {path.relative_to(ROOT).parts[0] for path in TREES if len(path.relative_to(ROOT).parts) > 1}
    assert packages <= set(LEVEL)


def test_imports_point_downwards() -> None:
    wrong = []
    for path, tree in TREES.items():
        home = path.relative_to(ROOT).parts[0]
        for module, inside in imports(tree):
            target = module.split(".")[1]
            if home not in LEVEL or target not in LEVEL or target == home:
                continue
            if LEVEL[target] >= LEVEL[home] or (inside and home != "cli"):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_packages_hold_no_import_cycles() -> None:
    edges = {
        ".".join(("mull", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): {
            module for module, inside in imports(tree) if not inside
        }
        for path, tree in TREES.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail, module))
        if module not in done:
            for target in edges.get(module, ()):
                visit(target, (*trail, module))
            done.add(module)

    for module in edges:
        visit(module, ())


def test_files_and_functions_stay_small() -> None:
    long = [
        f"{path.relative_to(ROOT)}" for path in TREES if path.read_text(encoding="utf-8").count("\n") > LONGEST_FILE
    ]
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if (node.end_lineno or node.lineno) - node.lineno >= LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert not long


def test_every_file_says_what_it_is_for() -> None:
    assert not [str(path.relative_to(ROOT)) for path, tree in TREES.items() if not ast.get_docstring(tree)]
