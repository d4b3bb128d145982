"""Programs a second behind the walls, in one run, and whether they stay right among thousands of hostile ones.

    python benchmarks/sandbox.py [--n 400] [--json]
    python benchmarks/sandbox.py --soak 10000 [--json]

The same small programs (read a number, compute, print) go, a few at a time and in turns, to the fork server with every
wall of `namespaces` up, to a new interpreter each (`python -I -S`, no wall at all) and to bubblewrap where there is a
bwrap; two workers. Processor time is that of the programs, their walls and this process; what happens within bwrap is
not in it. With `--soak` honest and hostile programs are mixed over four workers: every honest one must be judged right,
and afterwards no process, mount, file or descriptor may be left and memory must be flat.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mull.core.errors import UserError
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import How, Limits, Wall
from mull.verify.sandbox.escapes import attempt
from mull.verify.sandbox.escapes.base import Escape, Facts
from mull.verify.sandbox.escapes.scene import Scene, named
from mull.verify.sandbox.host import ForkServer

PROGRAM = "n = int(input())\nprint(sum(i * i % 7 for i in range(n)))"
CHUNK = 20
BATCH = 250
SETTLE_SECONDS = 5.0
WORKERS, SOAK_WORKERS = 2, 4
HOSTILE_SHARE = 0.5
SLOW = frozenset(("a job beside it", "100 GB", "endless complaint"))
"""Left out of the soak for their time alone, as are programs that are meant to hang; the list itself has them."""
SHORT = Limits(seconds=2)


def answer(n: int) -> str:
    """What PROGRAM prints."""
    return f"{sum(i * i % 7 for i in range(n))}\n"


def walled(wall: Wall) -> Callable[[int], str]:
    """The program behind a wall."""
    return lambda n: next(wall.runs(PROGRAM, [str(n)], Limits())).out


def bare(n: int) -> str:
    """The program in a new interpreter."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM]
    return subprocess.run(command, input=str(n), capture_output=True, text=True, check=True).stdout


def timed(run: Callable[[int], str], n: int) -> float:
    """Milliseconds of one program, which must be right."""
    started = time.perf_counter()
    found = run(n)
    took = time.perf_counter() - started
    assert found == answer(n), (found, n)
    return took * 1e3


def speed(total: int) -> dict[str, dict[str, Any]]:
    """Rate and milliseconds of each way, taking turns."""
    ways: dict[str, Callable[[int], str]] = {}
    standing = []
    for name in ("namespaces", "bubblewrap"):
        try:
            standing.append(walls.put_up(name))
            ways[name] = walled(standing[-1])
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
    ways["subprocess"] = bare
    times: dict[str, list[float]] = {name: [] for name in ways}
    clock, cpu = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0)
    servers = [wall._process.pid for wall in standing if isinstance(wall, ForkServer) and wall._process]
    with ThreadPoolExecutor(WORKERS) as pool:
        for round_ in range(total // CHUNK):
            for name, run in ways.items():
                numbers = [100 + (round_ * CHUNK + i) % 50 for i in range(CHUNK)]
                before, started = spent(servers), time.perf_counter()
                found = list(pool.map(lambda n, run=run: timed(run, n), numbers))
                if round_:  # the first is for caches
                    clock[name] += time.perf_counter() - started
                    cpu[name] += spent(servers) - before
                    times[name] += found
    for wall in standing:
        wall.close()
    report = {
        name: {
            "programs": len(times[name]),
            "a_second": round(len(times[name]) / clock[name], 1),
            "median_ms": round(statistics.median(times[name]), 1),
            "p95_ms": round(statistics.quantiles(times[name], n=20)[-1], 1),
            "cpu_ms": round(cpu[name] / len(times[name]) * 1e3, 1),
        }
        for name in ways
    }
    for row in report.values():
        row["times_as_fast_as_subprocess"] = round(row["a_second"] / report["subprocess"]["a_second"], 2)
    return report


def spent(servers: list[int]) -> float:
    """Processor seconds of this process, the fork servers, and all that they have started and waited for."""
    ticks = 0
    for pid in ("self", *servers):
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_kb(pid: int | str) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def trace(wall: ForkServer) -> dict[str, int]:
    """What could leak: descriptors here and there, mounts, processes below the fork server, files in /tmp, memory."""
    pid = wall._process.pid if wall._process else 0
    below = Path(f"/proc/{pid}/task/{pid}/children")
    patience = time.monotonic() + SETTLE_SECONDS
    while below.read_text().split() and time.monotonic() < patience:
        time.sleep(0.05)  # the last job is being put away
    time.sleep(0.05)
    children = below.read_text().split()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "server_descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "server_mounts": len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()),
        "server_children": len(children),
        "files": len([name for name in os.listdir(tempfile.gettempdir()) if name.startswith("mull")]),
        "rss_kb": memory_kb("self"),
        "server_rss_kb": memory_kb(pid),
    }


