"""Which wall stands here: the strongest that the machine allows, chosen once and named in every verdict.

| wall | what it is |
|---|---|
| `namespaces` | a fork server; each job alone in six namespaces, an empty root, no privilege, denied calls, Landlock |
| `landlock` | the same without namespaces: nothing to write, no process to start, no sockets |
| `bubblewrap` | the `bwrap` program, on request: namespaces too, and a new interpreter for each job |
| `remote` | a SandboxFusion server: `remote=URL` |
| `none` | kernel limits only; never chosen unless the user says so |

Left out on purpose: containers, which need a daemon or root.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence

from mull.core.errors import UserError, nearest
from mull.verify.sandbox import seccomp
from mull.verify.sandbox.base import Wall
from mull.verify.sandbox.bubblewrap import Bubblewrap
from mull.verify.sandbox.channel import CannotStart
from mull.verify.sandbox.host import ForkServer
from mull.verify.sandbox.remote import Remote

AUTOMATIC = ("namespaces", "landlock")
"""Tried in this order."""
NAMES = (*AUTOMATIC, "bubblewrap", "remote", "none")
Kit = tuple[str, ...]

_lock = threading.Lock()
_wanted = "auto"
_bare = False
_standing: dict[Kit, Wall] = {}


def use(wanted: str, unsandboxed: bool = False) -> None:
    """Choose the wall of this process: `auto`, one of `NAMES`, `remote=URL`. It is put up when it is first needed.

    With `unsandboxed` programs run without a wall where the wanted one cannot be put up.

    Raises:
        UserError: no such wall.
    """
    global _wanted, _bare
    _parsed(wanted)
    with _lock:
        if (wanted, unsandboxed) != (_wanted, _bare):
            _close()
            _wanted, _bare = wanted, unsandboxed


def current(packages: Sequence[str] = ()) -> Wall:
    """The wall that stands; with `packages`, one inside which these modules are imported and installed packages seen.

    Raises:
        UserError: none can be put up here and nobody said that none is needed.
    """
    kit = tuple(packages)
    with _lock:
        if kit not in _standing:
            _standing[kit] = put_up(_wanted, kit, _bare)
        return _standing[kit]


def check(wanted: str) -> None:
    """Is there such a wall?

    Raises:
        UserError: no.
    """
    _parsed(wanted)


def put_up(wanted: str, packages: Sequence[str] = (), unsandboxed: bool = False) -> Wall:
    """A wall of one's own, started; `auto` is the strongest, `unsandboxed` allows none where there is no other.

    Raises:
        UserError: it cannot stand here; says why, and what can be done.
    """
    name, url = _parsed(wanted)
    if packages and name in ("bubblewrap", "remote"):
        name = "auto"  # nothing is imported in advance there, and what is asked for is the user's own code
    reasons = []
    for choice in (*(AUTOMATIC if name == "auto" else (name,)), *(["none"] if unsandboxed else [])):
        if choice != "none" and not seccomp.supported():
            reasons.append(f"{choice}: no table of system calls for this processor ({os.uname().machine})")
            continue
        wall = _built(choice, url, packages)
        try:
            wall.start()
        except CannotStart as error:
            reasons.append(str(error))
            continue
        return wall
    raise UserError(
        f"no sandbox can be put up here ({'; '.join(reasons)}); name another with --sandbox (bubblewrap, "
        "remote=URL), or accept the danger with --allow-unsandboxed"
    )


def _parsed(wanted: str) -> tuple[str, str]:
    name, _, url = wanted.partition("=")
    if name not in ("auto", *NAMES) or bool(url) != (name == "remote"):
        raise UserError(f"no wall {wanted!r}{nearest(name, ('auto', *NAMES))} (remote is written remote=URL)")
    return name, url


def _built(name: str, url: str, packages: Sequence[str]) -> ForkServer | Bubblewrap | Remote:
    if name == "bubblewrap":
        return Bubblewrap()
    if name == "remote":
        return Remote(url)
    return ForkServer(name, preload=packages, packages=bool(packages))


def _close() -> None:
    while _standing:
        _standing.popitem()[1].close()


def close() -> None:
    """End every sandbox of this process; the next program puts a wall up again."""
    with _lock:
        _close()


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    for wall in _standing.values():
        if isinstance(wall, ForkServer):
            wall.forget()
    _standing.clear()


atexit.register(close)
os.register_at_fork(after_in_child=_forget)
