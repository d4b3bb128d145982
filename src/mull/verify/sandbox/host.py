"""Our side of the fork server: starts it, asks it for sandboxes, talks to the program in each, ends it all.

    caller's thread ─ open ─> waits for a free slot (each is given back at its deadline at the latest)
                      └─ zygote: one more (waits on the control socket for the zygote's start, START_SECONDS)
                      └─ job socket: frames (waits for each as long as a test may take, then ends the sandbox)
                      └─ status socket: how it ended (waits GRACE_SECONDS after the end)

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
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mull.verify.sandbox import wire
from mull.verify.sandbox.base import Ask, Call, How, Limits, Ran, Returned

START_SECONDS = 120.0
GRACE_SECONDS = 10.0
FRAME_SLACK = 1 << 16
"""Bytes of a frame beyond what the program may print: names, tags, JSON's own."""
MOST_SECONDS = 3600.0
"""A sandbox that nobody ends is ended after so long."""


class CannotStart(OSError):
    """This wall cannot be put up here; the message says what the kernel refused."""


class ForkServer:
    """The walls `namespaces`, `landlock` and `none`. Example: `with ForkServer("namespaces") as wall: wall.run(…)`

    `preload` are modules that every sandbox has imported already; with `packages` the caller's installed packages and
    import path can be read inside.
    """

    def __init__(self, name: str, slots: int = 0, preload: Sequence[str] = (), packages: bool = False) -> None:
        self.name = name
        self.preload, self.packages = tuple(preload), packages
        self._slots = threading.BoundedSemaphore(slots or max(2, os.cpu_count() or 1))
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
            command = f"import sys; sys.path.append({home!r}); from mull.verify.sandbox.zygote import main"
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-P", "-B", "-c", f"{command}; main({theirs.fileno()})"],
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
            "uid": 61184 + os.getpid() % 4000,  # nobody's: systemd's range for users that come and go
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
                processes = limits.processes if self.name == "namespaces" else 0
                allowed = {
                    "seconds": limits.seconds, "memory_mb": limits.memory_mb, "processes": processes,
                    "file_mb": limits.file_mb, "output_bytes": limits.output_bytes,
                }  # fmt: skip
                channel = Channel(ours, status, limits)
                try:
                    channel.send({**job, "limits": allowed})
                    yield channel
                finally:
                    channel.end()

    def run(self, source: str, inputs: Sequence[str], limits: Limits) -> list[Ran]:
        results: list[Ran] = []
        while len(results) < len(inputs):
            with self.opened({"mode": "stdin", "source": source}, limits) as channel:
                for text in inputs[len(results) :]:
                    channel.send({"stdin": text})
                    answer = channel.receive()
                    results.append(_ran(answer))
                    if isinstance(answer, How):  # that sandbox is gone; the next input gets another
                        break
        return results

    @contextlib.contextmanager
    def calls(self, source: str, limits: Limits) -> Iterator[Ask]:
        job = {"mode": "calls", "source": source}
        with contextlib.ExitStack() as stack:
            loaded: list[Channel] = []

            def ask(call: Call) -> Returned:
                if not loaded:
                    channel = stack.enter_context(self.opened(job, limits))
                    failed = _loading(channel.receive())
                    if failed:
                        stack.close()
                        return failed
                    loaded.append(channel)
                order = {"call": call.function, "args": list(call.args), "kwargs": dict(call.kwargs)}
                loaded[0].send({**order, "args_back": call.args_back})
                answer = loaded[0].receive()
                if isinstance(answer, How) or "died" in answer:
                    loaded.clear()
                    stack.close()
                return _returned(answer)

            yield ask

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
        self._slots = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))