def soak(total: int) -> dict[str, Any]:
    """Mixed programs over four workers; what went wrong, and what is left at a quarter and at the end."""
    rng = random.Random(0)
    with (
        Scene() as scene,
        ForkServer("namespaces", slots=SOAK_WORKERS) as wall,
        ThreadPoolExecutor(SOAK_WORKERS) as pool,
    ):
        wall.start()
        facts = scene.facing(wall)
        server = facts["server"]
        kinds = [escape.name for escape in attempt.ESCAPES if fits(escape, facts)]
        traces: list[dict[str, int]] = []
        faults: Counter[str] = Counter()
        started = time.perf_counter()
        for part in (total // 4, total - total // 4):
            for begin in range(0, part, BATCH):  # what is in flight must not look like a leak
                names = [
                    rng.choice(kinds) if rng.random() < HOSTILE_SHARE else "" for _ in range(min(BATCH, part - begin))
                ]
                jobs = [(name, rng.randrange(1, 400)) for name in names]
                faults.update(filter(None, pool.map(lambda job: one(wall, *job, facts), jobs)))
            traces.append(trace(wall))
        seconds = time.perf_counter() - started
        starved = faults.pop("starved", 0)
        wrong = list(faults.elements())
        if wall._process is None or wall._process.pid != server:
            wrong.append("the fork server was replaced")
        wrong += scene.harm()
        left = len(named(scene.nonce))
    return {
        "programs": total, "wrong": wrong[:20], "wrong_count": len(wrong), "starved": starved,
        "processes_left": left,
        "at_a_quarter": traces[0], "at_the_end": traces[1], "seconds": round(seconds, 1),
        "a_second": round(total / seconds, 1),
    }  # fmt: skip


def fits(escape: Escape, facts: Facts) -> bool:
    """Is it one for thousands of runs?"""
    return escape.limits.clock > 2 and escape.name not in SLOW and not escape.calls and not escape.needs(facts)


def one(wall: ForkServer, hostile: str, n: int, facts: Facts) -> str:
    """What is wrong with one program of the soak; nothing, as a rule."""
    if not hostile:
        ran = next(wall.runs(PROGRAM, [str(n)], Limits()))
        return "starved" if ran.how is How.STARVED else "" if ran.out == answer(n) else f"honest: {ran}"
    escape = attempt.BY_NAME[hostile]
    ran = next(wall.runs(attempt.source(escape, facts, escape.program), [""], SHORT))
    return f"{hostile}: {ran.out}"[:200] if "GOT" in ran.out or ran.how is How.REFUSED else ""


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=400, help="programs for each way")
    parser.add_argument("--soak", type=int, default=0, help="run so many mixed programs in place of the speeds")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = soak(arguments.soak) if arguments.soak else speed(arguments.n)
    if arguments.json:
        print(json.dumps(report))
        return
    for name, row in report.items():
        print(name, ", ".join(f"{k} {v}" for k, v in row.items()) if isinstance(row, dict) else row, sep=": ")


if __name__ == "__main__":
    main()
