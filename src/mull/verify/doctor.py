"""Which wall holds on this machine, why stronger ones do not, and does it stop what it is expected to stop?

Left out on purpose: putting anything right; what the machine's owner can switch on is said in words.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.errors import UserError
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import Wall
from mull.verify.sandbox.channel import CannotStart
from mull.verify.sandbox.escapes import attempt
from mull.verify.sandbox.escapes.base import Escape, Finding, Outcome
from mull.verify.sandbox.escapes.scene import Scene
from mull.verify.sandbox.escapes.table import broken, expected

SETTINGS = (
    ("user/max_user_namespaces", "user.max_user_namespaces", lambda value: value == 0, "15000"),
    ("kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", lambda value: value == 0, "1"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "kernel.apparmor_restrict_unprivileged_userns",
        lambda value: value == 1,
        "0",
    ),
)
"""Where user namespaces are switched off: file, name, is this the value that does it, the value that does not."""
EVERY = (*walls.AUTOMATIC, "bubblewrap")


@dataclass(frozen=True)
class Row:
    """One escape, what came of it, and whether that breaks the wall's promise."""

    escape: Escape
    finding: Finding
    promised: bool
    why: str
    broken: bool

    def as_json(self) -> dict[str, Any]:
        found = self.finding
        return {
            "name": found.name, "tries": self.escape.tries, "outcome": str(found.outcome), "detail": found.detail,
            "promised": self.promised, "why": self.why, "broken": self.broken, "ms": round(found.seconds * 1e3, 1),
        }  # fmt: skip


@dataclass(frozen=True)
class Examined:
    """One wall: does it stand, why not, and what it stopped. Example: `Examined("landlock", True, "", (…,))`"""

    name: str
    stands: bool
    why: str = ""
    rows: tuple[Row, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing that it is expected to stop got out."""
        return not any(row.broken for row in self.rows)

    def count(self, outcome: Outcome) -> int:
        return sum(row.finding.outcome is outcome for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        summary = {str(outcome): self.count(outcome) for outcome in Outcome}
        summary["broken"] = sum(row.broken for row in self.rows)
        escapes = [row.as_json() for row in self.rows]
        return {"name": self.name, "stands": self.stands, "why": self.why, "summary": summary, "escapes": escapes}


@dataclass(frozen=True)
class Report:
    """The walls that were looked at, and in plain words what to do where user namespaces are off."""

    walls: tuple[Examined, ...]
    advice: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """At least one wall stands, and each keeps its promise."""
        return any(wall.stands for wall in self.walls) and all(wall.ok for wall in self.walls)

    def as_json(self) -> dict[str, Any]:
        return {"walls": [wall.as_json() for wall in self.walls], "advice": list(self.advice), "ok": self.ok}


@dataclass(frozen=True)
class Watch:
    """Who is told while it goes on: of a wall, when it stands or does not, and of each row."""

    wall: Callable[[Examined], None]
    row: Callable[[Row], None]


def examine(wanted: str, every: bool, watch: Watch) -> Report:
    """Put up the wall that is wanted, or the strongest, or `every` one that can stand, and try the list on each.

    Raises:
        UserError: no such wall, or the one that was asked for by name cannot be put up.
    """
    walls.check(wanted)
    names = EVERY if every else walls.AUTOMATIC if wanted == "auto" else (wanted,)
    if platform.system() != "Linux":
        return Report(tuple(Examined(name, False, "it needs Linux") for name in names))
    seen: list[Examined] = []
    with Scene() as scene:
        for name in names:
            try:
                wall = walls.put_up(name)
            except (UserError, CannotStart) as error:
                if name == wanted:
                    raise
                seen.append(Examined(name, False, _reason(error)))
                watch.wall(seen[-1])
                continue
            try:
                watch.wall(Examined(wall.name, True))
                seen.append(Examined(wall.name, True, "", tuple(_rows(wall, scene, watch))))
            finally:
                wall.close()
            if not every:
                break
    refused = any(not one.stands and one.name == "namespaces" for one in seen)
    return Report(tuple(seen), tuple(advice()) if refused else ())


def _rows(wall: Wall, scene: Scene, watch: Watch) -> list[Row]:
    rows = []
    for escape, finding in attempt.run(wall, scene):
        promise = expected(wall.name, escape.name)
        rows.append(Row(escape, finding, promise.stops, promise.why, broken(wall.name, finding)))
        watch.row(rows[-1])
    return rows


def _reason(error: Exception) -> str:
    """What was refused, without the advice that stands around it elsewhere."""
    text = str(error)
    return text.partition("(")[2].rpartition(");")[0].partition(": ")[2] or text


def advice(sysctl: Path = Path("/proc/sys")) -> list[str]:
    """Why user namespaces are refused here and how to switch them on, one line each."""
    found = []
    for file, name, is_off, on in SETTINGS:
        try:
            value = int((sysctl / file).read_text())
        except (OSError, ValueError):
            continue
        if is_off(value):
            found.append(f"user namespaces are off ({name} = {value}); as root: sysctl -w {name}={on}")
    if not found and os.path.exists("/.dockerenv"):
        found.append(
            "a container's own filter of system calls may refuse user namespaces; docker run has "
            "--security-opt seccomp=FILE for a filter that allows unshare, clone, mount and pivot_root"
        )
    return found or ["user namespaces are refused, and none of the usual settings says why"]
