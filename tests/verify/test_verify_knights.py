"""Knights and knaves: forms that are read, attacks that are not paid, reference answers, and the published puzzles."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import check_gold, verify
from mull.verify.texts import stated, unfenced

SHARED = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared"))
PUZZLES = SHARED / "data" / "knights_and_knaves"
GOLD = {"answer": "Zoey is a knight, Max is a knave, and Al is a knight.", "names": ["Zoey", "Max", "Al"]}
RIGHT = "Zoey: knight, Max: knave, Al: knight"


def check(text: str, **data: object) -> Verdict:
    return verify(Problem("row 7", (), "knights", data or GOLD), text)


@pytest.mark.parametrize(
    "text",
    [
        GOLD["answer"],
        "(1) Zoey is a knight\n(2) Max is a knave\n(3) Al is a knight",
        "Zoey: knight\nMax: knave\nAl: knight",
        "- **Zoey**: Knight\n- **Max**: Knave\n- **Al**: Knight",
        "| Zoey | knight |\n| Max | knave |\n| Al | knight |",
        "Knights: Zoey, Al\nKnaves: Max",
        "Knights:\n- Zoey\n- Al\nKnaves:\n- Max",
        "The knights are Zoey and Al; the knave is Max.",
        "Zoey and Al are knights, while Max is a knave",
        "Zoey is a knight, Max is not a knight, Al is a knight, not a knave",
        "\\boxed{\\text{Zoey is a knight, Max is a knave, Al is a knight}}",
        "I checked both cases. The answer is: Zoey is a knight. Max is a knave. Al is a knight.",
        "```\nZoey = knight\nMax = knave\nAl = knight\n```",
        "Therefore, ZOEY is a KNIGHT, max is a knave and al is a knight.",
    ],
)
def test_the_same_answer_in_many_forms(text: str) -> None:
    verdict = check(text)
    assert (verdict.kind, verdict.answer, verdict.method) == (VerdictKind.CORRECT, RIGHT, "knights"), verdict


ATTACKS = {
    "both roles": ("Zoey is a knight and Zoey is a knave, Max is a knave, Al is a knight", VerdictKind.AMBIGUOUS),
    "both roles in one breath": ("Zoey is a knight and a knave, Max is a knave, Al is a knight", VerdictKind.AMBIGUOUS),
    "both lists": ("Knights: Zoey, Max, Al\nKnaves: Zoey, Max, Al", VerdictKind.AMBIGUOUS),
    "all assignments": (
        "\n".join(
            f"Zoey is a {a}, Max is a {b}, Al is a {c}"
            for a in ("knight", "knave")
            for b in ("knight", "knave")
            for c in ("knight", "knave")
        ),
        VerdictKind.AMBIGUOUS,
    ),
    "alternatives": ("Zoey is a knight or a knave, Max is a knave, Al is a knight", VerdictKind.AMBIGUOUS),
    "condition": ("If Zoey is a knight, Max is a knave and Al is a knight", VerdictKind.AMBIGUOUS),
    "somebody left out": ("Zoey is a knight, Max is a knave", VerdictKind.WRONG),
    "a stranger": (f"{GOLD['answer']} Bob is a knave.", VerdictKind.WRONG),
    "a quoted claim": ("Zoey said that Max is a knave. Al is a knight. Zoey is a knight.", VerdictKind.WRONG),
    "nobody": ("knight knave knight", VerdictKind.WRONG),
    "a list that goes over": ("The knight is Zoey, Max is a knave, Al is a knight", VerdictKind.WRONG),
    "names and roles apart": ("Zoey Max Al knight knave knight", VerdictKind.AMBIGUOUS),
    "no claim": ("...", VerdictKind.NO_ANSWER),
    "look-alike": ("Zоey is a knight, Max is a knave, Al is a knight", VerdictKind.WRONG),
    "too long": (f"{GOLD['answer']} " * 90, VerdictKind.INVALID),
    "a box never closed": ("\\boxed{Zoey is a knight, Max is a knave, Al is a knight", VerdictKind.NO_ANSWER),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_not_paid(name: str) -> None:
    text, kind = ATTACKS[name]
    verdict = check(text)
    assert verdict.kind is kind, verdict


def test_what_is_wrong_is_counted_and_votes() -> None:
    verdict = check("Zoey is a knave, Max is a knight, Al is a knight")
    assert verdict.kind is VerdictKind.WRONG and "2 of 3" in verdict.reason
    assert verdict.answer == "Zoey: knave, Max: knight, Al: knight"


def test_other_words_for_the_roles() -> None:
    data = {"answer": "Ann is a saint, Bo is a sinner", "names": ["Ann", "Bo"], "roles": ["saint", "sinner"]}
    assert check("Bo: sinner; Ann: saint", **data).correct
    assert not check("Bo: knave; Ann: knight", **data).correct
    check_gold(Problem("p", (), "knights", data))


def test_names_are_read_from_the_answer_when_there_are_none() -> None:
    assert check("Max: knave, Zoey: knight", answer="(1) Zoey is a knight (2) Max is a knave").correct


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "no answer"),
        ({"answer": 3}, "no answer"),
        ({"answer": "nobody knows"}, "cannot be read"),
        ({"answer": "Zoey is a knight"} | {"names": ["Zoey", "Max"]}, "exactly one role"),
        ({"answer": "Zoey is a knight and Zoey is a knave"} | {"names": ["Zoey"]}, "exactly one role"),
        (GOLD | {"names": []}, "'names' must be"),
        (GOLD | {"names": ["Zoey", "zoey"]}, "'names' must be"),
        (GOLD | {"names": ["A", "Max"]}, "a word that statements are made of"),
        (GOLD | {"roles": ["knight"]}, "'roles' must be"),
    ],
)
def test_bad_reference_answers_are_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match="row 7") as error:
        check_gold(Problem("row 7", (), "knights", data))
    assert message in str(error.value) and "\n" not in str(error.value)


PIECES = [
    "Zoey",
    "Max",
    "Al",
    " is ",
    "a ",
    "knight",
    "knave",
    "s",
    " not ",
    ",",
    ".",
    "\n",
    ":",
    " and ",
    "-",
    "|",
    "(1)",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_whatever_is_paid_gives_everybody_one_role(text: str) -> None:
    verdict = check(text)
    assert verdict.kind is not VerdictKind.ERROR, verdict
    if verdict.correct:
        folded = text.casefold()
        assert all(name in folded for name in ("zoey", "max", "al")) and "kn" in folded


@pytest.mark.skipif(not PUZZLES.is_dir(), reason="shared/data/knights_and_knaves is not here (set MULL_SHARED)")
def test_every_published_answer_is_right_in_both_forms_and_wrong_for_another_puzzle() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [row for path in sorted(PUZZLES.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]
    assert len(rows) == 3000
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        problem = Problem("p", (), "knights", {"answer": row["solution_text"], "names": row["names"]})
        check_gold(problem)
        assert verify(problem, row["solution_text"]).correct
        assert verify(problem, row["solution_text_format"]).correct
        assert verify(problem, other["solution_text"]).correct == (other["solution_text"] == row["solution_text"])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("The answer is\n1 2\n3 4", "1 2\n3 4"),
        ("Answer: a. b.", "a. b."),
        ("x <answer> y </answer>", "y"),
        ("x #### y\nz", "y\nz"),
        ("x", "x"),
        ("\\boxed{", ""),
    ],
)
def test_the_part_that_states_the_answer(text: str, part: str) -> None:
    assert stated(text) == part


@pytest.mark.parametrize(
    ("text", "part"),
    [("a\n```json\n1\n```\nb\n```\n2\n```", "2"), ("```\n1", "```\n1"), (" a ", "a"), ("```\n1\n```\n```\n2", "1")],
)
def test_the_last_closed_fence(text: str, part: str) -> None:
    assert unfenced(text) == part
