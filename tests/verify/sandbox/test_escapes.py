"""The escape list against each wall that can stand here: every escape a test, held to that wall's table.

`namespaces` is tried as whoever runs the suite and, where that is root, as an ordinary user too. `none` shows that the
list can fail: what nothing stops is seen to get out, on the host.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mull.core.errors import UserError
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import Wall
from mull.verify.sandbox.escapes import attempt
from mull.verify.sandbox.escapes.base import Escape, Finding, Outcome
from mull.verify.sandbox.escapes.scene import Scene
from mull.verify.sandbox.escapes.table import HARMFUL_BEHIND, ONLY, OPEN, broken, expected

Trial = Callable[[str], Finding]
NAMES = list(attempt.BY_NAME)
AS_USER = Path(__file__).parent / "as_user.py"
SERVER = """
import json, sys
from mull.verify.sandbox import walls
from mull.verify.sandbox.escapes import attempt
from mull.verify.sandbox.escapes.scene import Scene
with Scene() as scene:
    wall = walls.put_up("namespaces")
    for line in sys.stdin:
        found = attempt.attempt(wall, scene, attempt.BY_NAME[line.strip()])
        print(json.dumps([found.name, found.outcome, found.detail, found.seconds]), flush=True)
    wall.close()
"""
NOTHING_STOPS = (
    "home", "host's /tmp", "names of files", "sizes of files", "symbolic link", "way up", "environments",
    "command lines", "TCP", "UDP", "abstract socket", "path socket", "datagram pair to a path",
    "datagram pair to a name", "filter over the filter", "kill", "kill by descriptor", "queued signal",
    "signal by a pipe", "kill the fork server", "processors of others", "priority of others", "foreign program",
    "set-uid programs", "files outside", "modes and owners", "renaming", "memory in files of nobody", "full disk",
    "many files", "poisoned /tmp", "shared memory of the host", "POSIX queue", "netlink", "host's /dev/shm",
    "attributes of files", "watching files", "standing back", "asynchronous requests",
)  # fmt: skip
"""What any user may do on any Linux, so that without a wall it is seen to be done."""
if os.getuid() == 0:  # other users' processes may be kept from each other's memory (Yama)
    NOTHING_STOPS += ("memory by /proc", "process_vm_readv", "a job beside it", "setuid")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with Scene() as made:
        yield made


@pytest.fixture(scope="module", params=["namespaces", "landlock", "bubblewrap"])
def standing(request: pytest.FixtureRequest, scene: Scene) -> Iterator[tuple[Wall, Scene]]:
    try:
        wall = walls.put_up(request.param)
    except UserError as error:
        pytest.skip(f"{request.param} cannot stand here: {error}")
    yield wall, scene
    wall.close()


@pytest.fixture(scope="module")
def bare(scene: Scene) -> Iterator[tuple[Wall, Scene]]:
    wall = walls.put_up("none")
    yield wall, scene
    wall.close()


@pytest.fixture(scope="module")
def as_user(sandbox: str) -> Iterator[Trial]:
    """Escapes against a wall that an ordinary user's process has put up."""
    if sandbox != "namespaces":
        pytest.skip(f"this machine refuses user namespaces; what stands is {sandbox}")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, str(AS_USER), folder, sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin and process.stdout

        def trial(name: str) -> Finding:
            process.stdin.write(name + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            _, outcome, detail, seconds = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return Finding(name, Outcome(outcome), detail, seconds)

        with process:
            yield trial
            process.stdin.close()
            assert process.wait(30) == 0


def held(wall: str, found: Finding) -> None:
    """The finding is what the table says."""
    assert not broken(wall, found), found
    if found.outcome is Outcome.DOES_NOT_APPLY:
        pytest.skip(f"does not apply: {found.detail}")


@pytest.mark.parametrize("name", NAMES)
def test_escape(standing: tuple[Wall, Scene], name: str) -> None:
    wall, scene = standing
    held(wall.name, attempt.attempt(wall, scene, attempt.BY_NAME[name]))


@pytest.mark.skipif(os.getuid() != 0, reason="the suite runs as an ordinary user: test_escape has shown it")
@pytest.mark.parametrize("name", NAMES)
def test_escape_from_a_wall_of_an_ordinary_user(as_user: Trial, name: str) -> None:
    held("namespaces", as_user(name))


@pytest.mark.parametrize("name", NOTHING_STOPS)
def test_without_a_wall_it_is_seen_to_get_out(bare: tuple[Wall, Scene], name: str) -> None:
    found = attempt.attempt(*bare, attempt.BY_NAME[name])
    if found.outcome is Outcome.DOES_NOT_APPLY:
        pytest.skip(f"does not apply: {found.detail}")
    assert found.outcome is Outcome.NOT_STOPPED, found
    assert not expected("none", name).stops


@pytest.mark.parametrize("name", sorted(ONLY["none"][1]))
def test_limits_and_the_fork_server_hold_without_a_wall(bare: tuple[Wall, Scene], name: str) -> None:
    held("none", attempt.attempt(*bare, attempt.BY_NAME[name]))


def test_the_tables_name_escapes_that_exist() -> None:
    assert len(attempt.BY_NAME) == len(attempt.ESCAPES) >= 40
    for names in [*OPEN.values(), *(stopped for _, stopped in ONLY.values())]:
        assert set(names) <= set(NAMES)
    assert not OPEN["namespaces"]
    assert set(OPEN) | set(ONLY) == set(walls.NAMES)
    assert set(HARMFUL_BEHIND) == set(OPEN)


def test_a_program_that_tries_nothing_is_no_success(bare: tuple[Wall, Scene]) -> None:
    wall, scene = bare
    for program in ("1 / 0", "import os\nos._exit(0)", "print('all is well')", "this is no Python"):
        found = attempt.attempt(wall, scene, Escape("lazy", "nothing", program))
        assert found.outcome is Outcome.UNCLEAR, found
        assert broken("none", found)
