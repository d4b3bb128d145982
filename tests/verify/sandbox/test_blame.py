"""Whose failure it is when a program gets no result: its own (wrong) or ours (left out of training).

A program must not be able to choose that it is left out, and an honest one must not pay for what happens around it.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem
from mull.verify import trees, verify
from mull.verify.sandbox import border, guest, linux, walls, wire
from mull.verify.sandbox.base import Call, How, Limits, Returned
from mull.verify.sandbox.channel import Channel
from mull.verify.sandbox.host import ForkServer

DEAF = "import os, signal, threading, time\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
BURN = """
import hashlib
def burn(seconds=100):
    started = time.thread_time()
    while time.thread_time() - started < seconds:
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 10_000)
"""


@dataclass(frozen=True)
class Clocked(Limits):
    """A clock of its own length, so that programs that hang do not take long."""

    by_clock: float = 3.0

    @property
    def clock(self) -> float:
        return self.by_clock


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
def wall(request: pytest.FixtureRequest) -> Iterator[ForkServer]:
    try:
        standing = walls.put_up(request.param)
    except UserError as error:
        pytest.skip(f"{request.param} cannot stand here: {error}")
    assert isinstance(standing, ForkServer)
    yield standing
    standing.close()


@pytest.fixture
def namespaces() -> Iterator[ForkServer]:
    try:
        standing = walls.put_up("namespaces")
    except UserError as error:
        pytest.skip(str(error))
    assert isinstance(standing, ForkServer)
    yield standing
    standing.close()


def below(pid: int) -> list[int]:
    """All processes below one."""
    proc = os.open("/proc", os.O_PATH)
    try:
        family = [pid]
        for member in family:
            family += linux.children(proc, member)
        return family[1:]
    finally:
        os.close(proc)


def test_threads_that_compete_are_not_a_machine_that_neglects_them(wall: ForkServer) -> None:
    program = DEAF + BURN + "for _ in range(6): threading.Thread(target=burn, daemon=True).start()\nburn()"
    assert next(wall.runs(program, [""], Clocked(seconds=0.5))).how is How.CPU


@pytest.mark.parametrize(
    "start",
    [
        "threading.Thread(target=lambda: [os.fork() or burn() for _ in range(4)]).start()",
        "[os.fork() or (burn(0.1), os._exit(0)) for _ in range(4)]\nfor _ in range(4): os.wait()",
        "os.fork() or [os.fork() or (burn(0.1), os._exit(0)) for _ in range(4)] and os._exit(0)",
    ],
    ids=["started by a thread", "ended", "ended after their parent"],
)
def test_processor_time_of_children_counts(namespaces: ForkServer, start: str) -> None:
    program = f"{DEAF}{BURN}\ntime.sleep(0.6)\n{start}\ntime.sleep(100)"
    assert next(namespaces.runs(program, [""], Clocked(seconds=0.2))).how is How.CPU


def test_the_times_of_a_family_have_its_threads_and_its_dead() -> None:
    def work() -> None:
        started = time.thread_time()
        while time.thread_time() - started < 0.2:
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 10_000)

    ready, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            work()
            os._exit(0)
        os.wait()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        os.write(end, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    proc = os.open("/proc", os.O_PATH)
    try:
        assert linux.family_times(proc, pid)["cpu"] >= 0.35
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for descriptor in (ready, end, proc):
            os.close(descriptor)


def test_tests_before_do_not_count(wall: ForkServer) -> None:
    """Neither is its own idleness excused by how long it waited in them, nor is it punished for their work."""
    program = f"{DEAF}{BURN}\nbusy = lambda: burn(0.8)\nidle = lambda: time.sleep(100)"
    with wall.calls(program, Clocked(seconds=1.0, by_clock=5.0)) as ask:
        assert [ask(Call("busy")).how for _ in range(2)] == [How.DONE] * 2
        assert ask(Call("idle")).how is How.IDLE


def channel_of(limits: Limits, times: list[dict[str, float]]) -> tuple[Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    wire.send(theirs, {"up": True})
    return Channel(ours, limits, lambda order: times.pop(0)), theirs


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        ({"cpu": 0.0, "waited": 0.0}, {"cpu": 0.1, "waited": 0.2}, How.STARVED),
        ({"cpu": 9.0, "waited": 0.0}, {"cpu": 9.1, "waited": 0.2}, How.STARVED),
        ({"cpu": 0.0, "waited": 9.0}, {"cpu": 0.1, "waited": 9.0}, How.IDLE),
        ({"cpu": 0.0, "waited": 0.0}, {"cpu": 1.0, "waited": 0.2}, How.CPU),
        ({}, {}, How.IDLE),
    ],
)
def test_what_is_late_is_judged_by_what_it_did_meanwhile(
    before: dict[str, float], after: dict[str, float], how: How
) -> None:
    channel, theirs = channel_of(Clocked(seconds=1.0, by_clock=0.3), [before, after])
    with channel.frames, theirs:
        assert channel.receive() is how


def test_what_ends_before_the_program_began_is_ours() -> None:
    for times, how in (([{"cpu": 0.1}], How.REFUSED), ([{"lost": 1.0}], How.REFUSED)):
        ours, theirs = socket.socketpair()
        theirs.close()
        with ours:
            assert Channel(ours, Limits(), lambda order, times=times: times.pop(0)).receive() is how
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Channel(ours, Clocked(by_clock=0.2), lambda order: {"cpu": 0.0}).receive() is How.STARVED


def test_what_ends_afterwards_is_its_own_unless_all_sandboxes_are_gone() -> None:
    for times, how in (({"cpu": 0.1}, How.DIED), ({"lost": 1.0}, How.REFUSED)):
        channel, theirs = channel_of(Limits(), [times])
        theirs.close()
        with channel.frames:
            assert channel.receive() is how


def ended_while_it_runs(wall: ForkServer, end: Any) -> How:
    found: list[How] = []
    wall.start()
    server = wall._process
    assert server
    program = "import time\nprint(1, flush=True)\ntime.sleep(100)"
    thread = threading.Thread(target=lambda: found.append(next(wall.runs(program, [""], Limits())).how))
    thread.start()
    while len(family := below(server.pid)) < 2:
        time.sleep(0.01)
    end(server)
    thread.join()
    for _ in range(500):
        if not any(os.path.exists(f"/proc/{pid}") and not zombie(pid) for pid in family):
            break
        time.sleep(0.01)
    else:
        raise AssertionError(f"{family} live on")
    assert next(wall.runs("print(6 * 7)", [""], Limits())).out == "42\n"
    return found[0]


def zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_closing_ends_what_runs_and_that_is_ours(wall: ForkServer) -> None:
    assert ended_while_it_runs(wall, lambda server: wall.close()) is How.REFUSED


def test_the_end_of_the_fork_server_ends_what_runs_and_is_ours(wall: ForkServer) -> None:
    assert ended_while_it_runs(wall, lambda server: server.kill()) is How.REFUSED


def test_a_forked_child_that_drops_its_copy_leaves_the_sandbox_alone(wall: ForkServer) -> None:
    runs = wall.runs("input(); print(1)", ["a", "b"], Limits())
    assert next(runs).how is How.DONE
    pid = os.fork()
    if pid == 0:
        try:
            runs.close()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert next(runs).how is How.DONE


def test_no_program_interrupts_its_keeper(wall: ForkServer) -> None:
    """pid 1 of a process namespace is sent what it has a handler for, as Python has one for Ctrl-C."""
    program = """
