"""What each wall is expected to stop: the promise that `mull doctor` and the tests hold it to.

Left out on purpose: promises about what the operator of a remote server does, and about a machine without a wall beyond
kernel limits and the fork server's own tidiness.
"""

from __future__ import annotations

from dataclasses import dataclass

from mull.verify.sandbox.escapes.base import Finding, Outcome


@dataclass(frozen=True)
class Expected:
    """Example: `Expected(False, "Landlock does not watch it")`; `why` stands where nothing is promised."""

    stops: bool
    why: str = ""


OPEN: dict[str, dict[str, str]] = {
    "namespaces": {},
    "landlock": {
        "sizes of files": "Landlock does not watch who asks for a file's size and age (as root: no such file)"
    },
    "bubblewrap": {"many files": "bwrap bounds the bytes of /tmp, not the number of its files"},
}
"""Walls that stop all but these."""
ONLY: dict[str, tuple[str, frozenset[str]]] = {
    "remote": (
        "what holds there is its operator's to say",
        frozenset((
            "home", "working directory", "host's /tmp", "host's /dev/shm", "names of files", "way up", "environment",
            "environments", "command lines", "abstract socket", "path socket", "datagram pair to a path",
            "datagram pair to a name", "an earlier job",
        )),
    ),
    "none": (
        "there is no wall",
        frozenset((
            "environment", "inherited descriptors", "descriptors of a call", "kill the parent", "stop the parent",
            "kill the group", "daemon", "daemon that holds the output", "deaf daemon", "stopping itself", "100 GB",
            "memory in pipes and sockets", "one large file", "endless output", "endless complaint", "deaf to its time",
            "an earlier job", "poisoned imports",
        )),
    ),
}  # fmt: skip
"""Walls that stop these and promise nothing of the rest."""
HARMFUL_BEHIND = ("namespaces", "landlock", "bubblewrap")
"""Walls behind which harmful escapes are tried."""


def expected(wall: str, escape: str) -> Expected:
    """What `wall` makes of `escape`."""
    if wall in ONLY:
        why, stopped = ONLY[wall]
        return Expected(True) if escape in stopped else Expected(False, why)
    why = OPEN[wall].get(escape, "")
    return Expected(not why, why)


def broken(wall: str, finding: Finding) -> bool:
    """Did the wall fail its promise? One that could not be tried out does not keep it either."""
    if finding.outcome is Outcome.UNCLEAR:
        return True
    return finding.outcome is Outcome.NOT_STOPPED and expected(wall, finding.name).stops
