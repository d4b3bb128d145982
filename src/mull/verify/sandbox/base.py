"""The nouns of the sandbox: what a program may use, what came of running it, and what every wall offers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True)
class Limits:
    """What one program may use. Example: `Limits(seconds=2)`

    `seconds` are CPU seconds of one test (one input, one call); by the clock a test may take `patience` times as many,
    and at least PATIENCE_SECONDS, before the sandbox is ended. Memory is the address space of each of its processes.
    """

    seconds: float = 4.0
    patience: float = 3.0
    memory_mb: int = 1024
    processes: int = 8
    file_mb: int = 32
    tmp_mb: int = 64
    output_bytes: int = 1 << 20

    @property
    def clock(self) -> float:
        """Seconds by the clock that one test may take."""
        return max(PATIENCE_SECONDS, self.patience * self.seconds)

    def as_job(self, processes: int) -> dict[str, Any]:
        """What the inside has to know; `processes` is 0 where they are not counted."""
        return {
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            "processes": processes,
            "file_mb": self.file_mb,
            "output_bytes": self.output_bytes,
        }


PATIENCE_SECONDS = 5.0


class How(StrEnum):
    """How one test of a program ended; only DONE says that there is a result to compare."""

    DONE = "done"
    RAISED = "raised"
    """An exception, or an exit code other than 0."""
    DIED = "died"
    """Its process ended in the middle: `os._exit`, a crash, a signal."""
    CPU = "cpu"
    """More CPU seconds than it may use."""
    IDLE = "idle"
    """More seconds by the clock than it may take, without using its CPU seconds or waiting for a processor."""
    STARVED = "starved"
    """The same, but the machine did not let it run: our failure, not the program's."""
    MEMORY = "memory"
    OUTPUT = "output"
    """It printed or returned more than it may, or what cannot cross the border."""
    REFUSED = "refused"
    """The sandbox could not be made: our failure."""

    @property
    def ours(self) -> bool:
        """Is it no fault of the program?"""
        return self in (How.STARVED, How.REFUSED)


@dataclass(frozen=True)
class Ran:
    """One run of a script. Example: `Ran(How.DONE, "42\\n")`; `why` is the end of what it complained about."""

    how: How
    out: str = ""
    why: str = ""
    cpu: float = 0.0


@dataclass(frozen=True)
class Returned:
    """One call of a function. Example: `Returned(How.DONE, {"l": [1, 2]})`

    `tree` is the value as `wire` writes it, `args` the arguments afterwards where they were asked for (None: not
    changeable), `raised` the name of the exception's type.
    """

    how: How
    tree: Any = None
    why: str = ""
    raised: str = ""
    args: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Call:
    """A function, or `Class.method` of a new object, and its arguments as trees. Example: `Call("add", [1, 2])`"""

    function: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    args_back: bool = False


Ask = Callable[[Call], Returned]


class Wall(Protocol):
    """A way to run programs apart from everything."""

    name: str

    def runs(self, source: str, inputs: Sequence[str], limits: Limits) -> Generator[Ran, None, None]:
        """`source` as a script, once for each input, in a new process each time, as it is drawn from: whoever has seen
        enough closes it, and the rest is not run."""
        ...

    def calls(self, source: str, limits: Limits) -> AbstractContextManager[Ask]:
        """Load `source` and answer calls of its functions, one after another, in one process while that lives."""
        ...

    def close(self) -> None:
        """End everything that was started."""
        ...
