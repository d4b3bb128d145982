"""Constraints on a text: each kind kept and broken, attacks, and reference constraints that cannot be meant."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import check_gold, verify
from mull.verify.instructions import KINDS, Text


def check(text: str, *constraints: dict[str, Any]) -> Verdict:
    problem = Problem("row 7", (), "constraints", {"constraints": list(constraints)})
    check_gold(problem)
    return verify(problem, text)


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "words", "at_least": 3}, "one two three", "one two"),
    ({"kind": "words", "at_most": 2}, "well-known don't", "a b c"),
    ({"kind": "sentences", "at_least": 2, "at_most": 2}, "Dr. Ho has 3.5 e.g. here. Fine!", "One. Two. Three."),
    ({"kind": "paragraphs", "at_least": 2, "at_most": 2}, "a\nb\n\nc", "a\nb"),
    ({"kind": "paragraphs", "at_least": 2, "at_most": 2, "separator": "***"}, "a\n\nb\n***\nc", "a\n\nb"),
    ({"kind": "bullets", "at_least": 2, "at_most": 2}, "* a\n- b\nc - d", "* a\n*\n**b**"),
    ({"kind": "highlights", "at_least": 2}, "*a* and **b c**", "*a* and ** **"),
    ({"kind": "placeholders", "at_least": 2}, "[name] at [place]", "[name] []"),
    ({"kind": "sections", "marker": "Section", "at_least": 2}, "Section 1\na\nSECTION 2\nb", "Section 1 Section 1"),
    ({"kind": "capital_words", "at_most": 1}, "NASA says hi", "NASA and ESA"),
    ({"kind": "frequency", "phrase": "the cat", "at_least": 2}, "The cat. the\ncat", "the cat, the cats"),
    ({"kind": "letters", "letter": "z", "at_least": 2}, "Zz", "z"),
    ({"kind": "contains", "phrases": ["red", "C++"]}, "Red and C++.", "reddish C++"),
    ({"kind": "forbids", "phrases": ["red"]}, "reddish", "it is RED."),
    ({"kind": "one_of", "options": ["yes", "no"]}, "My answer is yes.", "yes or no"),
    ({"kind": "first_word", "word": "weekend", "paragraph": 2, "of": 2}, "a\n\n**Weekend** b", "weekend\n\nb"),
    ({"kind": "postscript", "marker": "P.P.S"}, "a\n\nP. P. S. more", "a P.P.S b"),
    ({"kind": "starts_with", "phrase": "Dear  all"}, "dear all,\nhi", "Oh dear all"),
    ({"kind": "ends_with", "phrase": "Any questions?"}, "So. any questions?\n", "Any questions? No."),
    ({"kind": "json"}, '```json\n{"a": 1}\n```', '{"a": 1, "a": 2}'),
    ({"kind": "title"}, "<<Joy>>\nx", "<<>> <Joy>"),
    ({"kind": "upper"}, "ALL 3!", "ALL bUT"),
    ({"kind": "lower"}, "all 3!", "123"),
    ({"kind": "no_commas"}, "a; b", "a, b"),
    ({"kind": "quoted"}, '"hello"', '"'),
    ({"kind": "two_responses"}, "a\n******\nb", "a\n******\nA"),
]


@pytest.mark.parametrize(("constraint", "kept", "broken"), CASES, ids=[case[0]["kind"] for case in CASES])
def test_each_kind(constraint: dict[str, Any], kept: str, broken: str) -> None:
    good, bad = check(kept, constraint), check(broken, constraint)
    assert good.kind is VerdictKind.CORRECT, good
    assert bad.kind is VerdictKind.WRONG and bad.reason.startswith(f"1 of 1 constraints broken; {constraint['kind']}")


TOGETHER = [case[0] for case in CASES if case[0]["kind"] not in ("upper", "contains")][:20]


def test_every_kind_has_a_case() -> None:
    assert {case[0]["kind"] for case in CASES} == set(KINDS)


def test_all_must_be_kept_and_the_broken_ones_are_named() -> None:
    both = ({"kind": "no_commas"}, {"kind": "words", "at_least": 5})
    assert check("one two three four five", *both).correct
    verdict = check("one, two", *both)
    assert verdict.kind is VerdictKind.WRONG
    assert verdict.reason == "2 of 2 constraints broken; no_commas: a comma; words: 2, at least 5 are asked for"
    assert verdict.answer == "one, two"


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        ({"kind": "forbids", "phrases": ["red"]}, "it is r\u200bed"),
        ({"kind": "forbids", "phrases": ["red"]}, "it is ｒｅｄ"),
        ({"kind": "contains", "phrases": ["red", "blue"]}, "redblue"),
        ({"kind": "words", "at_least": 3}, ". , ; - !"),
        ({"kind": "sentences", "at_least": 3}, "Yes... ! ? . ! ."),
        ({"kind": "paragraphs", "at_least": 3}, "a\n\n\n\n\n\n"),
        ({"kind": "bullets", "at_least": 3}, "- \n- \n- "),
        ({"kind": "one_of", "options": ["yes", "no", "maybe"]}, "yes no maybe"),
        ({"kind": "upper"}, "123"),
    ],
)
def test_attacks_are_not_paid(constraint: dict[str, Any], text: str) -> None:
    assert not check(text, constraint).correct


def test_what_nobody_sees_is_no_text() -> None:
    assert check("\u200b\u2060 \ufeff", {"kind": "no_commas"}).kind is VerdictKind.NO_ANSWER


@pytest.mark.parametrize("text", ["*" * 19_000, "[" * 19_000, "<<" * 9_000, "\n" * 18_000 + "a", ". " * 9_000 + "a",
                                  "- " * 9_000, "Section 1 " * 1_900, "a" * 19_000, "{" * 19_000])  # fmt: skip
def test_hostile_text_costs_little(text: str) -> None:
    started = time.process_time()
    verdict = check(text, *TOGETHER)
    assert verdict.kind is VerdictKind.WRONG
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (None, "a list of 1 to 20"),
        ([], "a list of 1 to 20"),
        ("[", "no JSON"),
        ([3], "constraint 1: a table"),
        ([{"kind": "wrods", "at_least": 1}], "unknown kind 'wrods'; did you mean 'words'?"),
        ([{"kind": "language", "language": "fr"}], "'language' cannot be checked yet"),
        ([{"kind": "words"}], "'at_least' or 'at_most' is needed"),
        ([{"kind": "words", "at_least": 5, "at_most": 4}], "cannot both be kept"),
        ([{"kind": "words", "at_last": 5}], "unknown key 'at_last'; did you mean 'at_least'?"),
        ([{"kind": "words", "at_least": -1}], "a whole number of 0"),
        ([{"kind": "words", "at_least": True}], "a whole number of 0"),
        ([{"kind": "contains"}], "'phrases' is missing"),
        ([{"kind": "contains", "phrases": "red"}], "a list of 1 to"),
        ([{"kind": "letters", "letter": "zz", "at_least": 1}], "one character"),
        ([{"kind": "first_word", "word": "a", "paragraph": 0}], "a whole number of 1"),
        ([{"kind": "upper"}, {"kind": "lower"}], "upper and all lower"),
        ([{"kind": "contains", "phrases": ["Red"]}, {"kind": "forbids", "phrases": ["red"]}], "required and forbidden"),
    ],
)
def test_constraints_that_cannot_be_meant_are_named(constraints: Any, message: str) -> None:
    with pytest.raises(UserError, match="row 7") as error:
        check_gold(Problem("row 7", (), "constraints", {"constraints": constraints}))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_constraints_may_be_json_in_the_answer() -> None:
    problem = Problem("p", (), "constraints", {"answer": json.dumps([{"kind": "no_commas"}])})
    check_gold(problem)
    assert verify(problem, "a b").correct and not verify(problem, "a, b").correct


@given(st.text(max_size=200))
def test_no_text_breaks_a_check(text: str) -> None:
    verdict = check(text, *TOGETHER)
    assert verdict.kind is not VerdictKind.ERROR


@given(st.lists(st.text(alphabet="abc", min_size=1), min_size=1, max_size=30))
def test_counts_are_what_was_written(words: list[str]) -> None:
    assert len(Text(" ".join(words)).words) == len(words)
    assert Text(". ".join(f"w{word}" for word in words) + ".").sentences == len(words)
    assert len(Text("\n\n".join(words)).paragraphs) == len(words)
