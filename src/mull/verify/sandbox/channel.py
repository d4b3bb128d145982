"""One sandbox as a channel of frames, and what every wall of that kind has in common: runs and calls.

A frame is waited for as long as one test may take, then the sandbox is ended; the inputs that are left get a new one.
Nothing that comes in is trusted to be of the right shape: what is not becomes a failed test.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, runtime_checkable

from mull.verify.sandbox import wire
from mull.verify.sandbox.base import Ask, Call, How, Limits, Ran, Returned

FRAME_SLACK = 1 << 16
"""Bytes of a frame beyond what the program may print: names, tags, JSON's own."""


LOOK_AFTER = 0.1
"""Share of a test's time by the clock after which we look what its sandbox has used before."""
Times = Callable[[Literal["look", "end"]], Mapping[str, float]]
"""Asks what all that ran in a sandbox has used: `cpu` and `waited` seconds, and ends it. `lost`: nobody can say."""


class CannotStart(OSError):
    """This wall cannot be put up here; the message says what was refused."""


@runtime_checkable
class Opener(Protocol):
    """A wall whose sandboxes are channels."""

    def opened(self, job: dict[str, Any], limits: Limits, counted: bool = True) -> AbstractContextManager[Channel]: ...


def runs(wall: Opener, source: str, inputs: Sequence[str], limits: Limits) -> Generator[Ran, None, None]:
    """See `base.Wall.runs`."""
    done = 0
    while done < len(inputs):
        with wall.opened({"mode": "stdin", "source": source}, limits) as channel:
            for text in inputs[done:]:
                channel.send({"stdin": text})
                answer = channel.receive(scripts=True)
                done += 1
                yield _ran(answer)
                if isinstance(answer, How):  # that sandbox is gone; the next input gets another
                    break


@contextlib.contextmanager
def calls(wall: Opener, source: str, limits: Limits) -> Iterator[Ask]:
    """See `base.Wall.calls`."""
    job = {"mode": "calls", "source": source, "module": "program"}  # what runs only in a script does not run here
    with contextlib.ExitStack() as stack:
        loaded: list[Channel] = []

        def ask(call: Call) -> Returned:
            if not loaded:
                channel = stack.enter_context(wall.opened(job, limits))
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
            return returned(answer)

        yield ask


class Channel:
    """One sandbox: frames to and from the program in it, and how all of it ended."""

    def __init__(self, frames: socket.socket, limits: Limits, times: Times) -> None:
        self.frames, self.limits, self._times = frames, limits, times
        self._over = self._up = False
        self._before: Mapping[str, float] = {}
        self._owner = os.getpid()

    def send(self, message: Any) -> None:
        """A frame; where the sandbox is gone, the next `receive` says so."""
        self.frames.settimeout(self.limits.clock)
        with contextlib.suppress(OSError):
            wire.send(self.frames, message)

    def receive(self, scripts: bool = False) -> dict[str, Any] | How:
        """The program's next frame, or how the sandbox ended without one.

        Only what comes before the first word from inside can be a refusal of ours; a program could write one, too, and
        be left out of training where it has no right answer. And until then nothing can be the program's doing.
        `scripts` have no line to us: then all frames are the keeper's.
        """
        if not self._up:
            first = self._next()
            if isinstance(first, How):
                return How.STARVED if first in (How.CPU, How.IDLE, How.STARVED) else How.REFUSED
            if first.get("up") is not True:
                why = _text(first, "refused") or f"it could not be set up ({_text(first, 'died')})"
                return {"refused": why}
            self._up = True
        answer = self._next()
        return How.OUTPUT if isinstance(answer, dict) and "refused" in answer and not scripts else answer

    def _next(self) -> dict[str, Any] | How:
        self._before = {}
        source = _Until(self.frames, self.limits.clock, self._look)
        try:
            answer = wire.receive(source, 6 * self.limits.output_bytes + FRAME_SLACK)  # type: ignore[arg-type]
        except TimeoutError:
            return self._late()
        except wire.Broken:
            return How.OUTPUT
        except OSError:
            answer = None
        if answer is None:  # did it end, or did we lose all sandboxes at once, by no fault of it?
            return How.REFUSED if self.end().get("lost") else How.DIED
        return answer if isinstance(answer, dict) else How.OUTPUT

    def _late(self) -> How:
        """The clock ran out: was the program idle, or did it get no processor? Asked before it is ended.

        One that computes and has not had its CPU seconds by then has waited most of the time; a program that wants to
        be taken for it (what we fail at is left out of training) would have to compute, and be ended for that. What
        counts is this test: not how long the program has computed and waited in those before.
        """
        found = self.end()
        cpu, waited = (found.get(name, 0.0) - self._before.get(name, 0.0) for name in ("cpu", "waited"))
        if cpu >= (1 - LOOK_AFTER) * self.limits.seconds:
            return How.CPU
        return How.STARVED if waited > 0.5 * self.limits.clock else How.IDLE

    def _look(self) -> None:
        """Early in a test, but not of one that is answered at once, as it takes a while."""
        self._before = self._times("look")

    def end(self) -> Mapping[str, float]:
        """End the sandbox; the CPU seconds of all that ran in it, and the seconds it waited for a processor.

        Not from a child that was forked meanwhile and drops its copy: the sandbox is its parent's.
        """
        if self._over or os.getpid() != self._owner:
            return {}
        self._over = True
        return self._times("end")


class _Until:
    """A socket whose reads end at a deadline, however slowly bytes drip in; on the way there it calls `look` once."""

    def __init__(self, frames: socket.socket, seconds: float, look: Callable[[], None]) -> None:
        self.frames, self.look = frames, look
        now = time.monotonic()
        self.next, self.deadline = now + LOOK_AFTER * seconds, now + seconds

    def recv(self, size: int) -> bytes:
        while (now := time.monotonic()) < self.deadline:
            if now >= self.next:
                self.next = self.deadline
                self.look()
                continue
            self.frames.settimeout(self.next - now)
            with contextlib.suppress(TimeoutError):
                return self.frames.recv(size)
        raise TimeoutError


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
    if isinstance(answer, dict) and _refused(answer):  # the first frame of all; see Channel.receive
        return Returned(How.REFUSED, why=_refused(answer))
    found = returned(answer)
    return Returned(found.how, why=f"while the program was loaded: {found.why or found.how}")


def returned(answer: dict[str, Any] | How) -> Returned:
    """What a program's answer to a call says; it is the program's word, and no word of it makes a failure ours."""
    if isinstance(answer, How):
        return Returned(answer)
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
