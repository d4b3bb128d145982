"""Workers that answer whether two formulas are equal, each killed when it takes too long.

    caller's thread ─ ask ─> a free worker (waits on `_changed` for one, at most QUEUE_SECONDS; threads whose questions
                        │    took too long before come after those whose did not)
                        └──> its reply (waits on the job socket, at most SECONDS; the worker's own timer kills it)
                        └──> a new worker from the zygote where one died (waits on the control socket, START_SECONDS)

Nothing starts before the first question, so that training which never asks has no processes. The caller's signals,
event loop and threads are left alone: deadlines are the worker's timer and a socket's, children belong to the zygote,
and a process that the caller forks starts without workers. Answers are remembered, timeouts too: a hostile answer that
comes sixteen times in a group costs its second once. Left out on purpose: threads of our own, multiprocessing.
"""

from __future__ import annotations

import atexit
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.types import VerdictKind
from mull.verify import worker

SECONDS = 0.8
"""One question, from its start."""
START_SECONDS = 60.0
QUEUE_SECONDS = 60.0
MAX_STRIKES = 8
REMEMBERED = 16_384
MAX_LENGTH = 300
"""Characters of a formula that is handed to a worker."""

_COMMAND_NAMES = (
    "frac sqrt sum prod int lim to infty pi alpha beta gamma theta lambda mu phi omega sin cos tan cot sec csc arcsin "
    "arccos arctan sinh cosh tanh ln lg log exp lfloor rfloor lceil rceil max min gcd lcm binom left right cdot times "
    "div mod bmod circ"
)
_COMMANDS = frozenset(_COMMAND_NAMES.split())
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_REFUSED = re.compile(r"[=<>&;\"'#%$?:@~`]|\\[^A-Za-z]|[0-9.]\s+[0-9.]|[0-9]{16}|\^\s*\{[^{}]*\^|!\s*!|__|[^\x20-\x7e]")
_BOUND = re.compile(r"_\s*\{\s*[A-Za-z]\s*=")
"""The `=` of a sum's lower end, the only one there may be."""
_FACTORIAL = re.compile(r"[0-9]{4,}\s*\}?\)?\s*!")


