"""Presets of programming problems: rows as published, as problems with their tests."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem
from mull.tasks.registry import load_task
from mull.verify.registry import verify

needs_wall = pytest.mark.usefixtures("sandbox")
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": "import math\n\n\ndef up(x: float) -> int:\n    '''Round up.'''\n",
    "entry_point": "up",
    "canonical_solution": "    return math.ceil(x)\n",
    "test": "def check(candidate):\n    assert candidate(1.2) == 2\n    assert candidate(3) == 3\n",
}
MBPP = {
    "task_id": 126,
    "text": "Write a function that adds.",
    "code": "def helper(x):\r\n  return x\r\ndef sum(a, b):\r\n  return helper(a) + b",
    "test_setup_code": "",
    "test_list": ["assert sum(1, 2) == 3", "assert sum(5, 5) == 10"],
}
STDIN = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
FUNCTIONAL = [{"input": "[1, 2]\n3", "output": "[4, 5]", "testtype": "functional"}]
LCB = {
    "question_id": "abc", "question_content": "Add the numbers.", "starter_code": "", "difficulty": "medium",
    "public_test_cases": json.dumps(STDIN), "private_test_cases": json.dumps([{**STDIN[0], "output": "3"}]),
    "metadata": "{}",
}  # fmt: skip
CONTESTS = {
    "name": "1_A. Sum", "description": "Add the numbers.", "difficulty": 7, "time_limit": {"seconds": 5,
    "nanos": 500_000_000},
    "public_tests": {"input": ["1 2"], "output": ["3"]}, "private_tests": {"input": [], "output": []},
    "generated_tests": {"input": ["2 2"], "output": ["4"]}, "memory_limit_bytes": 1 << 30, "input_file": "",
}  # fmt: skip
ADDS = "```python\nprint(sum(map(int, input().split())))\n```"


def load(tmp_path: Path, preset: str, *rows: Any) -> list[Problem]:
    path = tmp_path / f"{preset}.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(json.dumps(row) for row in rows))
    return load_task(f"{path}?preset={preset}")


def test_prompts_ask_for_a_fenced_program_and_show_no_hidden_test(tmp_path: Path) -> None:
    for preset, row in (("humaneval", HUMANEVAL), ("mbpp", MBPP), ("livecodebench", LCB), ("codecontests", CONTESTS)):
        (problem,) = load(tmp_path, preset, row)
        prompt = problem.messages[0].content
        assert "```python" in prompt and "<answer>" in prompt and problem.domain == "code"
        assert "candidate" not in prompt and "sum(5, 5)" not in prompt and "2 2" not in prompt
    assert "assert sum(1, 2) == 3" in load(tmp_path, "mbpp", MBPP)[0].messages[0].content


@needs_wall
def test_their_own_solutions_are_right(tmp_path: Path) -> None:
    (up,) = load(tmp_path, "humaneval", HUMANEVAL)
    assert verify(up, f"```python\n{HUMANEVAL['prompt']}{HUMANEVAL['canonical_solution']}```").correct
    assert verify(up, "```python\ndef up(x):\n    return math.ceil(x)\n```").correct
    assert not verify(up, "```python\ndef up(x):\n    return int(x)\n```").correct
    (add,) = load(tmp_path, "mbpp", MBPP)
    assert add.data["entry_point"] == "sum" and verify(add, f"```\n{MBPP['code']}\n```").correct
    for preset, row in (("livecodebench", LCB), ("codecontests", CONTESTS)):
        (problem,) = load(tmp_path, preset, row)
        assert "2 tests passed" in verify(problem, ADDS).reason
        assert not verify(problem, "```python\nprint(3.5)\n```").correct


@needs_wall
def test_livecodebench_with_calls(tmp_path: Path) -> None:
    private = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(FUNCTIONAL)))).decode()
    row = {
        **LCB, "starter_code": "class Solution:\n    def shift(self, a: List[int], k: int) -> List[int]:\n        ",
        "public_test_cases": json.dumps(FUNCTIONAL), "private_test_cases": private,
        "metadata": json.dumps({"func_name": "shift"}),
    }  # fmt: skip
    (problem,) = load(tmp_path, "livecodebench", row)
    assert problem.data["function"] == "Solution.shift" and len(problem.data["tests"]) == 2 and problem.level == 2
    assert "class Solution" in problem.messages[0].content
    solution = row["starter_code"] + "return [x + k for x in a]"
    assert verify(problem, f"```python\n{solution}\n```").correct


def test_codecontests_brings_its_limits_and_leaves_out_files(tmp_path: Path) -> None:
    files = {**CONTESTS, "name": "2_A", "input_file": "in.txt"}
    (problem,) = load(tmp_path, "codecontests", CONTESTS, files)
    assert (problem.data["seconds"], problem.data["memory_mb"], problem.level) == (5.5, 1024, 7)


@pytest.mark.parametrize(
    ("preset", "row", "message"),
    [
        ("humaneval", {**HUMANEVAL, "entry_point": ""}, "no HumanEval problem; a row needs 'entry_point'"),
        ("humaneval", {**HUMANEVAL, "test": "def check(candidate):\n    pass\n"}, "asserts nothing"),
        ("mbpp", {**MBPP, "test_list": []}, "no MBPP problem"),
        ("mbpp", {**MBPP, "test_list": ["assert sum(1, 2 == 3"]}, "test 1 is no Python"),
        ("livecodebench", {**LCB, "private_test_cases": "eJw"}, "cannot be decoded"),
        ("livecodebench", {**LCB, "public_test_cases": "[]", "private_test_cases": "[]"}, "not one test"),
        ("livecodebench", {"question_id": "x"}, "no LiveCodeBench problem"),
        ("codecontests", {**CONTESTS, "public_tests": {"input": ["1"], "output": []}}, "two lists of one length"),
        ("codecontests", {"name": "x", "description": "y"}, "no tests"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, preset: str, row: Any, message: str) -> None:
    with pytest.raises(UserError, match="row 1") as error:
        load(tmp_path, preset, row)
    assert message in str(error.value) and "\n" not in str(error.value)
