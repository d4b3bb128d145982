"""Programs as rows: the shapes in which problems are published, rows of `mull verify`, and mistakes in them."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem, VerdictKind
from mull.verify import check_gold, code, registry, verify
from mull.verify.batch import Reading, as_json, judge, judge_all, read_row

pytestmark = pytest.mark.usefixtures("sandbox")
ADD = [{"input": "1 2\n", "output": "3\n"}, {"input": "10 -4", "output": "6"}]
PRINTS = "print(sum(map(int, input().split())))"


def packed(tests: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def test_published_shapes() -> None:
    merged = {
        "public_tests": {"input": ["1 2"], "output": ["3"]},
        "private_tests": {"input": [], "output": []},
        "generated_tests": {"input": ["2 2", "0 0"], "output": ["4", "0"]},
    }
    problem = Problem("row", (), "code-io", merged)
    assert "3 tests" in verify(problem, PRINTS).reason
    assert "test 3 of 3" in verify(problem, "print(max(1, sum(map(int, input().split()))))").reason
    typed = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
    for private in (
        packed(typed),
        json.dumps(typed),
        base64.b64encode(zlib.compress(json.dumps(typed).encode())).decode(),
    ):
        data = {"public_test_cases": json.dumps(typed), "private_test_cases": private}
        assert "2 tests passed" in verify(Problem("row", (), "code-io", data), PRINTS).reason
    calls = [{"input": "[1, 2]\n3", "output": "[4, 5]", "testtype": "functional"}]
    data = {
        "public_test_cases": json.dumps(calls),
        "metadata": '{"func_name": "shift"}',
        "prelude": "from typing import *",
    }
    solution = (
        "class Solution:\n    def shift(self, a: List[int], k: int) -> List[int]:\n        return [x + k for x in a]"
    )
    assert verify(Problem("row", (), "code-io", data), solution).correct
    assert not verify(Problem("row", (), "code-io", data), solution.replace("x + k", "x")).correct


class Runs:
    """Pickled, it runs a function when it is opened."""

    def __reduce__(self) -> Any:
        return print, ("opened",)


def test_packed_tests_are_never_unpickled(capsys: pytest.CaptureFixture[str]) -> None:
    for thing in (Runs(), ["a", "b"], {"a": 1}, 7):
        text = base64.b64encode(zlib.compress(pickle.dumps(thing))).decode()
        with pytest.raises(UserError, match="cannot be decoded"):
            check_gold(Problem("row", (), "code-io", {"private_test_cases": text}))
    assert "opened" not in capsys.readouterr().out


def test_rows_of_programs() -> None:
    right = {"id": 1, "program": PRINTS, "tests": ADD, "verifier": "code-io"}
    call = {
        "id": 2,
        "program": "def f(x): return x",
        "tests": [{"args": [1], "expected": 1.004}],
        "verifier": "code-call",
    }
    asked = {"id": 3, "program": "def f(x): return x", "tests": "assert f(1) == 1", "verifier": "code-check"}
    rows = [
        right, {**right, "program": "print(0)"}, {**call, "function": "f", "tolerance": 0.01},
        {**call, "entry_point": "f"},
        asked, {"id": 4, "prediction": f"```\n{PRINTS}\n```", "gold": {"tests": ADD}, "verifier": "code-io"},
        {"id": 5, "response": f"<think></think>\n```\n{PRINTS}\n```", "tests": ADD, "verifier": "code-io"},
    ]  # fmt: skip
    reading = Reading()
    found = [judge(read_row(row, "row", reading), reading).kind for row in rows]
    assert found == ["correct", "wrong", "correct", "wrong", "correct", "correct", "correct"]
    row = read_row(rows[1], "row", reading)
    assert as_json(row, judge(row, reading))["score"] == 0.0
    many = [{**right, "id": n, "program": PRINTS if n % 3 else "print(1)"} for n in range(40)]
    verdicts = list(judge_all([read_row(row, "row", reading) for row in many], reading, threads=4))
    assert [row.id for row, verdict in verdicts if not verdict.correct] == list(range(0, 40, 3))
    fence = {**right, "program": f"```python\n{PRINTS}\n```"}  # a program is no answer with a program in it
    assert judge(read_row(fence, "row", reading), reading).kind is VerdictKind.WRONG


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1, "program": "1", "tests": ADD}, "names its verifier: code-io, code-call, code-check"),
        ({"id": 1, "program": "1", "verifier": "code-io"}, "no field 'gold'"),
        ({"id": 1, "program": "1", "response": "1", "tests": ADD, "verifier": "code-io"}, "exactly one"),
        ({"id": 1, "program": ["1"], "tests": ADD, "verifier": "code-io"}, "the program must be text"),
        ({"id": 1, "program": "1", "tests": [], "verifier": "code-io"}, "not one test"),
        ({"id": 1, "program": "1", "gold": "42", "verifier": "math"}, "names its verifier"),
        ({"id": 1, "program": "1", "tests": ADD, "verifier": "code-oi"}, "code-io"),
    ],
)
def test_bad_rows_of_programs_are_one_clear_line(row: Any, message: str) -> None:
    with pytest.raises(UserError, match="line 7") as error:
        read_row(row, "rows.jsonl: line 7", Reading())
    assert message in str(error.value) and "\n" not in str(error.value)


def test_without_a_sandbox_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Any:
        raise UserError("no sandbox can be put up here; try --sandbox")

    monkeypatch.setattr(code.walls, "current", none)
    for name in ("code-io", "code-call", "code-check"):
        tests: Any = ADD if name == "code-io" else [{"function": "f", "args": [], "expected": 1}]
        data = {"tests": "assert f() == 1" if name == "code-check" else tests}
        with pytest.raises(UserError, match="try --sandbox"):
            registry.verify(Problem("row", (), name, data), "print(1)")
