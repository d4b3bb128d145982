"""Ways to be paid without being right, each by its name and number in the literature on graders. None pays."""

from __future__ import annotations

from pathlib import Path

import pytest

from mull.core.errors import UserError
from mull.core.thinking import R1_ZERO_TAGS, split_completion
from mull.core.types import Completion, FinishReason, Message, Problem, Scored, Verdict, VerdictKind
from mull.rewards.score import RewardConfig, score
from mull.verify import check_gold, verify, verify_response
from mull.verify.attacks.base import Attack, Paid
from mull.verify.attacks.suite import TEXT, attack, pay_verdict
from mull.verify.batch import Reading, judge_all, read_row

SEVEN = "What is $6 \\times 7$?"
ROWS = [
    ("math", "42", SEVEN), ("number", "42", SEVEN), ("math", "28", ""), ("math", "28\\%", ""), ("math", "0", ""),
    ("math", "3\\text{ hours}", ""), ("math", "10\\text{ m}", ""), ("math", "\\pi", ""), ("math", "2\\pi", ""),
    ("math", "[0,1]", ""), ("math", "1,2", ""), ("math", "x", ""), ("math", "y=2x+3", ""), ("math", "x+1", ""),
    ("math", "\\frac{1}{2004!}", ""), ("math", "1/2^{99}", ""), ("math", "\\frac{1}{3\\cdot 2^{2006}}", ""),
    ("math", "\\frac34", "Simplify $6/8$."), ("math", "-7/3", ""), ("math", "\\lfloor x \\rfloor", ""),
    ("math", "\\sum_{k=1}^{n} \\frac{1}{k^2}", ""), ("math", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", ""),
    ("choice", "B", ""), ("text", "red house", ""), ("json", '{"a": [1, 2]}', ""), ("grid", "1 2\n3 4", ""),
    ("knights", "Zoey is a knight, and Oliver is a knave.", ""),
]  # fmt: skip


def problem_of(verifier: str, gold: str, question: str) -> Problem:
    return Problem("row", (Message("user", question),) if question else (), verifier, {"answer": gold})


def judged(answer: str, gold: str = "42", question: str = "", verifier: str = "math") -> Verdict:
    return verify_response(problem_of(verifier, gold, question), answer)


def unpaid(*answers: str, gold: str = "42", question: str = "") -> None:
    for answer in answers:
        verdict = judged(answer, gold, question)
        assert not verdict.correct, (gold, answer, verdict)
        assert verdict.kind is not VerdictKind.ERROR, verdict


def strict(problem: Problem, response: str) -> Paid:
    """No attack may end as an error of ours, but where the data themselves are broken."""
    paid = pay_verdict(problem, response)
    assert paid.verdict.kind is not VerdictKind.ERROR or problem.data["answer"] in ("", "\\frac{1}{2", "41=42", None)
    return paid


@pytest.mark.parametrize("one", TEXT, ids=lambda one: one.title)
def test_no_attack_pays(one: Attack) -> None:
    tried = 0
    for verifier, gold, question in ROWS:
        report = attack(problem_of(verifier, gold, question), strict, attacks=[one])
        assert report.right is not None and report.right.score == 1 and report.wrong.score == 0, report
        (outcome,) = report.outcomes
        assert not outcome.pays, (gold, outcome)
        assert outcome.tries or outcome.not_applicable
        tried += outcome.tries
    assert tried


def test_countdown_is_attacked_with_an_expression_that_is_found() -> None:
    for data in (
        {"numbers": [3, 5, 8], "target": 16},
        {"numbers": [3, 5, 8], "target": 4, "modulus": 11, "notation": "postfix"},
    ):
        report = attack(Problem("row", (), "countdown", data))
        assert report.right is not None and not any(outcome.pays for outcome in report.outcomes)


def test_all_are_there() -> None:
    assert [one.number for one in TEXT] == list(range(1, 25))


def test_01_choices_in_every_form_of_or() -> None:
    assert judged("\\boxed{41,42}").kind is VerdictKind.AMBIGUOUS
    for answer in ("A or B or C", "B. C.", "(B) or C", "B) 12 C) 13", "(b) or (c)", "B: 12, C: 13"):
        assert not judged(f"\\boxed{{{answer}}}", "B", verifier="choice").correct, answer


def test_12_work_that_is_left_to_do_and_work_that_is_not() -> None:
    unpaid("6*7", "\\boxed{6\\cdot 7}", "\\boxed{7*6}", "\\boxed{(6)(7)}", "\\boxed{6*7+5-5}", "x=7*6", question=SEVEN)
    unpaid("\\boxed{\\sqrt{8}}", gold="2\\sqrt{2}", question="Simplify $\\sqrt{8}$.")
    unpaid("\\boxed{\\frac{84}{2}}", question="What is 84 / 2?")
    for answer in ("6 \\times 7 = 42", "42 = 7*6", "42\\text{ cm}^2", "42"):
        assert judged(f"\\boxed{{{answer}}}", question="What is $6 \\times 7$, with 2 and 42?").correct, answer
    assert judged("\\boxed{3/4}", "0.75", "She eats 3 of 4 slices.").correct
    assert judged("\\boxed{2/3}", "2/3", "Which is larger, 2/3 or 3/5?").correct


def test_15_a_reference_that_cannot_be_read_is_said_when_the_data_are_read() -> None:
    for gold in ("", "\\frac{1}{2", "41=42", None):
        with pytest.raises(UserError):
            check_gold(Problem("row", (), "math", {"answer": gold}))


def test_17_code_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r},'w')"
    texts = [code, f"[{code}]", f'exec("{code}")or(1\\pi)', f"__import__('os').system('touch {mark}')"]
    for gold in ("42", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\lfloor x \\rfloor", "x+1"):
        unpaid(*(f"\\boxed{{{text}}}" for text in texts), *texts, gold=gold)
    assert not mark.exists()


def test_19_a_failure_does_not_shift_the_batch() -> None:
    sum_ = "\\boxed{\\prod_{k=1}^{99999} (k^k+1)}"
    answers = ["\\boxed{42}", "\\boxed{", "9" * 5000, sum_, "\\boxed{41}", "", "\ud800"] * 9
    golds = ["42", "42", "42", "\\sum_{k=1}^{n} k^k", "42", "42", "42"] * 9
    rows = [
        read_row({"id": i, "gold": gold, "response": answer}, "row", Reading())
        for i, (gold, answer) in enumerate(zip(golds, answers, strict=True))
    ]
    verdicts = list(judge_all(rows, Reading(), threads=3))
    assert [row.id for row, _ in verdicts] == list(range(63))
    assert [row.id for row, verdict in verdicts if verdict.correct] == list(range(0, 63, 7))


def scored(text: str, **config: object) -> Scored:
    completion = Completion((1,), (1,) * len(text.split()), (0.0,) * len(text.split()), FinishReason.STOP, text=text)
    problem = Problem("p", (Message("user", "6 * 7?"),), "number", {"answer": "42"})
    return score(problem, completion, split_completion(text, R1_ZERO_TAGS), RewardConfig(**config), 1000)


def test_20_form_without_an_answer_earns_nothing() -> None:
    for text in ("<think>a</think><answer></answer>", "<think></think><answer>none</answer>", "<think>42</think>"):
        assert scored(text).reward == 0
    assert scored("<think>a</think><answer>42</answer>").reward == 1


def test_22_other_scripts() -> None:
    unpaid("\\boxed{ⅩⅬⅡ}", "\\boxed{𝟒𝟐x}", "\\boxed{4\u06f2}")
    unpaid("\\boxed{х}", gold="x")  # a Cyrillic letter


def test_24_length_is_not_rewarded() -> None:
    once, often = "<think>a</think><answer>42</answer>", f"<think>{'a ' * 500}</think><answer>42</answer>"
    assert scored(often).reward <= scored(once).reward
    assert scored(often, overlong_buffer=900).reward < scored(once, overlong_buffer=900).reward


def test_the_right_answers_beside_them_are_paid() -> None:
    for answer in ("<think>a</think>\\boxed{42}", "42", "x = 42", "6 + 36 = 42", "$42.00$", "<answer>42</answer>"):
        assert judged(answer).correct, answer
    assert verify(Problem("row", (), "math", {"answer": "42"}), "84/2").correct
