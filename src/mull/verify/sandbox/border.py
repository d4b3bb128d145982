"""Two sandboxes, one for the tests and one for the program they test, and the border between them.

    tests (prelude, asserts) ── call ──> here ── call ──> program
                             <─ result ─     <─ result ──

Tests that are code must not run where the program does: it would redefine what they use, or leave before they ask. So a
function of the program is a stand-in where the tests are, and each call of it comes through here as frames of trees.
A test waits while the program works; what the program ends with other than a result or an exception ends that test,
whatever the test would make of it.

Left out on purpose: objects of the program's classes and functions as arguments, which cannot cross.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from mull.verify import trees
from mull.verify.sandbox.base import Ask, Call, How, Limits, Returned, Wall
from mull.verify.sandbox.channel import Channel, Opener

TESTER_SECONDS = 8.0
"""CPU seconds of the tests' own work, at least."""
MOST_CLOCKS = 20
"""All calls together may take as often what one call may take by the clock."""


@dataclass(frozen=True)
class Suite:
    """Tests that are code. Example: `Suite(("assert add(1, 2) == 3",), ("add",), "add")`

    `candidate` are the names that live in the program, unless `prelude` defines them; `entry` always does.
    """

    tests: tuple[str, ...]
    candidate: tuple[str, ...]
    entry: str = ""
    prelude: str = ""


@dataclass(frozen=True)
class Tested:
    """How each test ended, in their order, or why there is nothing to say. Example: `Tested(((How.DONE, ""),))`

    A test has passed when it is done and there is no complaint.
    """

    results: tuple[tuple[How, str], ...] = ()
    failed: How | None = None
    """The tests could not be run to their end."""
    why: str = ""


def check(wall: Wall, source: str, suite: Suite, limits: Limits) -> Tested:
    """Run the tests of `suite` against the program `source`."""
    if not isinstance(wall, Opener):
        return Tested(failed=How.REFUSED, why=f"the wall {wall.name} cannot run tests that are code")
    job = {
        "mode": "check", "prelude": suite.prelude, "tests": suite.tests, "candidate": suite.candidate,
        "entry": suite.entry,
    }  # fmt: skip
    theirs = replace(limits, seconds=max(limits.seconds, TESTER_SECONDS))
    with wall.calls(source, limits) as ask, wall.opened(job, theirs, counted=False) as tester:
        return _relay(tester, ask, len(suite.tests), limits)


def _relay(tester: Channel, ask: Ask, total: int, limits: Limits) -> Tested:
    spent = 0.0
    ended: dict[int, tuple[How, str]] = {}
    while True:
        frame = tester.receive()
        if isinstance(frame, How):
            return Tested(failed=frame, why="in the tests themselves")
        if "call" not in frame:
            return _results(frame, total, ended)
        if spent > MOST_CLOCKS * limits.clock:
            return Tested(failed=How.IDLE, why="all calls together")
        started = time.monotonic()
        returned = ask(Call(frame["call"], frame["args"], frame["kwargs"], args_back=True))
        spent += min(time.monotonic() - started, limits.clock)  # no more: a call may have waited for a free slot first
        if returned.how.ours:
            return Tested(failed=returned.how, why=returned.why)
        answer = _answer(returned)
        if "ended" in answer:
            how = How.OUTPUT if returned.how is How.DONE else returned.how
            ended.setdefault(frame["test"], (how, answer["ended"]))
            if how in (How.CPU, How.IDLE):
                return Tested(failed=how, why=returned.why)  # one endless loop is paid for, not one a test
        tester.send(answer)


def _answer(returned: Returned) -> dict[str, Any]:
    """What the stand-in is told."""
    if returned.how is How.RAISED:
        return {"raised": returned.raised or "RuntimeError", "why": returned.why}
    if returned.how is not How.DONE:
        return {"ended": returned.why or str(returned.how)}
    if not (trees.fits(returned.tree) and trees.fits(list(returned.args))):
        return {"ended": "a result that cannot cross"}
    return {"value": returned.tree, "args": list(returned.args)}


def _results(frame: dict[str, Any], total: int, ended: dict[int, tuple[How, str]]) -> Tested:
    """The tests' last word. Their sandbox holds none of the program's code, so that this is theirs."""
    if "results" not in frame:
        how = {"cpu": How.CPU, "memory": How.MEMORY}.get(str(frame.get("died")), How.DIED)
        if "refused" in frame:
            how = How.REFUSED
        return Tested(failed=how, why="in the tests themselves")
    results = frame["results"]
    if results is None:
        return Tested(failed=How.REFUSED, why=f"the prelude of the tests fails: {frame.get('why')}")
    if len(results) != total:
        return Tested(failed=How.DIED, why="the tests did not run to their end")
    return Tested(tuple(ended.get(number, (How.DONE, why)) for number, why in enumerate(results)))
