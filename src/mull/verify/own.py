"""A user's own verifier: `python:path/to/file.py:function`, or `python:module:function` for what is installed.

`function(text, data)` gets the answer part of a reply and the problem's data, as plain JSON values, and returns

    True or False                      correct or wrong
    a number from 0 to 1               1 is correct, less is wrong; the number is the verdict's score
    {"correct": …} or {"score": …}     the same, with "reason" and "answer" (what votes are counted on) if it likes

It runs in a sandbox (see `inside`), a new one for each verdict, and is never imported here: a reward that executes what
a model wrote does no harm, and nothing that an answer changes is there for the next. `seconds` and `memory_mb` of the
data bound one call, as they do for programs. An exception is `error`, with where it was raised; too much time is
`timeout`. Both are left out of training, so that a function that can be made to raise lets a policy flee from hard
problems: return False for what cannot be read. Installed packages can be imported; files beside a named file cannot.
"""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mull.core.errors import UserError, nearest
from mull.core.types import Verdict, VerdictKind
from mull.verify import code, inside
from mull.verify.sandbox import wire
from mull.verify.sandbox.base import How, Returned

PREFIX = "python:"
METHOD = "python"
KIT = ("typing",)
"""Imported already; that there is anything makes installed packages visible."""
_LOADER = """
import sys
for name in [name for name in sys.modules if name == "mull" or name.startswith("mull.")]:
    del sys.modules[name]  # what the fork server left of this library is no whole one
"""
_FROM_FILE = "exec(compile({text!r}, 'program.py', 'exec', dont_inherit=True), globals())\n"
_FROM_MODULE = "import importlib\n{function} = getattr(importlib.import_module({module!r}), {function!r})\n"


@dataclass(frozen=True)
class Own:
    """Where a function is. Example: `find("python:reward.py:score", "--verifier").function == "score"`"""

    function: str
    loader: str
    """The source that the sandbox loads."""


def own_file(name: str) -> str:
    """The file that a verifier's name gives, "" where it gives none (a module, or no verifier of one's own)."""
    place = name.removeprefix(PREFIX).rpartition(":")[0] if name.startswith(PREFIX) else ""
    return place if place.endswith(".py") or "/" in place else ""


def find(name: str, where: str) -> Own:
    """The function of a name; `where` says in a message who asks for it.

    Raises:
        UserError: no such file, module or function.
    """
    try:
        return _found(name)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


@lru_cache(maxsize=256)
def _found(name: str) -> Own:
    """Read once in the life of a process: a run's reward does not change under it."""
    place, _, function = name.removeprefix(PREFIX).rpartition(":")
    if not place or not function.isidentifier():
        raise UserError(f"{name!r}: write python:path/to/file.py:function or python:module:function")
    by_file = place.endswith(".py") or "/" in place
    path = Path(place).expanduser() if by_file else _module_file(place)
    try:
        text = path.read_text(encoding="utf-8") if path else ""
        names, complete = _top_level(text) if path else ({function}, False)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{place}: cannot be read ({said})") from None
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{place}: is no Python ({' '.join(str(error).split())[:120]})") from None
    if complete and function not in names:
        raise UserError(f"{place} defines no {function!r}{nearest(function, names)}")
    loader = _FROM_FILE.format(text=text) if by_file else _FROM_MODULE.format(module=place, function=function)
    return Own(function, _LOADER + loader)


def _module_file(module: str) -> Path | None:
    """The file of an installed module, found without importing anything; None where it has no Python source."""
    path: list[str] | None = None
    found = None
    for part in module.split("."):
        found = importlib.machinery.PathFinder.find_spec(part, path)
        if found is None:
            if module in sys.builtin_module_names:
                return None
            raise UserError(
                f"no module {module!r} is installed; name its file, python:path/to/file.py:function, or put "
                "its directory on PYTHONPATH"
            )
        path = list(found.submodule_search_locations or ())
    origin = found.origin if found else None
    return Path(origin) if origin and origin.endswith(".py") else None


def _top_level(text: str) -> tuple[set[str], bool]:
    """Names that a module binds at its top level, and whether these are all."""
    names: set[str] = set()
    complete = True
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
        elif not isinstance(node, ast.Expr):
            complete = False  # an `if` or a loop may bind more
    return names, complete and "*" not in names


def check(name: str, data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict of the function called `name` on `text`."""
    own = find(name, "the problem")
    limits = code.limits_of(data)
    returned = inside.call(own.loader, own.function, (text, dict(data)), limits, KIT)
    if returned.how is not How.DONE:
        return _failed(returned, limits.seconds)
    try:
        return _read(inside.plain(returned.tree))
    except ValueError as error:
        reason = f"{own.function} must return true or false, a number from 0 to 1, or a dict with one of them: {error}"
        return Verdict(VerdictKind.ERROR, code.line(reason), None, METHOD)


def _failed(returned: Returned, seconds: float) -> Verdict:
    if returned.how in (How.CPU, How.IDLE):
        return Verdict(VerdictKind.TIMEOUT, f"it took more than {seconds:g} s", None, METHOD)
    kind = VerdictKind.TIMEOUT if returned.how is How.STARVED else VerdictKind.ERROR
    return Verdict(kind, code.line(returned.why or f"the call ended: {returned.how}"), None, METHOD)


def _read(value: Any) -> Verdict:
    """Raises ValueError: not what a function may return."""
    answer, reason, found = None, "", value
    if isinstance(value, dict):
        found = value.get("score", value.get("correct"))
        answer, reason = value.get("answer"), value.get("reason", "")
        if not isinstance(reason, str) or not isinstance(answer, str | None):
            raise ValueError("its 'reason' and 'answer' are text")
    if isinstance(found, bool):
        kind, score = (VerdictKind.CORRECT if found else VerdictKind.WRONG), None
    elif isinstance(found, int | float) and 0 <= found <= 1:
        kind, score = (VerdictKind.CORRECT if found == 1 else VerdictKind.WRONG), float(found)
    else:
        raise ValueError(f"not {found!r:.60}")
    said = code.line(reason) or ("" if score is None else f"a score of {score:g}")
    return Verdict(kind, said, answer, METHOD, score=score)


def check_gold(name: str, data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: no such function, a limit out of bounds, or data that are not plain JSON values.
    """
    find(name, where)
    code.limits_of(data, where)
    try:
        wire.to_tree(dict(data))
    except wire.Opaque as error:
        raise UserError(f"{where}: the data for {name} must be plain JSON values ({error})") from None
