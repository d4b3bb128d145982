"""Files are whole or absent, also when the process that writes them is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mull.core.files import (
    read_json_lines,
    sha256_directory,
    sha256_file,
    write_bytes,
    write_directory,
    write_json,
    write_text,
)

# Replaces a directory of two files for ever; both files always carry the same number.
REPLACER = """
import sys
from pathlib import Path
from mull.core.files import write_directory, write_text
target = Path(sys.argv[1])
number = 0
while True:
    number += 1
    def fill(path):
        (path / "a").write_text(str(number) * 20000)
        (path / "deep").mkdir()
        (path / "deep" / "b").write_text(str(number))
    write_directory(target, fill)
    write_text(target.parent / "file", str(number) * 20000)
    print(number, flush=True)
"""


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "deep" / "x.json"
    write_json(target, {"a": "é"})
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_json(target, {"a": 2})
    assert target.read_text(encoding="utf-8") == '{\n  "a": "é"\n}\n'
    assert [path.name for path in target.parent.iterdir()] == ["x.json"]


def test_json_refuses_what_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_failing_fill_leaves_the_old_directory(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_directory(target, lambda path: write_text(path / "a", "old"))

    def fill(path: Path) -> None:
        write_text(path / "a", "new")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        write_directory(target, fill)
    assert (target / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
    write_directory(target, lambda path: write_text(path / "b", "new"))
    assert [path.name for path in target.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.timeout(60)
def test_kill_leaves_old_or_new(tmp_path: Path) -> None:
    rng = random.Random(5)
    target = tmp_path / "checkpoint"
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", REPLACER, str(target)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        # The old directory steps aside before the new one takes its name: for an instant there may be none,
        # never a half-filled one, and what was there before is still beside it.
        seen = [target] if target.exists() else [old / "checkpoint" for old in tmp_path.glob(".checkpoint.*.old")]
        assert seen
        for directory in seen:
            number = (directory / "deep" / "b").read_text()
            assert (directory / "a").read_text() == number * 20000
        text = (tmp_path / "file").read_text()
        assert text
        assert text == text[: len(text) // 20000] * 20000


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert list(read_json_lines(path)) == []
    path.write_text('{"step": 0}\n\n{"step": 1}\n{"step": 2')
    assert list(read_json_lines(path)) == [{"step": 0}, {"step": 1}]
    path.write_text('{"step": 0}\n{"step": 1}')  # whole JSON, but nobody knows whether the number went on
    assert list(read_json_lines(path)) == [{"step": 0}]


def test_hashes_see_names_and_bytes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "x", b"one")
    write_bytes(tmp_path / "b" / "x", b"one")
    assert sha256_file(tmp_path / "a" / "x") == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert sha256_directory(tmp_path / "a") == sha256_directory(tmp_path / "b")
    before = sha256_directory(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert sha256_directory(tmp_path / "a") != before
    write_bytes(tmp_path / "b" / "x", b"two")
    assert sha256_directory(tmp_path / "b") != before
