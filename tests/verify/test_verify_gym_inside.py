"""reasoning-gym's scorers that execute the answer: honest answers get full marks, code neither runs here nor pays."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem, VerdictKind
from mull.tasks.registry import load_task
from mull.verify import check_gold, verify
from mull.verify.code import NoWall
from mull.verify.gym import EXECUTES
from mull.verify.gym_inside import score
from mull.verify.sandbox import walls

pytestmark = pytest.mark.usefixtures("sandbox")
pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install 'mull[gym]'")
FORGES = "[c for c in ().__class__.__base__.__subclasses__()]"


def one(name: str) -> Problem:
    return load_task(f"reasoning_gym/{name}:train?limit=1")[0]


@pytest.mark.parametrize("name", sorted(EXECUTES))
def test_right_answers_are_paid_and_code_is_not(name: str, tmp_path: Path) -> None:
    problems = load_task(f"reasoning_gym/{name}:train?limit=3")
    golds = [problem.data["answer"] or problem.data["metadata"].get("expression") for problem in problems]
    for problem, gold in zip(problems, golds, strict=True):
        if name == "puzzle24":
            continue  # it has no reference answer; see below
        verdict = verify(problem, gold)
        assert verdict.correct, (gold, verdict)
    mark = tmp_path / "mark"
    touch = f"__import__('os').system('touch {mark}')"
    forge = "__import__('os').write(3, b'\\x00\\x00\\x00\\x0e{\"value\": 1.0}')"
    for text in (
        touch, f"[{touch}]", f"open('{mark}', 'w')", f"exec(\"open('{mark}','w')\")", forge, FORGES, f"{touch} or 24",
        "lambda: 1", "1 .__class__", "x.__class__", "getattr(x, 'y')", "Integral(x, x)", "9**9**9**9", "", "[]", "0",
    ):  # fmt: skip
        verdict = verify(problems[0], text)
        assert verdict.kind in (VerdictKind.WRONG, VerdictKind.INVALID, VerdictKind.NO_ANSWER), (text, verdict)
    assert not mark.exists()


def test_what_is_let_in_and_hangs_is_no_failure_of_ours() -> None:
    verdict = verify(one("simple_integration"), "(x+y+z)**99 * (x+y)**99 * (x+z)**98 * sin(x)**99")
    assert verdict.kind in (VerdictKind.WRONG, VerdictKind.INVALID), verdict


def test_the_question_again_is_no_answer() -> None:
    problem = one("simple_integration")
    integrand = problem.data["metadata"]["integrand"]
    verdict = verify(problem, f"Integral({integrand}, x)")
    assert verdict.kind is VerdictKind.INVALID and "'Integral'" in verdict.reason
    variable = problem.data["metadata"]["variable"]  # the scorer alone would take it
    assert score("simple_integration", problem.data, f"Integral({integrand}, {variable})")[0] == 1.0
    with pytest.raises(UserError, match="only restates the question"):
        check_gold(Problem("p", (), "reasoning_gym", {**problem.data, "answer": "Integral(x, x)"}))


def test_puzzle24_asks_for_the_problems_own_numbers_and_for_24_exactly() -> None:
    data = {"dataset": "puzzle24", "question": "", "answer": None, "metadata": {"numbers": [4, 7, 8, 8]}}
    problem = Problem("p", (), "reasoning_gym", data)
    check_gold(problem)
    assert verify(problem, "(7 - 8/8) * 4").correct
    assert "uses" in verify(problem, "(1 + 1 + 1) * 8").reason
    other = Problem("p", (), "reasoning_gym", {**data, "metadata": {"numbers": [7, 7, 2, 0]}})
    assert "makes 49/2, not 24" in verify(other, "7 * 7 / 2 + 0").reason  # the scorer alone would take it


@pytest.mark.parametrize("name", sorted(EXECUTES))
def test_hostile_metadata_touch_nothing(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"__import__('os').system('touch {mark}')"
    metadata: dict[str, Any] = {
        "variable": code, "integrand": code, "numbers": [code], "target": code, "valid_answers": [code], "matrix": code,
        "solution": code,
    }  # fmt: skip
    problem = Problem("row 7", (), "reasoning_gym", {"dataset": name, "answer": code, "metadata": metadata})
    with contextlib.suppress(UserError):
        check_gold(problem)
    for text in (code, "1", "x"):
        verify(problem, text)
    assert not mark.exists()


def test_without_a_sandbox_it_ends_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = one("spiral_matrix")

    def none(*_: object) -> Any:
        raise UserError("no sandbox can be put up here; name another with --sandbox")

    monkeypatch.setattr(walls, "current", none)
    with pytest.raises(NoWall, match="name another with --sandbox"):
        verify(problem, "1 2 3")
