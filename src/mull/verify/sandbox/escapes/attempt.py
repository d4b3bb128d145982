"""One escape against one wall, and the whole list: what came back, what the host saw, what the next program got."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Iterator

from mull.verify.sandbox.base import Call, How, Limits, Ran, Wall
from mull.verify.sandbox.escapes.base import KIT, Brief, Escape, Facts, Finding, Outcome
from mull.verify.sandbox.escapes.kernel import KERNEL
from mull.verify.sandbox.escapes.neighbours import NEIGHBOURS
from mull.verify.sandbox.escapes.network import NETWORK
from mull.verify.sandbox.escapes.privileges import PRIVILEGES
from mull.verify.sandbox.escapes.processes import PROCESSES
from mull.verify.sandbox.escapes.resources import RESOURCES
from mull.verify.sandbox.escapes.scene import Scene
from mull.verify.sandbox.escapes.secrets import SECRETS
from mull.verify.sandbox.escapes.table import HARMFUL_BEHIND, expected
from mull.verify.sandbox.host import ForkServer

ESCAPES = (*SECRETS, *NETWORK, *PROCESSES, *PRIVILEGES, *KERNEL, *RESOURCES, *NEIGHBOURS)
BY_NAME = {escape.name: escape for escape in ESCAPES}
STARVED_TRIES = 3
_HONEST = "print(6 * 7)"


def run(wall: Wall, scene: Scene) -> Iterator[tuple[Escape, Finding]]:
    """Each escape of the list against `wall`, as it is drawn from."""
    for escape in ESCAPES:
        yield escape, attempt(wall, scene, escape)


def attempt(wall: Wall, scene: Scene, escape: Escape) -> Finding:
    """Run one escape and look at what came of it."""
    started = time.monotonic()
    facts = scene.facing(wall)
    why = escape.needs(facts) or _unfit(wall, escape)
    if why:
        return Finding(escape.name, Outcome.DOES_NOT_APPLY, why, 0.0)
    ran = Ran(How.STARVED)
    for _ in range(STARVED_TRIES):  # a machine that is busy elsewhere says nothing about the wall
        with _beside(wall, escape) as tokens:
            ran = _ran(wall, escape, facts)
        if ran.how is not How.STARVED:
            break
    outcome, detail = _judged(escape, ran, _evidence(wall, scene, escape, ran, facts, tokens))
    return Finding(escape.name, outcome, detail, time.monotonic() - started)


def _unfit(wall: Wall, escape: Escape) -> str:
    if escape.harmful and wall.name not in HARMFUL_BEHIND:
        return "not tried: nothing here would end it"
    if wall.name == "remote" and not expected(wall.name, escape.name).stops:
        return "not tried on somebody else's machine"
    return ""


def source(escape: Escape, facts: Facts, program: str) -> str:
    """The program with what all begin with."""
    told = {key: value for key, value in facts.items() if key != "numbers"}
    return f"H = {told!r}\nNUMBERS = {facts['numbers']!r}\n{KIT}\n{program}\n"


def _ran(wall: Wall, escape: Escape, facts: Facts) -> Ran:
    text = source(escape, facts, escape.program)
    if not escape.calls:
        return next(wall.runs(text, [""], escape.limits))
    with wall.calls(text, escape.limits) as ask:
        got = ask(Call("escape"))
    return Ran(got.how, str(got.tree), got.why)


@contextlib.contextmanager
def _beside(wall: Wall, escape: Escape) -> Iterator[list[str]]:
    """Another job with a secret in its text: before or beside the one that looks for it."""
    if escape.name not in ("an earlier job", "a job beside it"):
        yield []
        return
    token = f"bait_{secrets.token_hex(8)}"
    program = f"kept = {token!r}\nprint(len(kept))"
    if escape.name == "an earlier job":
        list(wall.runs(program, [token], Limits()))
        yield [token]
        return
    stop = threading.Thread(target=lambda: list(wall.runs(f"{program}\nimport time\ntime.sleep(1)", [token], Brief())))
    stop.start()
    time.sleep(0.3)
    yield [token]
    stop.join()


def _evidence(wall: Wall, scene: Scene, escape: Escape, ran: Ran, facts: Facts, tokens: list[str]) -> list[str]:
    """Every sign that it got out."""
    said = ran.out + ran.why
    found = ["a secret came back"] if any(token in said for token in [scene.secret, *tokens]) else []
    found += [_claim(line[4:].strip()) for line in said.splitlines() if line.startswith("GOT")]
    if ran.how is How.REFUSED:
        found.append("it made its end look like a failure of the sandbox")
    found += scene.harm()
    if escape.then:
        after = next(wall.runs(source(escape, facts, escape.then), [""], escape.limits))
        if "GOT" in after.out or ("no " not in after.out and after.how is not How.STARVED):
            found.append(f"the next program met it: {(after.out or after.why).strip()[:100]}")
    if not isinstance(wall, ForkServer) and not escape.harmful:
        return found  # nothing lives on between its jobs that could be spoilt
    honest = next(wall.runs(_HONEST, [""], Limits()))
    if honest.out != "42\n" and honest.how is not How.STARVED:
        found.append(f"the next program was judged wrongly ({honest.how})")
    return found


def _claim(value: str) -> str:
    """What a program says that it got; a call that gives nothing back has been made all the same."""
    return "it was done" if value in ("", "None", "0") else f"it got {value}"


def _judged(escape: Escape, ran: Ran, evidence: list[str]) -> tuple[Outcome, str]:
    if evidence:
        return Outcome.NOT_STOPPED, "; ".join(dict.fromkeys(evidence))[:300]
    said = list(dict.fromkeys(re.findall(r"^(?:no (.*)|tried)$", ran.out, re.MULTILINE)))
    if ran.how is How.DONE and said == ["ENOSYS"]:
        return Outcome.DOES_NOT_APPLY, "this kernel has no such call"
    if ran.how is How.DONE and said:
        return Outcome.STOPPED, ", ".join(line for line in said if line)[:200] or "nothing was seen of it"
    if ran.how is How.STARVED and How.IDLE in escape.ends:
        return Outcome.STOPPED, f"ended by the clock {STARVED_TRIES} times; the machine is too busy to say more"
    refused = "Errno" in ran.why or "MemoryError" in ran.why or "thread" in ran.why
    if ran.how in escape.ends and (ran.how is not How.RAISED or refused):
        return Outcome.STOPPED, f"ended: {ran.how}"
    return Outcome.UNCLEAR, f"{ran.how}: {ran.why or ran.out}"[:300]
