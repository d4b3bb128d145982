"""Walls that stand on this machine: what an honest program gets back, and what a hostile one does not get."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mull.core.errors import UserError
from mull.verify.sandbox import walls, wire
from mull.verify.sandbox.base import Call, How, Limits, Ran, Wall
from mull.verify.sandbox.channel import CannotStart
from mull.verify.sandbox.escapes.base import Brief
from mull.verify.sandbox.host import ForkServer

SHORT = Brief()


def runs(wall: Wall, source: str, inputs: list[str], limits: Limits) -> list[Ran]:
    return list(wall.runs(source, inputs, limits))


@pytest.fixture(scope="module", params=["namespaces", "landlock", "bubblewrap"])
def wall(request: pytest.FixtureRequest) -> Iterator[Wall]:
    try:
        standing = walls.put_up(request.param)
    except (UserError, CannotStart) as error:
        pytest.skip(f"this machine refuses it: {error}")
    yield standing
    standing.close()


def test_a_script_is_run_once_for_each_input(wall: Wall) -> None:
    ran = runs(wall, "print(input()[::-1])", ["abc", "def"], Limits())
    assert [(one.how, one.out) for one in ran] == [(How.DONE, "cba\n"), (How.DONE, "fed\n")]


def test_functions_are_called_and_a_dead_process_is_replaced(wall: Wall) -> None:
    source = "def add(a, b): return a + b\ndef push(x): x.append({3})\ndef die():\n    import os; os._exit(0)"
    with wall.calls(source, Limits()) as ask:
        assert ask(Call("add", [1, {"i": format(1 << 60, "x")}])).tree == {"i": format((1 << 60) + 1, "x")}
        assert ask(Call("push", [{"l": [1]}], args_back=True)).args == ({"l": [1, {"s": [3]}]},)
        assert ask(Call("die")).how is How.DIED
        assert ask(Call("add", [1, 2])).tree == 3
        assert ask(Call("missing")).raised == "NameError"


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("while True: pass", How.CPU),
        ("import time; time.sleep(60)", How.IDLE),
        ("x = bytearray(100 << 30)", How.RAISED),
        ("while True: print('x' * 1000)", How.OUTPUT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", How.DIED),
        ("1 / 0", How.RAISED),
        ("this is no Python", How.RAISED),
    ],
)
def test_how_a_program_ends_is_told(wall: Wall, source: str, how: How) -> None:
    assert runs(wall, source, [""], SHORT)[0].how in (how, How.STARVED)
    assert runs(wall, "print(1)", [""], Limits())[0].out == "1\n"


def test_secrets_and_the_network_are_out_of_reach(
    wall: Wall, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = f"{tmp_path}/secret"
    with open(secret, "w") as file:
        file.write("hidden")
    monkeypatch.setenv("MULL_SECRET", "hidden")
    source = f"""
import os, socket
def attempt(act):
    try:
        print("GOT", act())
    except (OSError, KeyError) as error:
        print("no")
attempt(lambda: open({secret!r}).read())
attempt(lambda: open("/proc/1/environ").read())
attempt(lambda: os.environ["MULL_SECRET"])
attempt(lambda: socket.socket())
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt(lambda: socket.socket(socket.AF_UNIX))
attempt(lambda: os.unshare(0x10000000) if hasattr(os, "unshare") else open("/nowhere"))
attempt(lambda: open("/usr/stray", "w"))
attempt(lambda: os.setuid(0) if os.getuid() else "root")
"""
    assert runs(wall, source, [""], Limits())[0].out.split() == ["no"] * 9


def test_nothing_is_left_for_the_next_program() -> None:
    try:
        standing = walls.put_up("namespaces")
    except UserError as error:
        pytest.skip(str(error))
    with_daemon = """
import os
open("/tmp/poison", "w").write("x")
if os.fork() == 0:
    os.setsid()
    while True: pass
"""
    try:
        assert runs(standing, with_daemon, [""], Limits())[0].how is How.DONE
        assert runs(standing, "import os; print(os.listdir('/tmp'))", [""], Limits())[0].out == "[]\n"
        bomb = "import os\ntry:\n    [os.fork() for _ in range(40)]\n    print('all')\nexcept OSError: print('no more')"
        assert set(runs(standing, bomb, [""], SHORT)[0].out.splitlines()) == {"no more"}
    finally:
        standing.close()


def test_values_come_back_as_they_were_and_subclasses_as_their_base() -> None:
    class Always(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    value = [None, True, 1 << 70, 1.5, "x", (1, [2]), {3, 4}, {"a": {1: b"z"}}, complex(1, 2), range(3)]
    assert wire.from_tree(wire.to_tree(value)) == value
    assert wire.to_tree(Always(7)) == 7 and type(wire.to_tree(Always(7))) is int
    with pytest.raises(wire.Opaque):
        wire.to_tree(object())
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(wire.Opaque):
        wire.to_tree(loop)
    with pytest.raises(wire.Broken):
        wire.from_tree({"unknown": []})


def test_a_wall_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'namespaces'"):
        walls.put_up("namespace")
    with pytest.raises(UserError, match="remote=URL"):
        walls.use("remote")


def test_without_a_wall_programs_run_only_where_that_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: ForkServer) -> None:
        if self.name != "none":
            raise CannotStart(f"{self.name}: refused")

    monkeypatch.setattr(ForkServer, "start", refused)  # a machine that allows neither
    with pytest.raises(UserError, match="namespaces: refused; landlock: refused.*--allow-unsandboxed"):
        walls.put_up("auto")
    assert walls.put_up("auto", unsandboxed=True).name == "none"
    assert walls.put_up("none").name == "none"


def test_root_of_a_user_namespace_without_other_users_has_sandboxes_and_they_are_not_root(sandbox: str) -> None:
    if sandbox != "namespaces":
        pytest.skip(f"this machine refuses user namespaces; what stands is {sandbox}")
    script = """
import os
from mull.verify.sandbox import linux
uid, gid = os.getuid(), os.getgid()
linux.unshare(linux.NEW_USER)
linux.map_ids(os.open("/proc", os.O_PATH), 0, 0, (uid, gid))
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import Limits
assert os.getuid() == 0
wall = walls.put_up("namespaces")
print(next(wall.runs("import os; print(os.getuid() > 0, os.getgid() > 0)", [""], Limits())).out)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr
