"""Rows of published programming problems as flat rows for the verifiers `code-check` and `code-io`.

`humaneval`: the prompt is also the prelude, so that its imports and helpers are there. `mbpp`: the first assert is
shown, to name the function; the others are not, so that a program cannot be written for them. `livecodebench`: tests by
standard input or by calls, public and private. `codecontests`: all tests of a problem together. Left out on purpose:
problems that read files, and time limits meant for other languages (a problem's own counts when it is the longer).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mull.core.errors import UserError
from mull.verify.code_tests import plain_tests
from mull.verify.sandbox.base import Limits

Row = Mapping[str, Any]

IMPORTS = (
    "import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys\n"
    "from bisect import *\nfrom collections import *\nfrom functools import *\nfrom heapq import *\n"
    "from itertools import *\nfrom math import *\nfrom typing import *\n"
)
"""What programs for LeetCode's starter code take for granted."""
_DEFINED = re.compile(r"^def[ \t]+(\w+)", re.MULTILINE)
_LEVELS = {"easy": 1, "medium": 2, "hard": 3}
_MIN_MEMORY_MB = 512


def humaneval(row: Row, where: str) -> Iterator[Row]:
    """`{"task_id", "prompt", "test", "entry_point"}` as `{"id", "prompt", "tests", "entry_point", "prelude"}`."""
    name, prompt, test, entry = _texts(row, where, "HumanEval", "task_id", "prompt", "test", "entry_point")
    yield {"id": name, "prompt": prompt, "tests": test, "entry_point": entry, "prelude": prompt}


def mbpp(row: Row, where: str) -> Iterator[Row]:
    """`{"task_id", "text" or "prompt", "code", "test_list", …}` as `{"id", "prompt", "tests", "entry_point", …}`."""
    tests = row.get("test_list")
    text = row.get("text") or row.get("prompt")
    if not isinstance(text, str) or "task_id" not in row or not tests or not isinstance(tests, list | tuple):
        raise UserError(f"{where}: no MBPP problem; a row needs 'task_id', 'text', and asserts in 'test_list'")
    setup = str(row.get("test_setup_code") or "") or "\n".join(row.get("test_imports") or ())
    called = [
        name for name in _DEFINED.findall(str(row.get("code") or "")) if re.search(rf"\b{name}\s*\(", str(tests[0]))
    ]
    yield {
        "id": row["task_id"], "prompt": f"{text.strip()}\n\nYour program should pass this test:\n{tests[0]}",
        "tests": list(tests), "entry_point": called[-1] if called else "", "prelude": setup.replace("\r\n", "\n"),
    }  # fmt: skip


def livecodebench(row: Row, where: str) -> Iterator[Row]:
    """`{"question_id", "question_content", "public_test_cases", …}` as `{"id", "prompt", "tests", "function", …}`."""
    name, text = _texts(row, where, "LiveCodeBench", "question_id", "question_content")
    tests, function = plain_tests(row, where)
    starter = str(row.get("starter_code") or "").strip()
    form = (
        f"Begin with this:\n\n```python\n{starter}\n```"
        if starter
        else "Read standard input, print to standard output."
    )
    yield {
        "id": name, "prompt": f"{text.strip()}\n\n{form}", "tests": tests, "function": function, "prelude": IMPORTS,
        "level": _LEVELS.get(str(row.get("difficulty")).lower(), 0),
    }  # fmt: skip


def codecontests(row: Row, where: str) -> Iterator[Row]:
    """`{"name", "description", "public_tests", "private_tests", …}` as `{"id", "prompt", "tests", "seconds", …}`.

    A row that reads or writes a file gives nothing.
    """
    name, text = _texts(row, where, "CodeContests", "name", "description")
    if row.get("input_file") or row.get("output_file"):
        return
    limit = row.get("time_limit") or {}
    seconds = (
        float(limit.get("seconds") or 0) + float(limit.get("nanos") or 0) / 1e9 if isinstance(limit, Mapping) else 0.0
    )
    memory = int(row.get("memory_limit_bytes") or 0) >> 20
    yield {
        "id": name, "prompt": f"{text.strip()}\n\nRead standard input, print to standard output.",
        "tests": plain_tests(row, where)[0], "seconds": min(max(Limits.seconds, seconds), 60.0),
        "memory_mb": min(max(_MIN_MEMORY_MB, memory), 4096), "level": int(row.get("difficulty") or 0),
    }  # fmt: skip


def _texts(row: Row, where: str, what: str, *names: str) -> list[str]:
    missing = [name for name in names if not isinstance(row.get(name), str) or not row[name].strip()]
    if missing:
        raise UserError(f"{where}: no {what} problem; a row needs {', '.join(map(repr, missing))}, as text")
    return [row[name] for name in names]
