"""The nouns of the escape list: a way out, what of it was seen on the host, and the words its programs share.

An escape is a program. Whether it got out is looked for on the host: a secret that came back, a listener that was
reached, a file that appeared, a process that died or lives on. Where an escape leaves no trace outside (a kernel
interface that opens), its own word counts: a line that begins with GOT. A program that says neither GOT nor no, and
does not end as it is meant to, has tried nothing, and that is no success of the wall.

Left out on purpose: holes in the kernel itself, which no list of programs can show to be absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mull.verify.sandbox.base import How, Limits

Facts = dict[str, Any]
"""What a program is told of the host: paths, addresses and process numbers, never a secret."""


class Outcome(StrEnum):
    """What came of an escape."""

    STOPPED = "stopped"
    NOT_STOPPED = "not stopped"
    DOES_NOT_APPLY = "does not apply"
    """Nothing to try here: the reason says what is missing."""
    UNCLEAR = "unclear"
    """The program did not come to its attempt; counted as if it had got out."""


@dataclass(frozen=True)
class Brief(Limits):
    """Limits for programs that are meant to hang."""

    seconds: float = 1.0

    @property
    def clock(self) -> float:
        """Two seconds, so that a list with several of them stays short."""
        return 2.0


def _always(facts: Facts) -> str:
    return ""


@dataclass(frozen=True)
class Escape:
    """A way out. Example: `Escape("shadow", "reads /etc/shadow", "attempt(lambda: open('/etc/shadow').read())")`

    `needs` says why it does not apply here, or nothing. `harmful` ones run only behind a wall that is to end them.
    `ends` are the ways in which the program ends where it is stopped without a word. `then` is a second program, run
    afterwards in a sandbox of its own, whose words count as well. With `calls` the program is loaded and its function
    `escape` called.
    """

    name: str
    tries: str
    program: str
    needs: Callable[[Facts], str] = _always
    harmful: bool = False
    ends: frozenset[How] = frozenset()
    limits: Limits = field(default_factory=lambda: Limits(seconds=2))
    then: str = ""
    calls: bool = False


@dataclass(frozen=True)
class Finding:
    """One escape against one wall. Example: `Finding("shadow", Outcome.STOPPED, "ENOENT", 0.012)`"""

    name: str
    outcome: Outcome
    detail: str
    seconds: float


def needs(key: str, what: str) -> Callable[[Facts], str]:
    """Applies where the host has `key`. Example: `needs("mq", "POSIX message queues")`"""
    return lambda facts: "" if facts.get(key) else f"no {what} here"


def needs_x86(facts: Facts) -> str:
    """Applies to x86-64 only."""
    return "" if facts["machine"] == "x86_64" else "no such calls on this processor"


KIT = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def fail(number=None):
    number = number or ctypes.get_errno()
    raise OSError(number, os.strerror(number))
def call(name, *args):
    if name not in NUMBERS:
        fail(errno.ENOSYS)
    args = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    got = libc.syscall(ctypes.c_long(NUMBERS[name]), *args)
    return fail() if got < 0 else got
def attempt(act):
    try:
        got = act()
    except BaseException as error:
        code = errno.errorcode.get(getattr(error, "errno", None) or 0)
        print("no", code or type(error).__name__, flush=True)
    else:
        print("GOT", str(got)[:300], flush=True)
"""
"""What every program of the list begins with; `H` (the facts) and `NUMBERS` (of system calls) stand before it."""
MEMORY = """
WORD = b"bait" + b"_"
def look(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, modes = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if "w" not in modes or end - start > 16 << 20:
                continue
            try:
                mem.seek(start)
                text = mem.read(end - start)
            except OSError:
                continue
            at = text.find(WORD)
            while at >= 0:
                print(text[at:at + 40])
                at = text.find(WORD, at + 1)
"""
"""Prints every secret that stands in the memory of a process."""
