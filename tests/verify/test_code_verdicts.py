"""Programs and their verdicts: where the program is, how results are compared, honest programs and scores."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import check_gold, code, verify, verify_response
from mull.verify.code_check import METHOD as CHECK
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import Limits

pytestmark = pytest.mark.usefixtures("sandbox")
ADD = [{"input": "1 2\n", "output": "3\n"}, {"input": "10 -4", "output": "6"}]
PRINTS = "print(sum(map(int, input().split())))"


def io(answer: str, tests: Any = ADD, **data: Any) -> Verdict:
    problem = Problem("row", (), "code-io", {"tests": tests, **data})
    check_gold(problem)
    return verify(problem, answer)


def printed(program: str, given: str, wanted: str, **data: Any) -> Verdict:
    return io(textwrap.dedent(program), [{"input": given, "output": wanted}], raw=True, **data)


def called(program: str, *tests: tuple[list[Any], Any], function: str = "f", **data: Any) -> Verdict:
    given = [{"args": args, "expected": expected} for args, expected in tests]
    problem = Problem("row", (), "code-call", {"function": function, "tests": given, "raw": True, **data})
    check_gold(problem)
    return verify(problem, textwrap.dedent(program))


def checked(program: str, *tests: str, **data: Any) -> Verdict:
    problem = Problem("row", (), "code-check", {"tests": list(tests), "raw": True, **data})
    check_gold(problem)
    return verify(problem, textwrap.dedent(program))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (f"```python\n{PRINTS}\n```", "correct"),
        (f"First.\n```\nprint(0)\n```\nBetter:\n```\n{PRINTS}\n```\nDone.", "correct"),
        (f"```python\r\n{PRINTS}\r\n```\r\n", "correct"),
        (f"```py\n{PRINTS}\n```\nIt prints\n```\n3\n```", "correct"),
        (f"```Python title=a.py\n{PRINTS}\n```", "correct"),
        (f"~~~python\n{PRINTS}\n~~~", "correct"),
        (f"````python\n'''\n```\n'''\n{PRINTS}\n````", "correct"),
        (f"1. So:\n   ```python\n{PRINTS}\n   ```", "correct"),
        (PRINTS, "correct"),
        (f"<answer>{PRINTS}</answer>", "correct"),
        (f"<answer>\n```python\n{PRINTS}\n```\n</answer>", "correct"),
        (f"```python\nprint(0)\n```\n```python\n{PRINTS}", "no_answer"),
        (f"```python\n{PRINTS}\n```\nor\n```python\nprint(0)\n```", "wrong"),
        (f"```bash\n{PRINTS}\n```", "no_answer"),
        ("```python\n```", "no_answer"),
        ("```python\n\n \n```", "no_answer"),
        ("I do not know how to do this.", "no_answer"),
        ("The program reads two numbers, and prints their sum.", "no_answer"),
        ("```python\nprint(\n```", "wrong"),
        (f"<answer>{PRINTS}", "no_answer"),
        ("", "no_answer"),
        ("```python\n\x00\n```", "wrong"),
        ("```python\n# \ud800\n" + PRINTS + "\n```", "wrong"),
    ],
)
def test_where_the_program_is(answer: str, kind: str) -> None:
    verdict = io(answer)
    assert verdict.kind == kind, verdict
    if answer:
        assert verdict.method == f"code-io/{walls.current().name}"
    assert (verdict.answer is None) == (kind == "no_answer")


def test_a_whole_response_has_its_program_after_the_thought() -> None:
    problem = Problem("row", (), "code-io", {"tests": ADD})
    right, wrong = f"```python\n{PRINTS}\n```", "```python\nprint(0)\n```"
    assert verify_response(problem, f"<think>{wrong}</think>{right}").correct
    assert verify_response(problem, f"<think>{right}</think>{wrong}").kind is VerdictKind.WRONG
    assert verify_response(problem, f"<think>{right}").kind is VerdictKind.NO_ANSWER
    assert verify_response(problem, f"<think>{right}</think>").kind is VerdictKind.NO_ANSWER


@pytest.mark.parametrize(
    ("out", "wanted", "right"),
    [
        ("3\n", "3", True), ("3  \n\n\n", "3\n", True), ("1\t2\n", "1 2", True), ("a\r\nb\r\n", "a\nb\n", True),
        ("5.0", "5", True), ("5.", "5.00", True), ("1e3", "1000.0", True), ("-.5", "-0.50", True),
        ("0.30000", "3e-1", True),
        ("05", "5", False), ("5", "05", False), ("+5", "5", False), ("3 4", "34", False), ("3\n4", "3 4", False),
        ("\n3", "3", False), ("3\n\n4", "3\n4", False), ("Yes", "YES", False), ("5.1", "5", False), ("", "3", False),
        ("3\n3", "3", False), ("nan", "nan", True), ("NaN", "nan", False), ("inf", "1e999", False), ("٣", "3", False),
        ("0." + "3" * 200, "0." + "3" * 201, False), ("1e999", "1e998", False), ("0x3", "3", False),
        ("3_0", "30", False),
    ],
)  # fmt: skip
def test_how_outputs_are_compared(out: str, wanted: str, right: bool) -> None:
    verdict = printed(f"print({out!r}, end='')", "", wanted)
    assert verdict.correct == right, verdict


@pytest.mark.parametrize(
    ("out", "wanted", "tolerance", "right"),
    [
        ("0.3333", "0.33333333", 1e-3, True), ("0.3333", "0.33333333", 1e-6, False),
        ("0.3333", "0.33333333", None, False),
        ("1000.5", "1000.0", 1e-3, True), ("5", "6", 0.5, False), ("nan", "1.0", 0.9, False),
        ("inf", "1.0", 0.9, False),
        ("x 1.001 y", "x 1.0 y", 0.01, True), ("1.001 1", "1.0", 0.01, False), ("0.0001", "0.0", 1e-3, True),
    ],
)  # fmt: skip
def test_a_tolerance_is_for_decimals(out: str, wanted: str, tolerance: float | None, right: bool) -> None:
    assert printed(f"print({out!r})", "", wanted, tolerance=tolerance).correct == right


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nprint(sum(int(line) for line in sys.stdin))",
        "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))",
        "import sys\nsys.stdout.buffer.write(str(sum(map(int, open(0)))).encode())",
        "n = 0\nwhile True:\n    try:\n        n += int(input())\n    except EOFError:\n        break\nprint(n)",
        "import os\nprint(sum(map(int, os.read(0, 100).split())), flush=True)\nos._exit(0)",
        "import sys\nprint(sum(map(int, sys.stdin.readlines())))\nsys.exit()",
        "import sys\nprint(sum(map(int, sys.stdin)))\nsys.exit(0)",
        "import threading, sys\nthreading.Thread(target=lambda: print(sum(map(int, sys.stdin)))).start()",
        """
        import sys, threading
        def main():
            def down(n): return 0 if n == 0 else 1 + down(n - 1)
            print(sum(map(int, sys.stdin)) + down(20_000) - 20_000)
        sys.setrecursionlimit(1 << 20)
        threading.stack_size(1 << 26)
        thread = threading.Thread(target=main)
        thread.start()
        thread.join()
        """,
        "from concurrent.futures import ThreadPoolExecutor as P\nprint(sum(P(3).map(int, open(0).read().split())))",
        "import sys\nprint(sum(map(int, sys.stdin)))\nprint('a warning', file=sys.stderr)",
        "def main():\n    print(sum(map(int, open(0))))\nif __name__ == '__main__':\n    main()",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int\nprint(A(sum(map(int, open(0)))).n)",
        "import atexit\natexit.register(lambda: print(sum(map(int, open(0)))))",
        "from __future__ import annotations\nn: Later = sum(map(int, open(0)))\nprint(n)",
        "with open('/tmp/a', 'w') as f: f.write(open(0).read())\nprint(sum(map(int, open('/tmp/a'))))",
    ],
)
def test_honest_programs_pass(program: str) -> None:
    if "/tmp/a" in program and walls.current().name == "landlock":
        return
    verdict = printed(program, "1\n2\n39\n", "42\n")
    assert verdict.correct, verdict


def test_honest_functions_pass() -> None:
    assert called("def f(n): return (i * i for i in range(n))", ([3], [0, 1, 4]), ([0], [])).correct
    assert called("def f(a): return tuple(a), {1: a}", ([[1]], [[1], {"1": [1]}]), ([[]], [[], {"1": []}])).correct
    assert called("def f(n): return 2 ** n", ([200], 2**200), ([3], 8)).correct
    assert called("def f(x): return x / 3", ([1], 1 / 3 + 1e-13), ([2.0], 2 / 3)).correct
    assert called("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)", ([15], 610)).correct
    assert called(
        "import sys\nsys.setrecursionlimit(99999)\ndef f(n): return 0 if n == 0 else f(n - 1)", ([9000], 0)
    ).correct
    assert called(
        "class Solution:\n    def f(self, a, b=1): return a + b", ([1], 2), ([1, 5], 6), function="Solution.f"
    ).correct
    assert called("n = 0\ndef f(x):\n    global n\n    n += x\n    return n", ([1], 1), ([1], 2)).correct
    assert called("def f(s): print('noise'); return s[::-1]", (["äß\u2028"], "\u2028ßä"), ([""], "")).correct
    assert called("if __name__ == '__main__':\n    input()\ndef f(): return None", ([], None)).correct
    assert called("def f(x): return {x, 1}", ([2], {1, 2})).correct
    kwargs = {"tests": [{"args": [1], "kwargs": {"b": 2}, "expected": 3}], "function": "f", "raw": True}
    assert verify(Problem("row", (), "code-call", kwargs), "def f(a, b): return a + b").correct
    assert called(
        "import threading\ndef f():\n    t = threading.Thread(target=print)\n    t.start(); t.join(); return 1", ([], 1)
    ).correct


def test_what_goes_wrong_says_so() -> None:
    for program, reason in (
        ("def f(x): return x", "test 2 of 2: f gives 2, not 3"),
        ("def g(x): return x", "NameError: the program defines no f"),
        ("def f(x): return object()", "a value of type object cannot cross"),
        ("def f(x): return 1 // (x - 1)", "ZeroDivisionError"),
        ("def f(x) return 1", "does not load: SyntaxError"),
        ("raise KeyError('soon')", "does not load: KeyError"),
        ("def f(): return 1", "TypeError: f() takes 0 positional arguments"),
    ):
        verdict = called(program, ([1], 1), ([2], 3))
        assert verdict.kind is VerdictKind.WRONG and reason in verdict.reason, verdict
    assert "line 2 is 'b', not 'c'" in printed("print('a\\nb')", "", "a\nc").reason
    assert "lines of output: 1, not 2" in printed("print('a')", "", "a\nc").reason
    assert "ZeroDivisionError: division by zero" in printed("1 / 0", "", "a").reason
    assert "an exit code" in printed("import sys\nprint('a')\nsys.exit(1)", "", "a").reason
    long = called(f"def f(x): return {'x' * 500!r}", ([1], "y" * 500))
    assert len(long.reason) <= code.MAX_REASON and long.reason.isprintable()
    assert called("def f(x): return '\\ud800\\n\\x1b[31m'", ([1], "y")).reason.isprintable()


def test_tests_that_are_code() -> None:
    assert checked("def f(a): a.append(1)", "a = [0]\nf(a)\nassert a == [0, 1]").correct
    assert checked("def f(a): a.pop('k'); return a", "a = {'k': 1}\nassert f(a) == {} and a == {}").correct
    assert not checked("def f(a): return a + [1]", "a = [0]\nf(a)\nassert a == [0, 1]").correct
    raises = "try:\n    f(-1)\nexcept ValueError as error:\n    assert 'small' in str(error)\nelse:\n    assert False"
    assert checked("def f(x):\n    if x < 0: raise ValueError('too small')\n    return x", raises).correct
    assert not checked("def f(x): return x", raises).correct
    assert checked("def f(x): return (x, [x])", "assert f(1) == (1, [1]) and type(f(2)) is tuple").correct
    assert not checked("def f(x): return [x, [x]]", "assert f(1) == (1, [1])").correct
    assert checked("def f(*, a): return a * 2", "assert f(a='x') == 'xx'").correct
    assert checked("def sum(a, b): return a + b", "assert sum(1, 2) == 3", entry_point="sum").correct
    assert checked("def f(x): return g(x)\ndef g(x): return -x", "assert f(1) == -1", "assert g(2) == -2").correct
    helper = {"prelude": "import math\ndef twice(x): return 2 * x\ndef f(x): pass", "entry_point": "f"}
    assert checked("def f(x): return twice(x)", "assert f(3) == twice(3) == 6", **helper).correct
    cheat = "def twice(x): return 0\ndef f(x): return 0"
    assert not checked(cheat, "assert f(3) == twice(3)", **helper).correct
    whole = {"entry_point": "f"}
    assert checked("def f(x): return x", "def check(candidate):\n    assert candidate(1) == 1", **whole).correct
    assert not checked("def f(x): return 0", "def check(candidate):\n    assert candidate(1) == 1", **whole).correct
    assert "cannot cross" in checked("def f(x): return lambda: 1", "assert f(1)() == 1").reason
    held = "try:\n    f()\nexcept Exception:\n    pass\nassert True or f()"
    assert not checked("import os\ndef f(): os._exit(0)", held).correct
    assert not checked("import os\ndef f(): os._exit(0)", held.replace("Exception", "BaseException")).correct
    broken = checked("def f(): return 1", "assert f() == 1", prelude="import nowhere_to_be_found")
    assert broken.kind is VerdictKind.ERROR and "prelude" in broken.reason
    assert broken.method == f"{CHECK}/{walls.current().name}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"tests": ["assert f("]}, "test 1 is no Python"),
        ({"tests": ["assert f(1)"], "prelude": "def"}, "the prelude is no Python"),
        ({"tests": ["assert f(1)"], "entry_point": "f()"}, "'entry_point' must be the name"),
        ({"tests": ["assert f(1)", "f(2)"]}, "test 2 asserts nothing"),
        ({"tests": "def check(candidate):\n    assert candidate(1)"}, "'entry_point'"),
        ({"tests": ["assert len([1]) == 1"]}, "call no function of the program"),
        ({"tests": ["assert f(1)"], "seconds": 0}, "'seconds' must be a number above 0"),
        ({"tests": ["assert f(1)"], "seconds": True}, "'seconds'"),
        ({"tests": ["assert f(1)"], "memory_mb": 1}, "'memory_mb'"),
        ({"tests": ["assert f(1)"], "partial": "yes"}, "'partial' must be true or false"),
        ({"tests": ["assert f(1)"], "tolerance": 2}, "'tolerance'"),
        ({"tests": 7}, "'tests' must be Python source"),
    ],
)
def test_bad_data_is_one_clear_line(data: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match="row 7") as error:
        check_gold(Problem("row 7", (), "code-check", data))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_mistakes_in_tests_of_calls_are_named() -> None:
    for tests, message in (
        ([{"args": [1], "expected": 1}], "which function"),
        ([{"function": "a.b.c", "args": [], "expected": 1}], "a class and its method"),
        ([{"function": "f", "args": 1, "expected": 1}], "'args' must be a list"),
        ([{"function": "f", "args": []}], "no 'expected'"),
        ([{"function": "f", "args": [], "expected": object()}], "cannot cross"),
        ([{"input": "1", "output": "2"}], "code-io"),
        ([{"function": "f", "args": [], "expected": 1}, {"input": "1", "output": "2"}], "make two of it"),
    ):
        with pytest.raises(UserError, match="row 7") as error:
            check_gold(Problem("row 7", (), "code-call", {"tests": tests}))
        assert message in str(error.value) and "\n" not in str(error.value)


def test_scores_are_shares_and_only_all_is_correct() -> None:
    tests = [{"input": str(n), "output": str(n)} for n in range(4)]
    most = "n = int(input())\nprint(n if n != 1 else 7)"
    stopped, whole = io(most, tests, raw=True), io(most, tests, raw=True, partial=True)
    assert (stopped.kind, stopped.score) == (VerdictKind.WRONG, 0.25)
    assert (whole.kind, whole.score) == (VerdictKind.WRONG, 0.75) and stopped.reason == whole.reason
    assert io("print(input())", tests, raw=True).score == 1.0
    asserts = [f"assert f({n}) == {n}" for n in range(4)]
    half = "import os\ndef f(x):\n    if x == 1: os._exit(0)\n    if x == 2: raise KeyError\n    return x"
    assert checked(half, *asserts, partial=True).score == 0.5
    assert checked(half, *asserts).score == 0.25
    calls = [([n], n) for n in range(4)]
    assert called(half, *calls, partial=True).score == 0.5
    endless = called("def f(x):\n    while x == 1: pass\n    return x", *calls, partial=True, seconds=0.5)
    assert endless.score == 0.25  # what comes after an endless loop is not run


def test_limits_are_the_problems_own() -> None:
    assert code.limits_of({"seconds": 2, "memory_mb": 256}) == Limits(seconds=2.0, memory_mb=256)
    assert code.limits_of({"seconds": None}) == Limits()
    assert "memory" in called("def f(): return len(bytearray(200 << 20))", ([], 1), memory_mb=128).reason.lower()
    assert called("def f(): return len(bytearray(200 << 20))", ([], 200 << 20), memory_mb=512).correct
