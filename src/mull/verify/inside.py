"""Code of others that is called from here and must not run here: one call in a sandbox of its own.

For scorers that execute the answer (`gym_inside`) and for a user's own verifier (`own`). The source is loaded as a
module and one function of it called, in a new process each time, so that no answer can spoil the next verdict. What
comes back is a tree, made into plain JSON values here. Left out on purpose: modules imported into the fork server from
the user's own files, as that would run them outside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mull.core.errors import UserError
from mull.verify import trees
from mull.verify.code import NoWall
from mull.verify.sandbox import walls, wire
from mull.verify.sandbox.base import Call, Limits, Returned


def call(source: str, function: str, args: Sequence[Any], limits: Limits, kit: tuple[str, ...]) -> Returned:
    """`function(*args)` of the module `source`; `kit` are modules that the sandbox has imported already.

    Raises:
        NoWall: no sandbox can be put up here.
        wire.Opaque: an argument that cannot cross.
    """
    given = [wire.to_tree(arg) for arg in args]
    try:
        wall = walls.current(kit)
    except UserError as error:
        raise NoWall(str(error)) from None
    with wall.calls(source, limits) as ask:
        return ask(Call(function, given))


def plain(tree: Any) -> Any:
    """A tree as JSON's own values: lists for tuples, text for keys.

    Raises:
        ValueError: it is no tree, too large, or holds what JSON has not.
    """
    if not trees.fits(tree):
        raise ValueError("too large, or too deep")
    return _plain(tree)


def _plain(tree: Any) -> Any:
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    tag, members = next(iter(tree.items())) if isinstance(tree, dict) and len(tree) == 1 else ("", None)
    if tag in ("l", "t") and isinstance(members, list):
        return [_plain(member) for member in members]
    if tag == "d" and isinstance(members, list):
        pairs = [pair for pair in members if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)]
        return {key: _plain(value) for key, value in pairs}
    if tag == "f" and members in ("nan", "inf", "-inf"):
        return math.nan if members == "nan" else float(members)
    raise ValueError("neither text, number, list nor dict")
