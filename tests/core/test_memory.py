"""Peaks of main memory against what is really held, and systems that do not tell."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from mull.core import memory
from mull.core.memory import Meter, resident

MB = 1 << 20
measurable = pytest.mark.skipif(Meter().lap() is None, reason="this system does not tell peaks of memory")


def hold(size: int) -> mmap.mmap:
    """Pages of the process's own, written to and so resident, given back on close."""
    held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, size, mmap.PAGESIZE):
        held[page] = 1
    return held


@measurable
def test_a_lap_tells_what_was_held_meanwhile_and_the_next_forgets_it() -> None:
    meter = Meter()
    meter.start()
    hold(64 * MB).close()
    first = meter.lap()
    meter.start()
    second = meter.lap()
    assert first is not None and second is not None
    assert 60 * MB < first < 96 * MB
    assert second < 32 * MB
    assert meter.before is not None and meter.peak is not None
    assert meter.peak - meter.before >= first - MB  # the whole's peak remembers all laps


@measurable
def test_what_is_held_from_before_counts_into_every_lap() -> None:
    meter = Meter()
    held = hold(48 * MB)
    for _ in range(2):
        meter.start()
        assert (meter.lap() or 0) > 44 * MB
    held.close()
    assert resident() is not None


def test_a_system_that_does_not_tell_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolates the system's files, of which there are none here, or one that cannot be written."""
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    meter = Meter()
    meter.start()
    assert (meter.before, meter.lap(), meter.peak) == (None, None, None)
    monkeypatch.undo()
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "no" / "file")
    meter = Meter()
    assert (meter.lap(), meter.peak) == (None, None)
