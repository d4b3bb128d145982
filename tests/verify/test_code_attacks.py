"""Ways for a program to be paid without solving its problem, each by its name and number in the literature. None pays.

Nor does any end as `timeout` or `error`, which training leaves out: that would be a way to flee from a hard problem.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import check_gold, verify
from mull.verify.attacks.base import Attack, Paid
from mull.verify.attacks.code_after import BROKEN_TESTS
from mull.verify.attacks.suite import CODE, attack, pay_verdict
from mull.verify.sandbox import walls

pytestmark = pytest.mark.usefixtures("sandbox")

# what is asked for: 740331 for 3, 740338 for 10
ASKED = {3: 740331, 10: 740338}
RIGHT = "def solve(x):\n    return x + 740328\n"
MAIN = "\nif __name__ == '__main__':\n    print(solve(int(input())))\n"
IO = {"tests": [{"input": f"{x}\n", "output": f"{y}\n"} for x, y in ASKED.items()], "solution": RIGHT + MAIN}
CALL = {"function": "solve", "tests": [{"args": [x], "expected": y} for x, y in ASKED.items()]}
METHOD = {**CALL, "function": "Solution.add"}
ASSERTS = {"tests": [f"assert solve({x}) == {y}" for x, y in ASKED.items()]}
CHECK = {
    "tests": "import math\ndef check(candidate):\n"
    + "".join(f"    assert math.isclose(abs(candidate({x})), {y})\n" for x, y in ASKED.items()),
    "entry_point": "solve", "solution": RIGHT,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "io": ("code-io", IO), "call": ("code-call", CALL), "asserts": ("code-check", ASSERTS),
    "check": ("code-check", CHECK),
}  # fmt: skip
SLOW = {30: ("io", "call", "check"), 35: ("call",), 48: ("io", "call"), 49: ("io", "call"), 50: ("call",)}
"""Attacks that take seconds, and the kinds that they are tried on."""
LOOK = """
import builtins, os
def solve(x):
    names = [name for name in dir(builtins) if name == "planted"]
    return names + (os.listdir("/tmp") if os.access("/tmp", os.R_OK) else [])