import os, signal, time
try:
    os.kill(os.getppid(), signal.SIGINT)
except OSError:
    pass
time.sleep(0.2)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print(input())
"""
    assert [ran.out for ran in wall.runs(program, ["a", "b"], Limits())] == ["a\n", "b\n"]


def test_lower_limits_of_whoever_started_us_are_no_failure_of_the_program(sandbox: str) -> None:
    script = """
import resource
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import Call, Limits
for limit, most in ((resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CPU, 100), (resource.RLIMIT_FSIZE, 1 << 20)):
    resource.setrlimit(limit, (most, most))
wall = walls.current()
print(next(wall.runs("print(6 * 7)", [""], Limits())).out)
with wall.calls("def f(): return 42", Limits()) as ask:
    print(ask(Call("f")).tree)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["42", "42"], done.stderr


def refuse() -> None:
    raise OSError("there is no more of it")


@pytest.mark.parametrize("mode", ["calls", "check", "stdin"])
def test_what_cannot_be_set_up_is_ours(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    ours, theirs = socket.socketpair()
    limits = Limits()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            if mode == "stdin":
                monkeypatch.setattr(guest.os, "pipe", refuse)
            guest.serve(theirs, refuse, lambda: None)
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        channel = Channel(ours, limits, lambda order: {})
        channel.send({"mode": mode, "source": "def f(): pass", "limits": limits.as_job(0)})
        channel.send({"stdin": ""})
        answer = channel.receive(scripts=mode == "stdin")
        assert isinstance(answer, dict) and answer["refused"]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_end_of_an_iteration_does_not_end_the_loop_of_a_test(sandbox: str) -> None:
    tests = ["assert all(map(solve, [1, 2]))", "for got, one in zip(map(solve, [1]), [2]):\n    assert got == one"]
    for error in ("StopIteration", "StopAsyncIteration"):
        problem = Problem("row", (), "code-check", {"tests": tests, "entry_point": "solve", "partial": True})
        verdict = verify(problem, f"```python\ndef solve(x): raise {error}\n```")
        assert not verdict.correct and verdict.score == 0 and error in verdict.reason


class AllIsWell:
    """Tests that make some calls and then say that all is well."""

    def __init__(self, calls: int) -> None:
        self.frames = [{"call": "f", "args": [], "kwargs": {}, "test": 0} for _ in range(calls)] + [{"results": [""]}]

    def receive(self) -> Any:
        return self.frames.pop(0)

    def send(self, message: Any) -> None:
        """Nothing waits for it."""


@pytest.mark.parametrize(("waits", "calls", "failed"), [(10_000.0, 2, None), (12.0, 30, How.IDLE)])
def test_waiting_for_a_free_sandbox_is_not_counted_as_the_programs_time(
    monkeypatch: pytest.MonkeyPatch, waits: float, calls: int, failed: How | None
) -> None:
    now = [0.0]
    monkeypatch.setattr(border.time, "monotonic", lambda: now[0])

    def ask(call: Call) -> Returned:
        now[0] += waits
        return Returned(How.DONE, 1)

    assert border._relay(AllIsWell(calls), ask, 1, Limits()).failed is failed  # type: ignore[arg-type]


def test_a_script_has_no_line_to_the_host_however_many_jobs_there_are() -> None:
    script = """
import socket
from mull.verify.sandbox import guest
import fcntl
ours, theirs = socket.socketpair()
high = socket.socket(fileno=fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD, 300))
limits = {"memory_mb": 4096, "seconds": 5, "file_mb": 1, "processes": 0, "output_bytes": 1000}
look = "import os\\ntry: os.fstat(%d); print('open')\\nexcept OSError: print('closed')" % high.fileno()
print(guest._run(high, {"source": look, "limits": limits}, "", lambda: None)["out"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "closed", done.stderr


def test_a_value_of_no_shape_is_shown_without_being_unfolded() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert trees.shown({"l": "text", "v": deep}) == "text"
    assert not trees.same(1, {"l": "text", "v": deep})
