"""Our side of the fork server: starts it, asks it for sandboxes, talks to the program in each, ends it all.

    caller's thread ─ open ─> waits for a free slot (each is given back at its deadline at the latest)
                      └─ zygote: one more (waits on the control socket for the zygote's start, START_SECONDS)
                      └─ job socket: frames (waits for each as long as a test may take, then ends the sandbox)
                      └─ status socket: what it has used, and that all of it is gone (waits GRACE_SECONDS for an answer)

Many threads may open sandboxes at once. The caller's signals, threads and children are left alone; a process that it
forks starts without sandboxes. Left out on purpose: reuse of a sandbox for a second program.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from mull.verify.sandbox import linux, wire
from mull.verify.sandbox.base import Ask, Limits, Ran
from mull.verify.sandbox.channel import FRAME_SLACK, CannotStart, Channel, calls, runs

START_SECONDS = 120.0
GRACE_SECONDS = 10.0
THREADS_A_SLOT = 64
MOST_SECONDS = 3600.0
"""A sandbox that nobody ends is ended after so long."""


class ForkServer:
    """The walls `namespaces`, `landlock` and `none`. Example: `with ForkServer("namespaces") as wall: wall.calls(…)`

    `preload` are modules that every sandbox has imported already; with `packages` the caller's installed packages and
    import path can be read inside.
    """

    def __init__(self, name: str, slots: int = 0, preload: Sequence[str] = (), packages: bool = False) -> None:
        self.name = name
        self.preload, self.packages = tuple(preload), packages
        self._count = slots or max(2, os.cpu_count() or 1)
        self._slots = threading.BoundedSemaphore(self._count)
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the fork server, if it is not running.

        Raises:
            CannotStart: the machine does not allow this wall.
        """
        with self._lock:
            self._started()

    def _started(self) -> socket.socket:
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self._stop()
        ours, theirs = socket.socketpair()
        ours.settimeout(START_SECONDS)
        home = str(Path(__file__).parents[3])
        with theirs:
            # the packages above it stay empty: no sandbox has the rest of this library in it, nor waits for it
            command = (
                "import sys, types\n"
                "for name, path in (('mull', 'mull'), ('mull.verify', 'mull/verify')):\n"
                f"    module = sys.modules[name] = types.ModuleType(name); module.__path__ = [{home!r} + '/' + path]\n"
                "from mull.verify.sandbox.zygote import main"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-P", "-B", "-c", f"{command}\nmain({theirs.fileno()})"],
                # a fixed seed: the order of a set is the same in every sandbox
                env={"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is the caller's
            )
        self._control = ours
        try:
            wire.send(ours, self._config())
            answer = wire.receive(ours, FRAME_SLACK) or {"ready": False, "why": "its process ended"}
        except (OSError, wire.Broken) as error:
            answer = {"ready": False, "why": str(error)}
        if not answer["ready"]:
            self._stop()
            raise CannotStart(f"{self.name}: {answer['why']}")
        return ours

    def _config(self) -> dict[str, Any]:
        runtime = [sysconfig.get_path("stdlib"), sys.base_prefix + "/lib"]
        own = [path for path in sys.path if path and os.path.isdir(path)] if self.packages else []
        return {
            "wall": self.name,
            "binds": [os.path.realpath(path) for path in [*runtime, *own] if os.path.isdir(path)] + own,
            "path": own,
            "preload": self.preload,
            "uid": linux.job_uid(),
            "tmp_mb": Limits.tmp_mb,
        }

    @contextlib.contextmanager
    def opened(self, job: dict[str, Any], limits: Limits, counted: bool = True) -> Iterator[Channel]:
        """A sandbox with a job in it, ended on leaving.

        `counted=False` takes no slot: for a second sandbox beside one that the caller holds, which would otherwise wait
        for a slot while others wait for the caller's.
        """
        with self._slots if counted else contextlib.nullcontext():
            ours, theirs = socket.socketpair()
            status, its = socket.socketpair()
            with ours, status:
                with theirs, its, self._lock:
                    for attempt in range(2):  # once more, as somebody may have killed the zygote
                        try:
                            order = json.dumps({"seconds": MOST_SECONDS}).encode()
                            socket.send_fds(self._started(), [order], [theirs.fileno(), its.fileno()])
                            break
                        except CannotStart:
                            raise
                        except OSError as error:
                            self._stop()
                            if attempt:
                                raise CannotStart(f"{self.name}: {error}") from None
                counts = self._processes(limits)
                channel = Channel(ours, limits, _Status(status))
                try:
                    channel.send({**job, "limits": limits.as_job(counts)})
                    yield channel
                finally:
                    channel.end()

    def _processes(self, limits: Limits) -> int:
        """How many processes a job may have, or 0. Without namespaces the kernel counts those of the whole user, so
        that there is a bound for a user of our own only, and all jobs share it."""
        if self.name == "namespaces":
            return limits.processes
        return THREADS_A_SLOT * self._count if self.name == "landlock" and os.getuid() == 0 else 0

    def runs(self, source: str, inputs: Sequence[str], limits: Limits) -> Generator[Ran, None, None]:
        return runs(self, source, inputs, limits)

    def calls(self, source: str, limits: Limits) -> AbstractContextManager[Ask]:
        return calls(self, source, limits)

    def _stop(self) -> None:
        if self._control:
            self._control.close()  # the zygote ends its jobs and itself
        if self._process:
            try:
                self._process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None

    def close(self) -> None:
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """In a forked child: these processes and locks are the parent's."""
        if self._control:
            self._control.close()
        self._control = self._process = None
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self._count)


class _Status:
    """The zygote's word on one sandbox: see `channel.Times`."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.last: dict[str, float] = {}
        """What it said when all was gone."""

    def __call__(self, order: Literal["look", "end"]) -> dict[str, float]:
        self.line.settimeout(GRACE_SECONDS)
        with contextlib.suppress(OSError):  # it may have ended, and that have been said already
            wire.send(self.line, {order: True})
        while not self.last:
            try:
                answer = wire.receive(self.line, FRAME_SLACK)
            except TimeoutError:
                return {}
            except (OSError, wire.Broken):
                answer = None
            if answer is None:
                return {"lost": 1.0}  # the zygote is gone, and with it every sandbox
            if answer.get("over"):
                self.last = answer
            elif order == "look":
                return answer
        return self.last