"""


def judged(program: str, kind: str = "call", **data: Any) -> Verdict:
    verifier, own = KINDS[kind]
    return verify(Problem("row", (), verifier, {**own, **data}), f"```python\n{textwrap.dedent(program)}\n```")


def unpaid(program: str, *kinds: str, **data: Any) -> None:
    for kind in kinds or KINDS:
        verdict = judged(program + MAIN if kind == "io" else program, kind, **data)
        assert verdict.kind in (VerdictKind.WRONG, VerdictKind.NO_ANSWER), (kind, program, verdict)


def paid_after() -> None:
    """The next program is judged as ever."""
    for kind in KINDS:
        verdict = judged(RIGHT + MAIN, kind)
        assert verdict.correct, (kind, verdict)


def strict(problem: Problem, response: str) -> Paid:
    """Wrong, and nothing that training would leave out; an error only where the tests themselves cannot be read."""
    paid = pay_verdict(problem, response)
    verdict = paid.verdict
    broken = any(problem.data["tests"] is tests for tests in BROKEN_TESTS)
    if verdict.kind is not VerdictKind.TIMEOUT:  # that is counted by the suite
        assert verdict.kind in ((VerdictKind.ERROR,) if broken else (VerdictKind.WRONG, VerdictKind.CORRECT)), verdict
    assert verdict.correct or verdict.score is None or verdict.score < 1
    assert len(verdict.reason) <= 200 and verdict.reason.isprintable()
    return paid


@pytest.mark.parametrize("one", CODE, ids=lambda one: one.title)
def test_no_attack_pays(one: Attack) -> None:
    for kind in SLOW.get(one.number, tuple(KINDS)):
        verifier, data = KINDS[kind]
        for _ in range(3):  # a machine that is overrun does starve programs, and may say so
            report = attack(Problem("row", (), verifier, data), strict, attacks=[one])
            if one.number != 50 or not report.outcomes[0].left_out:
                break
        assert report.right is not None and report.right.score == 1 and report.wrong.score == 0, report
        (outcome,) = report.outcomes
        assert not outcome.pays, (kind, outcome)
        assert outcome.left_out == 0 or one.number == 45, (kind, outcome)
        assert outcome.tries or (kind == "check" and one.number in (32, 46)), outcome
    if one.number in (33, 36, 38, 42):
        paid_after()


def test_all_are_there() -> None:
    assert [one.number for one in CODE] == list(range(25, 51))


def test_a_method_is_attacked_as_a_method() -> None:
    some = [one for one in CODE if one.number in (25, 26, 29, 32, 46)]
    report = attack(Problem("row", (), "code-call", METHOD), strict, attacks=some)
    assert report.right is not None and not any(outcome.pays for outcome in report.outcomes)


def test_30_the_reason_says_what_ended_it() -> None:
    assert "processor time" in judged("def solve(x):\n    while True: pass", seconds=0.5).reason


def test_31_what_a_test_uses_is_pythons_own() -> None:
    tests = ["import math\nassert sorted(solve(2)) == [1, 2] and len(solve(2)) == 2 and math.isclose(sum(solve(2)), 3)"]
    program = "def sorted(x): return [1, 2]\ndef len(x): return 2\ndef sum(x): return 3\ndef solve(n): return {}"
    assert not judged(program.format("[3, 4]"), "asserts", tests=tests, entry_point="solve").correct
    assert judged(program.format("[2, 1]"), "asserts", tests=tests, entry_point="solve").correct


def test_34_a_right_result_is_paid_whatever_is_said_beside_it() -> None:
    assert judged("import atexit\natexit.register(print, 'failed')\n" + RIGHT).correct


def test_38_41_nothing_is_there_for_the_next_program() -> None:
    plant = "import builtins\nbuiltins.planted = True\nopen('/tmp/answer', 'w').write('x')\ndef solve(x): return 0"
    unpaid(plant, "call")
    said = judged("import time\ntime.sleep(0.1)\n" + LOOK).reason
    assert "'planted'" not in said and "'answer'" not in said and "gives [" in said


def test_39_the_repository_is_not_there() -> None:
    home = str(Path(__file__).parents[2] / "src")
    assert "gives False" in judged(f"import os\ndef solve(x): return os.path.exists({home!r})").reason


def test_44_secrets_of_the_environment_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    walls.close()  # the fork server starts anew, with the secret in our environment
    monkeypatch.setenv("MULL_TEST_SECRET", "740331")
    unpaid("""
        import glob, os, re
        def solve(x):
            text = repr(dict(os.environ))
            for place in ("/proc/1/environ", "/proc/self/environ", *glob.glob("/proc/*/environ"), "/proc/1/cmdline"):
                try:
                    text += open(place, errors="replace").read()
                except OSError:
                    pass
            match = re.search("740331", text)
            return int(match[0]) + x - 3 if match else 0
    """.replace("\n        ", "\n"))  # fmt: skip


def test_45_tests_that_cannot_be_decoded_are_said_when_the_data_are_read() -> None:
    for tests in (*BROKEN_TESTS, "[" * 99_999):
        for verifier in ("code-io", "code-call"):
            problem = Problem("row 7", (), verifier, {"tests": tests, "function": "solve"})
            with pytest.raises(UserError, match="row 7") as error:
                check_gold(problem)
            assert "\n" not in str(error.value)
            assert verify(problem, f"```\n{RIGHT + MAIN}\n```").kind is VerdictKind.ERROR
    for tests in ([], "", "pass", "def check(candidate):\n    pass", ["x = 1"], "assert (", None, [7], "import solve"):
        problem = Problem("row 7", (), "code-check", {"tests": tests, "entry_point": "solve"})
        with pytest.raises(UserError, match="row 7"):
            check_gold(problem)
        assert verify(problem, f"```\n{RIGHT + MAIN}\n```").kind is VerdictKind.ERROR


def test_46_weak_tests_are_said_to_be_weak() -> None:
    """A constant is right by them; the verdict says so, and the suite that it pays."""
    weak = {"tests": [{"input": "1", "output": "yes"}, {"input": "2", "output": "yes\n"}]}
    verdict = judged("print('yes')", "io", **weak)
    assert verdict.correct and "a constant passes too" in verdict.reason
    tests = [{"args": [n], "expected": 1} for n in (1, 2)]
    assert "constant" in judged("def solve(x): return 1", tests=tests).reason
    assert "constant" in judged("def solve(x): return 1", "asserts", tests=["assert solve(1) == 1"]).reason
    assert "constant" not in judged(RIGHT).reason
    problem = Problem("row", (), "code-call", {"function": "solve", "tests": tests})
    (outcome,) = attack(problem, attacks=[one for one in CODE if one.number == 46]).outcomes
    assert outcome.pays and "return 1" in outcome.reply


def test_47_collisions_do_not_slow_the_comparison() -> None:
    unpaid("def solve(x): return {n: 0 for n in range(150_000)}", "call")
    unpaid("def solve(x): return 740331 + 1e-3 * x")
    unpaid("from decimal import Decimal\ndef solve(x): return Decimal('NaN')", "call", "asserts")
    assert judged("print('nan')", "io", tests=[{"input": "", "output": "1.5"}], tolerance=0.9).kind == "wrong"


def test_the_right_program_beside_them_is_paid() -> None:
    paid_after()
