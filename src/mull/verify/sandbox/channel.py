"""One sandbox as a channel of frames, and what every wall of that kind has in common: runs and calls.

A frame is waited for as long as one test may take, then the sandbox is ended; the inputs that are left get a new one.
Nothing that comes in is trusted to be of the right shape: what is not becomes a failed test.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from mull.verify.sandbox import wire
from mull.verify.sandbox.base import Ask, Call, How, Limits, Ran, Returned

FRAME_SLACK = 1 << 16
"""Bytes of a frame beyond what the program may print: names, tags, JSON's own."""


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
                answer = channel.receive()
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

    def __init__(self, frames: socket.socket, limits: Limits, finish: Callable[[], dict[str, float]]) -> None:
        self.frames, self.limits, self._finish = frames, limits, finish
        self._over = self._up = False

    def send(self, message: Any) -> None:
        """A frame; where the sandbox is gone, the next `receive` says so."""
        self.frames.settimeout(self.limits.clock)
        with contextlib.suppress(OSError):
            wire.send(self.frames, message)

    def receive(self) -> dict[str, Any] | How:
        """The program's next frame, or how the sandbox ended without one.

        Only what comes before the keeper's first word can be a refusal of ours; a program could write one, too, and be
        left out of training where it has no right answer.
        """
        if not self._up:
            first = self._next()
            if isinstance(first, How) or first.get("up") is not True:
                return first
            self._up = True
        answer = self._next()
        return How.OUTPUT if isinstance(answer, dict) and "refused" in answer else answer

    def _next(self) -> dict[str, Any] | How:
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
        """The clock ran out: was the program idle, or did it get no processor? Asked before it is ended.

        One that computes and has not had its CPU seconds by then has waited most of the time; a program that wants to
        be taken for it (what we fail at is left out of training) would have to compute, and be ended for that.
        """
        found = self.end()
        if found.get("cpu", 0.0) >= self.limits.seconds:
            return How.CPU
        return How.STARVED if found.get("waited", 0.0) > 0.5 * self.limits.clock else How.IDLE

    def end(self) -> dict[str, float]:
        """End the sandbox; the CPU seconds of all that ran in it, and the seconds it waited for a processor."""
        if self._over:
            return {}
        self._over = True
        return self._finish()


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
