"""The door: extraction, verdict kinds, bounds, reference answers, and public pairs of answers."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Problem, VerdictKind
from mull.verify import check_gold, final_answer, verify, verify_response
from mull.verify.limits import MAX_TEXT

SHARED = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared"))
PAIRS = SHARED / "data" / "verify" / "pairs.jsonl"
DATA = {
    "number": {"answer": "42"},
    "math": {"answer": "x^2+1"},
    "choice": {"answer": "B"},
    "text": {"answer": "Evelyn"},
    "countdown": {"numbers": [3, 5, 8], "target": 64},
    "knights": {"answer": "Zoey is a knight, and Max is a knave.", "names": ["Zoey", "Max"]},
    "grid": {"answer": [[1, 2], [3, 4]]},
    "json": {"answer": {"a": [1, None], "b": True}},
    "regex": {"answer": "[a-c]+[0-9]{2}"},
    "constraints": {"constraints": [{"kind": "words", "at_least": 2}, {"kind": "no_commas"}]},
}


def problem(verifier: str, **data: object) -> Problem:
    return Problem("row 7", (), verifier, data or DATA[verifier])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{42}", "42"),
        ("I think \\boxed{41}. No: \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{42", None),
        ("\\boxed{41} and \\boxed{42", None),
        ("\\boxed{}", None),
        ("\\boxed 42", "42"),
        ("\\fbox{42}", "42"),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"),
        ("\\boxed{\\boxed{42}}", "42"),
        ("<answer>41</answer><answer> 42 </answer>", "42"),
        ("<answer>41</answer><answer>42", None),
        ("42</answer>", None),
        ("a #### b\n#### 1,000\n", "1,000"),
        ("The answer is 3.5. Done.", "3.5"),
        ("Answer: 42\nbye", "42"),
        ("**Final answer:** 42", "42"),
        ("\\boxed{41} The answer is 42", "41"),
        (" 42 ", "42"),
        ("  ", None),
        ("the answer is", None),
    ],
)
def test_final_answer(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.skipif(not PAIRS.exists(), reason="shared/data/verify/pairs.jsonl is not here (set MULL_SHARED)")
def test_public_pairs() -> None:
    rows = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    wrong = []
    for row in rows:
        asked, text = problem("math", answer=row["gold"]), row["pred"]
        verdict = verify(asked, text) if row["kind"] == "answer" else verify_response(asked, text)
        assert verdict.kind not in (VerdictKind.ERROR, VerdictKind.TIMEOUT), row
        if verdict.correct != row["expected"]:
            assert not verdict.correct, f"called right: {row}"
            wrong.append(row)
    settled = [row for row in rows if "debatable" not in row["origin"]]
    missed = [row for row in wrong if row in settled]
    assert len(missed) <= 0.03 * len(settled), missed
    # of the debatable ones those that were not worked out: a limit and an integral for 42
    assert all("\\lim" in row["pred"] or "\\int" in row["pred"] for row in wrong), wrong


@pytest.mark.parametrize(
    ("verifier", "text", "kind", "answer"),
    [
        ("number", None, VerdictKind.NO_ANSWER, None),
        ("number", " \n", VerdictKind.NO_ANSWER, None),
        ("number", "\\boxed{", VerdictKind.NO_ANSWER, None),
        ("number", "84/2", VerdictKind.CORRECT, "42"),
        ("number", "$42.00", VerdictKind.CORRECT, "42"),
        ("number", "41", VerdictKind.WRONG, "41"),
        ("number", "41 = 42", VerdictKind.AMBIGUOUS, "41=42"),
        ("number", "41 or 42", VerdictKind.AMBIGUOUS, "41, 42"),
        ("number", "9" * 200, VerdictKind.INVALID, None),
        ("number", "1 " * MAX_TEXT, VerdictKind.INVALID, None),
        ("number", "42 42 42", VerdictKind.WRONG, "42 42 42"),
        ("math", "1 + x*x", VerdictKind.CORRECT, "1+x^2"),
        ("choice", "(b)", VerdictKind.CORRECT, "B"),
        ("choice", "B) because", VerdictKind.CORRECT, "B"),
        ("choice", "\\textbf{(B)}\\ 12", VerdictKind.CORRECT, "B"),
        ("choice", "Option B", VerdictKind.CORRECT, "B"),
        ("choice", "B) A line", VerdictKind.CORRECT, "B"),
        ("choice", "(B) or C", VerdictKind.AMBIGUOUS, "(B) or C"),
        ("choice", "B. C.", VerdictKind.AMBIGUOUS, "B. C"),
        ("choice", "\\text{(B)}", VerdictKind.CORRECT, "B"),
        ("choice", "C", VerdictKind.WRONG, "C"),
        ("choice", "A or B", VerdictKind.AMBIGUOUS, "A or B"),
        ("choice", "not B", VerdictKind.WRONG, "not b"),
        ("text", " evelyn. ", VerdictKind.CORRECT, "evelyn"),
        ("text", "not Evelyn", VerdictKind.WRONG, "not evelyn"),
        ("countdown", "8*(3+5)", VerdictKind.CORRECT, "8 * (3 + 5)"),
    ],
)
def test_verdicts(verifier: str, text: str | None, kind: VerdictKind, answer: str | None) -> None:
    verdict = verify(problem(verifier), text)
    assert (verdict.kind, verdict.answer, verdict.method) == (kind, answer, verifier), verdict


def test_equal_answers_vote_together() -> None:
    answers = ["0.5", "1/2", "\\boxed{\\frac12}", "$\\frac{2}{4}$", "The answer is .50", "50/100 dollars"]
    assert {verify(problem("number", answer="3"), text).answer for text in answers} == {"1/2"}


def test_choice_by_the_text_of_an_option() -> None:
    asked = problem("choice", answer="B", choices=["red", "blue"])
    assert verify(asked, "Blue").correct
    assert not verify(asked, "red").correct
    assert verify(problem("choice", answer="A", choices=["Vitamin D", "B"]), "(A) Vitamin D").correct


@pytest.mark.parametrize(
    ("verifier", "data", "message"),
    [
        ("number", {}, "row 7: no answer"),
        ("number", {"answer": " "}, "no answer"),
        ("number", {"answer": None}, "no answer"),
        ("number", {"answer": "x+1"}, "is no number"),
        ("number", {"answer": "41=42"}, "is no number"),
        ("math", {"answer": "\\frac{1}{2"}, "cannot"),
        ("math", {"answer": "7" * 500}, "digits"),
        ("choice", {"answer": "BC"}, "one letter"),
        ("choice", {"answer": "C", "choices": ["a"]}, "1 choices"),
        ("text", {"answer": "..."}, "no answer"),
        ("nummber", {"answer": "1"}, "did you mean 'number'"),
    ],
)
def test_bad_reference_answers_are_named(verifier: str, data: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match="row 7") as error:
        check_gold(Problem("row 7", (), verifier, data))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_good_reference_answers_pass() -> None:
    for name in DATA:
        check_gold(problem(name))


PIECES = [
    "{",
    "}",
    "(",
    ")",
    "\\frac",
    "\\sqrt",
    "\\boxed{",
    "<answer>",
    "</answer>",
    "####",
    "^",
    "_",
    "=",
    ",",
    "1",
    "9" * 30,
    "²",
    "١",
    "x",
    "\\pm",
    "\\cup",
    "\\text{",
    " or ",
    "%",
    "$",
    "|",
    "!",
    "\\sin",
    "-",
    "/",
    "i",
    " miles",
    "\\begin{pmatrix}",
    "&",
    "\\\\",
    "\x00",
    "\ud800",
]


@settings(max_examples=300)
@given(st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_no_text_raises_or_breaks_a_check(text: str) -> None:
    for name in DATA:
        verdict = verify(problem(name), text)
        assert verdict.kind is not VerdictKind.ERROR, (name, verdict.reason)
        if verdict.kind is VerdictKind.CORRECT:
            assert verdict.answer


HOSTILE = {
    "tower": "9" + "^{9" * 24 + "}" * 24,
    "powers": "(a+b+c+d)^{12}" * 60,
    "radicals": "(\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7+\\sqrt{11})^{12}" * 18,
    "nested functions": "\\sin((a+b+c+d)" * 11 + "x" + ")" * 11,
    "nested commands": "\\frac" * 190,
    "signs": "-" * 999 + "1",
    "plus or minus": "\\pm" * 330,
    "boxes": "\\boxed{" * 2800,
    "spaces": "the answer is" + " " * 19000 + "x",
    "factorials": "59!" * 300,
    "words": "5 " + "ab/" * 300,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_little(name: str) -> None:
    started = time.process_time()
    verdict = verify(problem("math"), HOSTILE[name])
    assert verdict.kind in (VerdictKind.WRONG, VerdictKind.INVALID, VerdictKind.NO_ANSWER, VerdictKind.AMBIGUOUS), (
        verdict
    )
    assert time.process_time() - started < 1.0


def test_digits_apart_do_not_vote_for_the_number_they_would_make() -> None:
    verdicts = [verify(problem("number", answer="10"), text) for text in ("10", "1 0", "1  0")]
    assert [v.answer for v in verdicts] == ["10", "1 0", "1 0"]
    assert [v.correct for v in verdicts] == [True, False, False]
