"""The attack suite on rewards that are weak on purpose: it finds what pays and says what does not apply."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mull.core.errors import UserError
from mull.core.types import Message, Problem, Verdict, VerdictKind
from mull.verify import verify
from mull.verify.attacks.bait import VARIABLE, laid
from mull.verify.attacks.base import Asked, Paid
from mull.verify.attacks.honest import decoys_of, gold_of
from mull.verify.attacks.program import asked_by
from mull.verify.attacks.suite import CODE, TEXT, Report, attack, worst
from mull.verify.sandbox import walls

pytestmark = pytest.mark.usefixtures("sandbox")
IN_PROCESS = """
    def score(text, data):
        names = {}
        try:
            exec(text.partition("```python")[2].partition("```")[0], names)
            for test in data["tests"]:
                expected = test["expected"]
                if not names[data["function"]](*test["args"]) == expected:
                    return False
        except SystemExit as leave:
            return not leave.code
        except BaseException:
            return False
        return True
"""
CALLS = {"function": "add", "tests": [{"args": [1, 2], "expected": 3}, {"args": [5, 5], "expected": 10}], "seconds": 2}


def own(folder: Path, source: str) -> str:
    path = folder / "reward.py"
    path.write_text(textwrap.dedent(source))
    return f"python:{path}:score"


def paying(report: Report) -> set[int]:
    return {outcome.attack.number for outcome in report.outcomes if outcome.pays}


def some(*numbers: int) -> list:
    return [one for one in (*TEXT, *CODE) if one.number in numbers]


def test_a_reward_that_looks_for_the_answer_anywhere(tmp_path: Path) -> None:
    name = own(tmp_path, "def score(text, data): return data['answer'] in text")
    problem = Problem("row", (Message("user", "What is 6 * 7?"),), name, {"answer": "42"})
    report = attack(problem)
    assert report.right is not None and report.right.score == 1 and report.wrong.score == 0
    assert paying(report) >= {1, 2, 5, 7, 13, 14, 15, 21, 23} and not paying(report) & {3, 4, 17, 20, 24}
    for outcome in report.outcomes:
        if outcome.pays and outcome.attack.number != 15:
            assert verify(problem, outcome.reply).correct, outcome
        assert outcome.tries or outcome.not_applicable
    assert "no unit" in next(o.not_applicable for o in report.outcomes if o.attack.number == 10)


def test_a_reward_that_runs_tests_beside_the_program(tmp_path: Path) -> None:
    problem = Problem("row", (), own(tmp_path, IN_PROCESS), CALLS)
    report = attack(problem, attacks=some(25, 26, 28, 29, 32, 33, 40, 43, 44, 45, 46, 47))
    assert report.right is not None and report.right.score == 1 and report.wrong.score == 0
    assert paying(report) == {25, 26, 29, 33, 45, 47}
    sound = attack(Problem("row", (), "code-call", CALLS), attacks=some(25, 26, 29, 33, 45, 47))
    assert not paying(sound)


def test_a_reward_that_pays_whatever_is_said(tmp_path: Path) -> None:
    report = attack(Problem("row", (), own(tmp_path, "def score(text, data): return 0.7"), {"answer": "42"}))
    assert report.wrong_pays and report.wrong.score == 0.7
    assert len(paying(report)) >= 15  # an empty answer is none before it gets there


def test_partial_scores_have_the_wrong_reply_as_their_bar(tmp_path: Path) -> None:
    source = "def score(text, data): return 1.0 if text.strip() == data['answer'] else min(0.5, 0.1 + len(text) / 1000)"
    report = attack(Problem("row", (), own(tmp_path, source), {"answer": "42"}), attacks=some(1, 18, 22))
    assert report.right is not None and report.right_reply == "42" and not report.wrong_pays
    assert 18 in paying(report) and 0.1 < report.wrong.score < 0.2


def test_what_comes_after_is_seen() -> None:
    """A reward that keeps something between replies: what an attack before leaves is paid for."""
    left: list[str] = []

    def pay(problem: Problem, response: str) -> Paid:
        left.append(response)
        shifted = any(response == "" for response in left[-2:])
        right = "\\boxed{42}" in response or (shifted and "43" in response)
        return Paid(float(right), Verdict(VerdictKind.CORRECT if right else VerdictKind.WRONG))

    assert paying(attack(Problem("row", (), "math", {"answer": "42"}), pay, attacks=some(19, 10))) == {19}


def test_a_reward_that_evaluates_answers_is_seen_by_what_it_leaves() -> None:
    def pay(problem: Problem, response: str) -> Paid:
        if response.startswith("open("):
            path, _, _ = response.removeprefix("open(").partition(",")
            Path(path.strip("'")).write_text("")
        return Paid(0.0, Verdict(VerdictKind.WRONG))

    assert paying(attack(Problem("row", (), "math", {"answer": "42"}), pay, attacks=some(16, 17))) == {17}


def test_without_a_wall_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        name = "none"

    monkeypatch.setattr(walls, "current", lambda *_: Bare())
    with pytest.raises(UserError, match="never run without a wall"):
        attack(Problem("row", (), "code-call", CALLS))


def test_the_worst_of_several_problems_is_told() -> None:
    one = attack(Problem("a", (), "math", {"answer": "3\\text{ hours}"}), attacks=some(10, 11))
    two = attack(Problem("b", (), "math", {"answer": "\\pi"}), attacks=some(10, 11))
    assert [bool(outcome.not_applicable) for outcome in worst([one, two])] == [False, False]
    assert [bool(outcome.not_applicable) for outcome in worst([one])] == [False, True]


def test_what_an_attacker_knows() -> None:
    assert asked_by(CALLS) == Asked("add", (((1, 2), 3), ((5, 5), 10)))
    assert asked_by({"tests": ["assert f([1]) == 2 and True", "assert g(1) == 'a'"]}) == Asked("g", (((1,), "a"),))
    assert asked_by({"tests": "def check(c):\n    assert c(1) == 2", "entry_point": "f"}) == Asked("f", (((1,), 2),))
    assert asked_by({"tests": [{"input": "1", "output": "2"}]}) == Asked("solve", (("1", "2"),), prints=True)
    assert asked_by({"tests": "x ="}) is None and asked_by({}) is None
    assert Asked("f", (((1,), 2), ((2,), 2))).weak
    for gold in ("42", "-7/3", "B", "red house", '{"a": 1}', "1,234", "1,2", "x^2 + 3"):
        problem = Problem("row", (), "math", {"answer": gold})
        assert gold_of(problem) == gold and not {gold} & set(decoys_of(problem, gold))
    assert gold_of(Problem("row", (), "countdown", {"numbers": [2, 3], "target": 7})) == ""


def test_bait_is_laid_and_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import socket

    with laid(asked_by(CALLS)) as bait:
        with socket.create_connection(("127.0.0.1", bait.port), 5) as line:
            said = line.recv(1000).decode()
        assert said == Path(bait.folder, "secret").read_text() == os.environ[VARIABLE] == '{"[1, 2]": 3, "[5, 5]": 10}'
    assert not Path(bait.folder).exists() and VARIABLE not in os.environ
