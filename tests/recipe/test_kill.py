"""A recipe with every kind of stage, killed at any write or moment and taken up again, ends as an undisturbed one.

Real processes and SIGKILL. A process is killed at its k-th step of the file system (a file synced, renamed, removed, a
directory made), just before it or a random while after it, so that every boundary of a write is reached, and what lies
between. The wrapper counts those steps from outside; the program itself knows nothing of it.
"""

from __future__ import annotations

import random
import signal
from pathlib import Path
from types import ModuleType

import pytest

WRAPPER = """
import atexit, os, signal, sys, threading
LEFT, PAUSE, COUNT, AFTER = {left}, {pause}, {count!r}, {after!r}
SEEN = 0

def counted(function):
    def call(*args, **more):
        global SEEN
        SEEN += not AFTER or os.path.exists(AFTER)
        if SEEN == LEFT:
            if PAUSE:
                threading.Timer(PAUSE, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **more)
    return call

import mull.cli.main
for name in ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
if COUNT:
    atexit.register(lambda: open(COUNT, "w").write(str(SEEN)))
mull.cli.main.main()
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, every_kind: ModuleType) -> tuple[Path, Path, int]:
    """(recipe, a run of it that nobody disturbed, its number of steps of the file system)"""
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = every_kind.write_recipe(folder)
    counting = WRAPPER.format(left=0, pause=0, count=str(folder / "count"), after="")
    every_kind.finish(recipe, folder / "run", "--quiet", wrapper=counting)
    every_kind.refuse_doubles(folder / "run")
    return recipe, folder / "run", int((folder / "count").read_text())


def distances(rng: random.Random, steps: int, moments: int) -> list[int]:
    """Random distances that together stay within `steps`: what a kill costs is done again, so no run ends early."""
    places = sorted(rng.sample(range(1, steps - 40), moments))
    return [place - before for before, place in zip([0, *places], places, strict=False)]


def killed_and_resumed(
    kit: ModuleType, undisturbed: tuple[Path, Path, int], out: Path, moments: int, seed: int
) -> None:
    """Kill `moments` times at random, then let the run end."""
    recipe, reference, steps = undisturbed
    rng = random.Random(seed)
    for left in distances(rng, steps, moments):
        pause = rng.choice((0.0, 0.05 * rng.random()))
        process = kit.start(recipe, out, "--quiet", wrapper=WRAPPER.format(left=left, pause=pause, count="", after=""))
        _, said = process.communicate(timeout=600)
        assert process.returncode == -signal.SIGKILL, said
    kit.finish(recipe, out, "--quiet")
    kit.refuse_doubles(out)
    assert kit.state(out) == kit.state(reference)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_killed_three_times_past_a_checkpoint(
    every_kind: ModuleType, undisturbed: tuple[Path, Path, int], tmp_path: Path
) -> None:
    """In the steps after the first checkpoint of stages that draw, sample and learn: where a lost cursor would show."""
    recipe, reference, _ = undisturbed
    out = tmp_path / "run"
    for stage, left in (("zero", 1), ("taught", 2), ("critic", 3)):
        after = str(out / "stages" / stage / "rollouts" / "step-000002.parquet")
        wrapper = WRAPPER.format(left=left, pause=0, count="", after=after)
        _, said = (process := every_kind.start(recipe, out, "--quiet", wrapper=wrapper)).communicate(timeout=600)
        assert process.returncode == -signal.SIGKILL, said
        assert (out / "stages" / stage / "checkpoints" / "step-000002").is_dir()
    every_kind.finish(recipe, out, "--quiet")
    every_kind.refuse_doubles(out)
    assert every_kind.state(out) == every_kind.state(reference)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_twenty_times(every_kind: ModuleType, undisturbed: tuple[Path, Path, int], tmp_path: Path) -> None:
    killed_and_resumed(every_kind, undisturbed, tmp_path / "run", 20, seed=2)
