"""What a disk refuses, as one line that names the fix.

Libraries wrap what the system said in errors of their own; the number of it is found again, through their chain and in
their text. Left out on purpose: errors of reading, which are mistakes in what was given and said where it is read.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mull.core.errors import StageFailed

FIXES = {
    errno.ENOSPC: "make room on it",
    errno.EDQUOT: "make room in your quota",
    errno.EFBIG: "raise the largest size of a file (ulimit -f)",
    errno.EROFS: "make it writable",
    errno.EACCES: "give yourself the right to write there",
    errno.EPERM: "give yourself the right to write there",
    errno.EIO: "look at the disk",
}
NUMBER = re.compile(r"(?:os error |errno )(\d+)", re.IGNORECASE)


def refusal(error: BaseException, place: Path) -> str:
    """`"/runs/a: No space left on device; make room on it"`, or "" when the disk is not what failed.

    `place` is named where the error names no file.
    """
    for link in _chain(error):
        found = NUMBER.search(str(link))
        number = getattr(link, "errno", None) or (int(found[1]) if found else 0)
        if number in FIXES:
            where = getattr(link, "filename", None) or place
            return f"{where}: {os.strerror(number)}; {FIXES[number]}"
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@contextmanager
def said_of_the_disk(place: Path) -> Iterator[None]:
    """Turn what the disk refuses inside into one line.

    Raises:
        StageFailed: the disk refused something; everything else passes as it is.
    """
    try:
        yield
    except StageFailed:
        raise
    except Exception as error:
        said = refusal(error, place)
        if said:
            raise StageFailed(f"{said}, and run the same command again") from error
        raise
