"""Preferences by name: those of the embedded world, and files.

"requests/helpful"           a source of the embedded world, its train split
"requests/helpful:test"      another split of it (without noise)
"data/pairs.jsonl"           a file, as `preferences` reads it
"""

from __future__ import annotations

from pathlib import Path

from mull.core.errors import UserError, nearest
from mull.tasks.base import SPLITS
from mull.tasks.preferences import Preference, read_preferences
from mull.tasks.world.wishes import SOURCES, wishes


def load_preferences(spec: str, skip: bool = False) -> list[Preference]:
    """The preferences that a spec names; with `skip` rows of a file that are none are left out.

    Raises:
        UserError: no such source, split or file, or a row that is no preference.
    """
    name, _, split = spec.partition(":")
    if name in SOURCES:
        if (split or "train") not in SPLITS:
            raise UserError(f"{name}: no split {split!r}{nearest(split, SPLITS)}")
        return wishes(name, split or "train")
    path = Path(spec).expanduser()
    if not path.exists() and name.partition("/")[0] in {source.partition("/")[0] for source in SOURCES}:
        raise UserError(f"no preferences {name!r}{nearest(name, SOURCES)}")
    return read_preferences(path, skip)