class Channel:
    """One sandbox: frames to and from the program in it, and how all of it ended."""

    def __init__(self, frames: socket.socket, status: socket.socket, limits: Limits) -> None:
        self.frames, self.status, self.limits = frames, status, limits
        self.over = False

    def send(self, message: Any) -> None:
        """A frame; where the sandbox is gone, the next `receive` says so."""
        self.frames.settimeout(self.limits.clock)
        with contextlib.suppress(OSError):
            wire.send(self.frames, message)

    def receive(self) -> dict[str, Any] | How:
        """The program's next frame, or how the sandbox ended without one."""
        deadline = time.monotonic() + self.limits.clock
        self.frames.settimeout(self.limits.clock)
        try:
            answer = wire.receive(_Until(self.frames, deadline), 6 * self.limits.output_bytes + FRAME_SLACK)  # type: ignore[arg-type]
        except TimeoutError:
            return self._late()
        except wire.Broken:
            return How.OUTPUT
        except OSError:
            return How.DIED
        if answer is None:
            return How.DIED
        return answer if isinstance(answer, dict) else How.OUTPUT

    def _late(self) -> How:
        """The clock ran out: was the program idle, or did it get no processor? Asked before it is ended."""
        found = self.end()
        if found.get("cpu", 0.0) >= self.limits.seconds:
            return How.CPU
        return How.STARVED if found.get("waited", 0.0) > 0.25 * self.limits.clock else How.IDLE

    def end(self) -> dict[str, Any]:
        """End the sandbox; what the zygote says of it."""
        if self.over:
            return {}
        self.over = True
        with contextlib.suppress(OSError):
            wire.send(self.status, {"end": True})
        self.status.settimeout(GRACE_SECONDS)
        try:
            return wire.receive(self.status, FRAME_SLACK) or {}
        except (OSError, wire.Broken):
            return {}


class _Until:
    """A socket whose reads end at a deadline, however slowly bytes drip in."""

    def __init__(self, frames: socket.socket, deadline: float) -> None:
        self.frames, self.deadline = frames, deadline

    def recv(self, size: int) -> bytes:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.frames.settimeout(left)
        return self.frames.recv(size)


def _text(answer: dict[str, Any], key: str) -> str:
    value = answer.get(key, "")
    return value if isinstance(value, str) else ""


def _refused(answer: dict[str, Any]) -> str:
    return _text(answer, "refused")


_ENDS = {"exit": How.DONE, "error": How.RAISED, "cpu": How.CPU, "memory": How.MEMORY, "output": How.OUTPUT}


def _ran(answer: dict[str, Any] | How) -> Ran:
    if isinstance(answer, How):
        return Ran(answer)
    if _refused(answer):
        return Ran(How.REFUSED, why=_refused(answer))
    how = _text(answer, "how")
    cpu = answer.get("cpu", 0.0)
    return Ran(
        _ENDS.get(how, How.DIED),
        _text(answer, "out"),
        _text(answer, "why") or how,
        cpu if isinstance(cpu, float) else 0.0,
    )


def _loading(answer: dict[str, Any] | How) -> Returned | None:
    """Why the program could not be loaded, or None."""
    if isinstance(answer, dict) and answer.get("loaded") is True:
        return None
    if isinstance(answer, dict) and answer.get("loaded") is False:
        return Returned(How.RAISED, why=f"the program does not load: {_text(answer, 'why')}")
    found = _returned(answer)
    return Returned(found.how, why=f"while the program was loaded: {found.why or found.how}")


def _returned(answer: dict[str, Any] | How) -> Returned:
    if isinstance(answer, How):
        return Returned(answer)
    if _refused(answer):
        return Returned(How.REFUSED, why=_refused(answer))
    if "died" in answer:
        how = _ENDS.get(_text(answer, "died"), How.DIED)
        return Returned(
            How.DIED if how in (How.DONE, How.RAISED) else how, why=f"its process ended ({_text(answer, 'died')})"
        )
    if "raised" in answer:
        kind = _text(answer, "raised")
        how = How.MEMORY if kind == "MemoryError" else How.OUTPUT if kind == "Opaque" else How.RAISED
        return Returned(how, why=_text(answer, "why"), raised=kind)
    if "value" not in answer:
        return Returned(How.OUTPUT, why="an answer that is none")
    args = answer.get("args", [])
    return Returned(How.DONE, answer["value"], args=tuple(args) if isinstance(args, list) else ())
