"""`mull verify` as a user meets it: a file, an output that is resumed, a mistake, a server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROWS = [
    {"id": "a", "gold": "1/2", "prediction": "0.5"},
    {"id": "b", "gold": "42", "response": "<think>41</think>\\boxed{42}"},
    {"id": "c", "gold": "42", "response": "<think>\\boxed{42}"},
    {"id": 4, "gold": "B", "prediction": "(C)", "verifier": "choice"},
]
MULL = [sys.executable, "-m", "mull"]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MULL, "verify", *map(str, words)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_verdicts_on_stdout_are_nothing_but_json_lines(rows: Path) -> None:
    done = run(rows)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["id"], row["verdict"]) for row in found] == [
        ("a", "correct"), ("b", "correct"), ("c", "no_answer"), (4, "wrong"),
    ]  # fmt: skip
    assert done.stderr == "4 rows: 2 correct, 1 wrong, 1 no_answer\n"


def test_an_output_is_resumed_and_counted(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.jsonl"
    assert run(rows, "--out", out).returncode == 0
    whole = out.read_text()
    out.write_text("".join(whole.splitlines(keepends=True)[:2]) + '{"id": "c"')
    done = run(rows, "--out", out, "--json")
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["resumed"], summary["verdicts"]["correct"]) == (4, 2, 2)
    assert [json.loads(line)["verdict"] for line in out.read_text().splitlines()] == [
        "correct", "correct", "no_answer", "wrong",
    ]  # fmt: skip


def test_how_responses_are_read(rows: Path) -> None:
    done = run(rows, "--thought", "required", "--convention", "hashes", "--json")
    assert json.loads(done.stdout)["verdicts"]["correct"] == 1


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["absent.jsonl"], ["absent.jsonl", "no such file"]),
        ([], ["--serve", "mull verify --help"]),
        (["x.jsonl", "--verifier", "maths"], ["did you mean 'math'"]),
        (["x.jsonl", "--convention", "boxd"], ["'boxd'"]),
        (["x.jsonl", "--thought", "open"], ["closed or required"]),
        (["x.jsonl", "--serve"], ["either"]),
        (["--serve", "--host", "no.such.host.invalid"], ["cannot listen"]),
    ],
)
def test_a_mistake_is_one_line(words: list[str], parts: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("mull: ")
    assert all(part in lines[0] for part in parts), lines


def test_a_bad_row_is_named_after_the_good_ones_are_written(rows: Path) -> None:
    with rows.open("a") as file:
        file.write('{"id": 5, "gold": "1"}\n')
    done = run(rows)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 4
    assert done.stderr.strip().endswith("line 5: exactly one of prediction, response and program is needed, not none")


def test_a_server_answers_and_ends_on_ctrl_c() -> None:
    process = subprocess.Popen(
        [*MULL, "verify", "--serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stderr is not None
        url = re.search(r"http://\S+", process.stderr.readline())
        assert url is not None
        body = json.dumps(ROWS[0]).encode()
        request = urllib.request.Request(url[0], body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert json.loads(response.read())["verdict"] == "correct"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()  # type: ignore[union-attr]
