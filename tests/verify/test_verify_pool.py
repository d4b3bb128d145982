"""The workers: threads, asyncio, forks, deadlines, deaths; and nothing of the caller's is touched."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mull.core.types import Problem, VerdictKind
from mull.verify import pool, verify
from mull.verify.batch import verify_async
from mull.verify.pool import Undecided, Workers, askable

SUM = "\\sum_{k=1}^{n} k"
HOSTILE = "\\prod_{k=1}^{99999} (k^k+1)"


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(size=2, seconds=20) as shared:  # on a machine that does much else an easy one may wait, too
        assert shared.ask(SUM, "n(n+1)/2")
        yield shared


def fresh(number: int) -> tuple[str, str]:
    """A pair that no cache knows."""
    return f"\\lfloor {number}.5 \\rfloor", str(number)


def test_formulas_that_our_own_grammar_cannot_read(workers: Workers) -> None:
    assert workers.ask("\\lfloor \\pi \\rfloor", "3")
    assert not workers.ask("\\lfloor \\pi \\rfloor", "4")
    assert workers.ask("\\max(3,4)", "4")
    assert not workers.ask(SUM, "n(n-1)/2")
    assert not workers.ask("\\lfloor", "3")


@pytest.mark.parametrize(
    "text",
    [
        "x=1",
        "2 3",
        "9^{9^{9}}",
        "\\text{a}",
        "99999!",
        "1" * 400,
        "a__class__",
        "\\input x",
        "x<y",
        "1;2",
        "f('a')",
        "π",
    ],
)
def test_what_no_worker_is_asked(text: str) -> None:
    assert not askable(text)


@pytest.fixture
def hasty() -> Iterator[Workers]:
    with Workers(size=2, seconds=2.5) as own:
        yield own


def test_a_question_that_takes_too_long_ends_and_harms_no_other(hasty: Workers) -> None:
    def hostile(number: int) -> float:
        started = time.perf_counter()
        with pytest.raises(Undecided) as undecided:
            hasty.ask(HOSTILE.replace("1)", f"{number})"), "2")
        assert undecided.value.kind is VerdictKind.TIMEOUT
        return time.perf_counter() - started

    with ThreadPoolExecutor(8) as threads:
        slow = [threads.submit(hostile, number) for number in range(2)]
        easy = [threads.submit(hasty.ask, *fresh(number)) for number in range(100, 120)]
        assert all(future.result() for future in easy)
        assert all(future.result() < 10 for future in slow)
    started = time.perf_counter()
    with pytest.raises(Undecided):
        hasty.ask(HOSTILE.replace("1)", "0)"), "2")  # remembered
    assert time.perf_counter() - started < 1


def test_who_asks_what_takes_too_long_waits_behind_those_who_do_not() -> None:
    one, order, ready = Workers(size=0, seconds=1), [], threading.Barrier(4)
    one._size = 0  # until all wait, none is free

    def ask(name: str, strikes: int) -> None:
        one._strike(strikes)
        ready.wait()
        one._take()
        order.append(name)
        one._give_back(worker_of_nobody, alive=True)

    worker_of_nobody = pool._Worker(0, socket.socket())
    with one, contextlib.closing(worker_of_nobody.jobs):
        threads = [threading.Thread(target=ask, args=each) for each in (("b", 2), ("c", 5), ("a", 0))]
        for thread in threads:
            thread.start()
        ready.wait()
        while len(one._waiting) < 3:
            time.sleep(0.01)
        with one._changed:
            one._idle.append(worker_of_nobody)
            one._changed.notify_all()
        for thread in threads:
            thread.join()
        one._idle.clear()
    assert order == ["a", "b", "c"]


def test_a_worker_that_was_ended_is_replaced(workers: Workers) -> None:
    assert workers.ask(*fresh(1))
    for one in list(workers._idle):
        os.kill(one.pid, signal.SIGKILL)
    assert all(workers.ask(*fresh(number)) for number in range(2, 8))
    assert workers._process is not None
    workers._process.kill()
    for one in list(workers._idle):
        os.kill(one.pid, signal.SIGKILL)
    assert all(workers.ask(*fresh(number)) for number in range(8, 14))


def test_a_worker_is_replaced_before_it_grows() -> None:
    with Workers(size=1, seconds=20) as one:
        assert all(one.ask(*fresh(number)) for number in range(450))


def test_a_worker_may_not_take_much_memory_nor_write_files(tmp_path: Path) -> None:
    script = f"""
from mull.verify import worker
worker._limit()
try:
    bytearray(worker.MEMORY + (64 << 20))
except MemoryError:
    print("refused")
try:
    with open({str(tmp_path / "file")!r}, "w") as file:
        file.write("x" * 10_000)
except OSError:
    print("refused")
"""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment)
    assert run.stdout.count("refused") == 2 or run.returncode == -signal.SIGXFSZ, run


def test_signals_and_alarms_are_the_callers() -> None:
    fired = []
    before = signal.signal(signal.SIGALRM, lambda *_: fired.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.5)
        with pytest.raises(Undecided):
            pool.ask(HOSTILE, "7")
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0 or fired
        deadline = time.monotonic() + 10
        while not fired and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(fired) == 1
    finally:
        signal.signal(signal.SIGALRM, before)


def test_from_threads_and_from_an_event_loop() -> None:
    problem = Problem("row", (), "math", {"answer": SUM})
    found = []
    thread = threading.Thread(target=lambda: found.append(verify(problem, "\\boxed{n(n+1)/2}")))
    thread.start()
    thread.join(60)
    assert found[0].correct

    async def many() -> float:
        slow = asyncio.create_task(verify_async(problem, f"\\boxed{{{HOSTILE.replace('2', '3')}}}"))
        ticks = 0
        while not slow.done() and ticks < 2000:
            await asyncio.sleep(0.005)
            ticks += 1
        assert ticks > 3 or (await slow).kind is not VerdictKind.TIMEOUT
        verdicts = await asyncio.gather(*(verify_async(problem, text) for text in ("n(n+1)/2", "n^2", "41")))
        return [verdict.correct for verdict in verdicts]

    assert asyncio.run(many()) == [True, False, False]


def test_a_forked_child_has_workers_of_its_own() -> None:
    assert pool.ask(SUM, "n(n+1)/2")
    script = """
import os, sys, warnings
from mull.verify import pool
assert pool.ask("\\\\lfloor 1.5 \\\\rfloor", "1")
pid = os.fork()
if pid == 0:
    os._exit(0 if pool.ask("\\\\lfloor 2.5 \\\\rfloor", "2") else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert pool.ask("\\\\lfloor 3.5 \\\\rfloor", "3")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr


def alive(pid: int) -> bool:
    """Is it there, and no zombie?"""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_nothing_starts_before_it_is_needed_and_nothing_is_left_behind() -> None:
    script = """
import os, signal, sys
from mull.core.types import Problem
from mull.verify import pool, verify
assert verify(Problem("row", (), "math", {"answer": "\\\\ln 4"}), "2\\\\ln 2").correct
assert pool._shared._process is None and "sympy" not in sys.modules
assert pool.ask("\\\\lfloor 1.5 \\\\rfloor", "1")
assert "sympy" not in sys.modules and "torch" not in sys.modules
maps = open(f"/proc/{pool._shared._process.pid}/maps").read()
assert "torch" not in maps
print(pool._shared._process.pid, pool._shared._idle[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=90)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(word) for word in done.stdout.split()]
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))