class Undecided(Exception):
    """A worker gave no answer; `kind` is timeout or error."""

    def __init__(self, kind: VerdictKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class _Worker:
    pid: int
    jobs: socket.socket


def askable(text: str) -> bool:
    """Is `text` a formula that a worker may read: short, of known commands, no chain, no tower, no numbers in a row?"""
    return (
        len(text) <= MAX_LENGTH
        and not _REFUSED.search(_BOUND.sub("_{", text))
        and not _FACTORIAL.search(text)
        and all(name in _COMMANDS for name in _COMMAND.findall(text))
    )


class Workers:
    """A pool of at most `size` workers. Example: `with Workers() as workers: workers.ask("\\\\ln 4", "2\\\\ln 2")`"""

    def __init__(self, size: int = 0, seconds: float = SECONDS) -> None:
        self._size = size or min(4, os.cpu_count() or 1)
        self._seconds = seconds
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        self._busy = 0
        self._waiting: list[int] = []  # the strikes of each thread that waits for a worker
        self._asking = threading.local()  # .strikes: how often this thread's questions took too long
        self._starting = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._known: OrderedDict[tuple[str, str], bool | str] = OrderedDict()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, gold: str, answer: str) -> bool:
        """Are the two formulas equal? False without a question where one of them is not `askable`.

        Raises:
            Undecided: it took too long, or the worker died.
        """
        if not askable(gold) or not askable(answer):
            return False
        with self._changed:
            known = self._known.get((gold, answer))
        if isinstance(known, bool):
            return known
        if known:
            raise Undecided(VerdictKind.TIMEOUT, known)
        try:
            equal = self._asked(gold, answer)
        except Undecided as undecided:
            if undecided.kind is VerdictKind.TIMEOUT:
                self._remember((gold, answer), str(undecided))
                self._strike(1)
            raise
        self._strike(-1)
        self._remember((gold, answer), equal)
        return equal

    def _remember(self, pair: tuple[str, str], found: bool | str) -> None:
        with self._changed:
            self._known[pair] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _asked(self, gold: str, answer: str) -> bool:
        reply, seconds = self._tried(gold, answer)
        for _ in range(self._size):
            if reply is None and seconds < 0.1 * self._seconds:  # somebody had ended the worker while it was idle
                reply, seconds = self._tried(gold, answer)
        if reply is None and seconds >= 0.9 * self._seconds:
            raise Undecided(VerdictKind.TIMEOUT, f"comparing took more than {self._seconds:g} s")
        if reply is None or "error" in reply:
            raise Undecided(VerdictKind.ERROR, f"the comparing process died ({(reply or {}).get('error', 'no reply')})")
        return bool(reply["equal"])

    def _tried(self, gold: str, answer: str) -> tuple[dict[str, Any] | None, float]:
        """A worker's reply, None where it gave none, and the seconds that this took."""
        mine = self._take()
        started = time.monotonic()
        reply = None
        try:
            mine.jobs.settimeout(self._seconds + 0.5)
            worker.send(mine.jobs, {"gold": gold, "answer": answer, "seconds": self._seconds})
            reply = worker.receive(mine.jobs)
        except OSError:
            pass  # it is killed below, and said by its kind
        finally:
            self._give_back(mine, alive=reply is not None and "error" not in reply and not reply["last"])
        return reply, time.monotonic() - started

    def _take(self) -> _Worker:
        strikes = getattr(self._asking, "strikes", 0)
        with self._changed:
            self._waiting.append(strikes)
            try:
                free = self._changed.wait_for(lambda: self._is_next(strikes), QUEUE_SECONDS)
            finally:
                self._waiting.remove(strikes)
                self._changed.notify_all()
            if not free:
                raise Undecided(VerdictKind.ERROR, f"no comparing process was free for {QUEUE_SECONDS:g} s")
            self._busy += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._start()
        except BaseException:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
            raise

    def _is_next(self, strikes: int) -> bool:
        """Is a worker free, and nobody waiting who asked fewer questions that took too long?"""
        return strikes <= min(self._waiting) and bool(self._idle or self._busy < self._size)

    def _strike(self, strikes: int) -> None:
        """Count a question of this thread that took too long, or with -1 forget one for an answer."""
        self._asking.strikes = min(max(getattr(self._asking, "strikes", 0) + strikes, 0), MAX_STRIKES)

    def _give_back(self, mine: _Worker, alive: bool) -> None:
        if not alive:
            mine.jobs.close()
            self._kill(mine.pid)
        with self._changed:
            self._busy -= 1
            if alive:
                self._idle.append(mine)
            self._changed.notify_all()

    def _start(self) -> _Worker:
        with self._starting:
            for attempt in range(2):  # once more, as somebody may have killed the zygote
                try:
                    control = self._control or self._start_zygote()
                    control.sendall(b"F")
                    pid, descriptors, _, _ = socket.recv_fds(control, 64, 1)
                    if pid and descriptors:
                        return _Worker(int(pid), socket.socket(fileno=descriptors[0]))
                except OSError as error:
                    if attempt:
                        raise Undecided(VerdictKind.ERROR, f"no comparing process ({error})") from None
                self._stop_zygote()
        raise Undecided(VerdictKind.ERROR, "the process that starts comparing processes ended")

    def _start_zygote(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(START_SECONDS)
        home = str(Path(__file__).parents[2])
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "HOME") if name in os.environ}
        paths = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from mull.verify.worker import zygote; zygote({theirs.fileno()})"],
                env={**kept, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is the caller's
            )
        self._control = ours
        if ours.recv(16) != b"ready":
            raise OSError("it did not start; are sympy and latex2sympy2_extended installed?")
        return ours

    def _kill(self, pid: int) -> None:
        with self._starting:
            try:
                if self._control:
                    self._control.sendall(f"K{pid}".encode())
                    self._control.recv(16)
            except OSError:
                self._stop_zygote()

    def _stop_zygote(self) -> None:
        if self._control:
            self._control.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    def close(self) -> None:
        """End all workers. The next question starts new ones."""
        with self._changed:
            idle, self._idle = self._idle, []
        for one in idle:
            one.jobs.close()
        with self._starting:
            if self._control:
                self._control.close()  # the zygote ends its workers and itself
                self._control = None
            if self._process:
                try:
                    self._process.wait(5)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
                self._process = None

    def forget(self) -> None:
        """In a forked child: these processes and locks are the parent's."""
        for one in self._idle:
            one.jobs.close()
        if self._control:
            self._control.close()
        self._process = None  # its Popen would wait for a child that is not ours
        self.__init__(self._size, self._seconds)


_shared = Workers()
atexit.register(_shared.close)
os.register_at_fork(after_in_child=_shared.forget)


def ask(gold: str, answer: str) -> bool:
    """`Workers.ask` of the pool that this whole process shares."""
    return _shared.ask(gold, answer)
