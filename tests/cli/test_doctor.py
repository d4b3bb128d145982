"""`mull doctor` as a user meets it: a wall that holds, one that fails, a machine that refuses user namespaces."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mull.cli.main import main
from mull.verify import doctor
from mull.verify.sandbox.escapes import attempt
from mull.verify.sandbox.escapes.base import Escape

WITHOUT = Path(__file__).parents[1] / "verify" / "sandbox" / "without_user_namespaces.py"
STOPPED = Escape("shadow", "reads /etc/shadow", "attempt(lambda: open('/etc/shadow').read())")
LOOSE = Escape("own number", "asks for its process number", "attempt(lambda: os.getpid())")
ROW = {
    "id": 1, "verifier": "code-io", "program": "print(6 * int(input()))", "tests": [{"input": "7", "output": "42"}],
}  # fmt: skip


def mull(*words: str) -> tuple[int, str, str]:
    """Exit code, output and complaint of the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["mull", "doctor", *words]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        sys.argv = before
    return code, out.getvalue(), err.getvalue()


def test_a_wall_that_holds(sandbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "ESCAPES", (STOPPED,))
    code, out, _ = mull()
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("mull ") and lines[1].startswith("torch ")
    assert f"sandbox: {sandbox} stands" in lines
    assert any(line.startswith("   stopped ") and "shadow: reads /etc/shadow [" in line for line in lines)
    assert lines[-1] == f"{sandbox} stopped all that it is expected to stop (1 stopped)"


def test_a_wall_that_fails_is_named_and_the_exit_code_is_1(sandbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "ESCAPES", (STOPPED, LOOSE))
    code, out, _ = mull("--sandbox", sandbox)
    assert code == 1
    assert any(line.startswith("!! not stopped ") and "own number" in line for line in out.splitlines())
    assert out.splitlines()[-1] == f"{sandbox} HAS FAILED at own number (1 stopped, 1 not stopped)"
    code, out, _ = mull("--json")
    told = json.loads(out)
    assert code == 1 and told["ok"] is False
    assert [(row["name"], row["outcome"], row["broken"]) for row in told["walls"][-1]["escapes"]] == [
        ("shadow", "stopped", False), ("own number", "not stopped", True),
    ]  # fmt: skip


def test_what_nobody_promised_is_shown_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "ESCAPES", (attempt.BY_NAME["host's /tmp"],))
    code, out, _ = mull("--sandbox", "none")
    assert code == 0
    assert "not stopped (expected)" in out and "[there is no wall]" in out


def test_every_wall_is_tried_and_those_that_cannot_stand_are_told(
    sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "ESCAPES", (STOPPED,))
    code, out, _ = mull("--all", "--json")
    told = json.loads(out)
    assert code == 0
    assert [wall["name"] for wall in told["walls"]] == ["namespaces", "landlock", "bubblewrap"]
    assert all(wall["summary"]["stopped"] == 1 if wall["stands"] else wall["why"] for wall in told["walls"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sandbox", "namespace"], "did you mean 'namespaces'"),
        (["--all", "--sandbox", "none"], "either --all or --sandbox"),
        (["--sandbox", "remote=http://127.0.0.1:9"], "a first program did not run"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str) -> None:
    code, _, err = mull(*words)
    assert code == 2 and said in err and len(err.splitlines()) == 1


def test_settings_that_switch_user_namespaces_off_are_named(tmp_path: Path) -> None:
    for place, value in (("user/max_user_namespaces", 0), ("kernel/apparmor_restrict_unprivileged_userns", 1)):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{value}\n")
    lines = doctor.advice(tmp_path)
    assert len(lines) == 2
    assert "user.max_user_namespaces = 0" in lines[0] and "sysctl -w user.max_user_namespaces=15000" in lines[0]
    assert "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" in lines[1]


def without(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(WITHOUT), sys.executable, "-m", "mull", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_where_user_namespaces_are_off_landlock_holds_and_is_named(sandbox: str, tmp_path: Path) -> None:
    if sandbox != "namespaces":
        pytest.skip(f"user namespaces are off here already: {sandbox}")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(ROW) + "\n")
    done = without("verify", str(rows))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], told["method"]) == ("correct", "code-io/landlock")

    done = without("doctor", "--json")
    report = json.loads(done.stdout)
    assert not [row for wall in report["walls"] for row in wall["escapes"] if row["broken"]], done.stderr
    assert done.returncode == 0
    refused, held = report["walls"]
    assert (refused["name"], refused["stands"], held["name"], held["stands"]) == ("namespaces", False, "landlock", True)
    assert "unshare" in refused["why"]
    assert "user.max_user_namespaces = 0" in report["advice"][0]
    assert held["summary"]["broken"] == held["summary"]["unclear"] == 0
    assert held["summary"]["stopped"] > 80
