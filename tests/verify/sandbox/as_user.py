"""Run a command as an ordinary user: `python as_user.py FOLDER WORDS…`; as root it becomes one first.

The interpreter and this library may lie under root's home, which an ordinary user cannot enter: then they are bound,
in a mount namespace of this process, under a home that can be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mull.verify.sandbox import linux

UID = 60999


def closed(path: Path) -> Path | None:
    """The uppermost folder on the way to `path` that others cannot enter."""
    for folder in [*reversed(path.parents), path]:
        if not os.stat(folder).st_mode & 0o001:
            return folder
    return None


def open_up(places: list[Path]) -> None:
    """Cover what is closed with an empty folder, and bind the places back into it."""
    hidden = {folder for place in places if (folder := closed(place))}
    if not hidden:
        return
    linux.unshare(linux.NEW_MOUNT)
    linux._check(linux.LIBC.mount(None, b"/", None, 16384 | 1 << 18, None), "mount private")
    kept = [(place, os.open(place, os.O_PATH)) for place in places if closed(place)]
    for folder in hidden:
        linux.mount_tmpfs(str(folder), "mode=755")
    for place, source in kept:
        place.mkdir(parents=True, exist_ok=True)
        linux._check(
            linux.LIBC.mount(f"/proc/self/fd/{source}".encode(), str(place).encode(), None, 4096 | 16384, None), "bind"
        )


def main() -> None:
    """Become the user and the command."""
    folder, words = sys.argv[1], sys.argv[2:]
    if os.getuid() == 0:
        home = Path(linux.__file__).parents[3]
        open_up([Path(os.path.realpath(sys.base_prefix)), Path(os.path.realpath(sys.prefix)), home])
        os.chown(folder, UID, UID)
        linux.drop_ids(UID, UID)
    os.chdir(folder)
    os.execve(words[0], words, {**os.environ, "HOME": folder})


if __name__ == "__main__":
    main()
