"""How much main memory this process holds and held at most: Linux' VmRSS and VmHWM, the latter made to begin anew.

Writing "5" to /proc/self/clear_refs sets the high-water mark to what is held now (proc(5)), so that each stage, and
each step of one, has a peak of its own. Where the system does not tell (other systems, some containers), values are
None and nothing fails. Left out on purpose: the memory of an accelerator, and of other processes such as a sandbox's.
"""

from __future__ import annotations

import re
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


def resident() -> int | None:
    """Bytes of main memory that the process holds now, None where it cannot be told."""
    return _status("VmRSS")


class Meter:
    """The peaks of a stage and of each of its laps (steps), in bytes, from what was held when it was made.

    Example: `meter = Meter(); …; meter.lap()` is what the lap took above the beginning
    """

    def __init__(self) -> None:
        self._resets = _reset()
        self.before = resident()
        self._highest: int | None = None

    def start(self) -> None:
        """A lap begins: what was held at most before is kept for `peak` alone."""
        self._highest = self.peak
        self._resets = _reset()

    def lap(self) -> int | None:
        """Bytes above `before` that were held at most since `start`; None where that cannot be told."""
        now = self._since_reset()
        return None if now is None or self.before is None else now - self.before

    @property
    def peak(self) -> int | None:
        """Bytes that were held at most since the meter was made, None where that cannot be told."""
        known = [value for value in (self._highest, self._since_reset()) if value is not None]
        return max(known, default=None)

    def _since_reset(self) -> int | None:
        return _status("VmHWM") if self._resets else None


def _reset() -> bool:
    """Let the high-water mark begin anew; whether the system does that."""
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status(key: str) -> int | None:
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return int(found.group(1)) * 1024 if found else None
