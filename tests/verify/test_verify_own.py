"""A user's own verifier: what it may return, that it runs in a sandbox and never here, mistakes said in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import urllib.error
import urllib.request
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.tasks.registry import load_task
from mull.verify import check_gold, verify, verify_response
from mull.verify.batch import Reading, judge, read_row
from mull.verify.code import NoWall
from mull.verify.http import VerifyServer
from mull.verify.sandbox import walls

pytestmark = pytest.mark.usefixtures("sandbox")


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """Judges by a function `score` of the given source."""
    made = []

    def judged(source: str, text: str = "42", **data: Any) -> Verdict:
        path = tmp_path / f"reward{len(made)}.py"
        made.append(path)
        path.write_text(textwrap.dedent(source))
        problem = Problem("row", (), f"python:{path}:score", {"answer": "42", **data})
        check_gold(problem)
        return verify(problem, text)

    return judged


@pytest.mark.parametrize(
    ("returned", "kind", "score"),
    [
        ("True", "correct", None), ("False", "wrong", None), ("1", "correct", 1.0), ("1.0", "correct", 1.0),
        ("0.25", "wrong", 0.25), ("0", "wrong", 0.0), ("{'correct': True}", "correct", None),
        ("{'score': 0.5}", "wrong", 0.5), ("1.5", "error", None), ("-0.1", "error", None),
        ("float('nan')", "error", None), ("None", "error", None), ("'yes'", "error", None), ("[True]", "error", None),
        ("{'right': True}", "error", None), ("{'correct': True, 'reason': 3}", "error", None),
        ("object()", "error", None),
    ],
)  # fmt: skip
def test_what_a_function_may_return(own: Any, returned: str, kind: str, score: float | None) -> None:
    verdict = own(f"def score(text, data): return {returned}")
    assert (verdict.kind, verdict.score, verdict.method) == (kind, score, "python"), verdict


def test_it_gets_the_answer_and_the_data_and_may_say_why(own: Any) -> None:
    source = """
        from mull.verify import final_answer

        def score(text, data):
            found = final_answer(text)
            why = f"{found} for {data['more'][0]['a']}"
            return {"correct": found == data["answer"], "reason": why, "answer": found}
    """
    verdict = own(source, "so \\boxed{42}", more=[{"a": "ä"}])
    assert (verdict.kind, verdict.reason, verdict.answer) == (VerdictKind.CORRECT, "42 for ä", "42")
    assert own(source, "41", more=[{"a": 1}]).kind is VerdictKind.WRONG
    assert own("import numpy\ndef score(text, data): return numpy.float64(text) == 42").correct


def test_the_thought_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text("def score(text, data): return data['answer'] in text")
    problem = Problem("row", (), f"python:{path}:score", {"answer": "42"})
    assert verify_response(problem, "<think>41</think> it is 42").correct
    assert not verify_response(problem, "<think>42</think> it is 41").correct
    assert verify_response(problem, "<think>42").kind is VerdictKind.NO_ANSWER


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text("def score(text, data): return True")
    rows = [Problem(f"row {n}", (), f"python:{path}:score", {"answer": "42"}) for n in range(2)]
    assert verify(rows[0], "41").correct
    path.write_text("def score(text, data): return False")
    check_gold(rows[1], "line 2")
    assert verify(rows[1], "41").correct  # a run's reward does not change under it


def test_an_exception_is_our_failure_and_says_where(own: Any) -> None:
    verdict = own("\n\ndef score(text, data):\n    return data['nothing']")
    assert verdict.kind is VerdictKind.ERROR and verdict.reason == "KeyError: 'nothing' (line 4)"
    assert "SystemExit" in own("import sys\ndef score(text, data): sys.exit(0)").reason
    assert own("import os\ndef score(text, data): os._exit(0)").kind is VerdictKind.ERROR
    assert "RuntimeError: soon" in own("def score(text, data): return True\nraise RuntimeError('soon')").reason


def test_a_call_has_a_time_limit(own: Any) -> None:
    verdict = own("def score(text, data):\n    while True: pass", seconds=0.5)
    assert (verdict.kind, verdict.reason) == (VerdictKind.TIMEOUT, "it took more than 0.5 s")
    with pytest.raises(UserError, match="'seconds' must be a number above 0"):
        own("def score(text, data): return True", seconds=0)


def test_it_runs_apart_from_us_and_from_the_last_call(own: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source = f"""
        import os, sys
        sys.modules["here"] = sys
        calls = []
        def score(text, data):
            calls.append(text)
            try:
                open({str(mark)!r}, "w")
            except OSError:
                pass
            return {{"correct": len(calls) == 1 and "torch" not in sys.modules, "reason": str(len(os.environ))}}
    """
    for _ in range(2):
        verdict = own(source)
        assert verdict.correct, verdict
    assert not mark.exists() and "here" not in sys.modules


def test_a_module_is_found_without_importing_it() -> None:
    assert "this" not in sys.modules
    check_gold(Problem("row", (), "python:this:s", {}))
    assert "this" not in sys.modules
    assert verify(Problem("row", (), "python:operator:ne", {}), "42").correct
    assert verify(Problem("row", (), "python:operator:eq", {}), "42").kind is VerdictKind.WRONG


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("python:{0}:scor", "defines no 'scor'; did you mean 'score'"),
        ("python:{0}", "write python:path/to/file.py:function"),
        ("python:{0}x.py:score", "cannot be read (No such file or directory)"),
        ("python:no_such_module:score", "no module 'no_such_module' is installed; name its file"),
        ("python:json.no_such:score", "no module 'json.no_such' is installed"),
        ("python:{1}:score", "is no Python"),
        ("pyhton:{0}:score", "unknown verifier"),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path: Path, name: str, message: str) -> None:
    path, broken = tmp_path / "reward.py", tmp_path / "broken.py"
    path.write_text("def score(text, data): return True")
    broken.write_text("def score(")
    with pytest.raises(UserError) as error:
        check_gold(Problem("row 7", (), name.format(path, broken), {"answer": "42"}))
    assert message in str(error.value) and "row 7" in str(error.value) and "\n" not in str(error.value)


def test_rows_and_tasks_name_it(tmp_path: Path) -> None:
    path, rows = tmp_path / "reward.py", tmp_path / "rows.jsonl"
    path.write_text("def score(text, data): return text.endswith(data['answer'])")
    name = f"python:{path}:score"
    row = read_row({"id": 1, "gold": "42", "response": "<think>a</think>42", "verifier": name}, "row", Reading())
    assert judge(row, Reading()).correct
    rows.write_text(json.dumps({"prompt": "6 * 7?", "answer": "42"}) + "\n")
    problem = load_task({"source": str(rows), "verifier": name})[0]
    assert verify(problem, "it is 42").correct and not verify(problem, "42 it is").correct
    with pytest.raises(UserError, match="defines no 'scores'"):
        load_task({"source": str(rows), "verifier": name + "s"})


def test_strangers_name_no_files_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text("def score(text, data): return True")
    name = f"python:{path}:score"
    row = {"id": 1, "gold": "42", "prediction": "42", "verifier": name}
    for reading, status in ((Reading(), 400), (Reading(verifier=name), 200)):
        with VerifyServer("127.0.0.1", 0, reading) as server:
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()
            asked = urllib.request.Request(
                f"{server.url}/verify", json.dumps(row).encode(), {"Content-Type": "application/json"}
            )
            if status == 200:
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    assert json.load(answer)["verdict"] == "correct"
            else:
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(asked, timeout=30)
                assert refused.value.code == status and "named with --verifier" in refused.value.read().decode()
            server.shutdown()
            thread.join(10)


def test_without_a_sandbox_it_ends_with_what_to_do(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Any:
        raise UserError("no sandbox can be put up here; name another with --sandbox")

    monkeypatch.setattr(walls, "current", none)
    with pytest.raises(NoWall, match="name another with --sandbox"):
        own("def score(text, data): return True")


def test_a_module_that_lies_in_tmp_is_found(tmp_path: Path, sandbox: str) -> None:
    """A sandbox has a /tmp of its own, and an environment may lie in the machine's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        Path(folder, "mine_in_tmp.py").write_text("def reward(text, data):\n    return text == '4'\n")
        row = tmp_path / "rows.jsonl"
        row.write_text('{"id": "a", "prediction": "4", "gold": "4"}\n')
        done = subprocess.run(
            [sys.executable, "-m", "mull", "verify", str(row), "--verifier", "python:mine_in_tmp:reward"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)])},
            capture_output=True, text=True, timeout=100,
        )  # fmt: skip
    assert done.returncode == 0 and '"verdict": "correct"' in done.stdout, (sandbox, done)
