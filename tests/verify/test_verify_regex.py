"""Patterns: what matches, that nothing hangs, and which patterns are refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import check_gold, verify


def check(text: str, answer: str, **more: object) -> Verdict:
    return verify(Problem("row 7", (), "regex", {"answer": answer, **more}), text)


@pytest.mark.parametrize(
    ("text", "pattern", "more", "kind"),
    [
        ("ab12", "[a-c]+[0-9]{2}", {}, VerdictKind.CORRECT),
        ("\\boxed{ab12}", "[a-c]+[0-9]{2}", {}, VerdictKind.CORRECT),
        ("xab12", "[a-c]+[0-9]{2}", {}, VerdictKind.WRONG),
        ("AB12", "[a-c]+[0-9]{2}", {}, VerdictKind.WRONG),
        ("AB12", "[a-c]+[0-9]{2}", {"ignore_case": True}, VerdictKind.CORRECT),
        ("say ab12 now", "[a-c]+[0-9]{2}", {"match": "search"}, VerdictKind.CORRECT),
        ("Ünï 3", "\\pL+ \\d", {}, VerdictKind.CORRECT),
        ("\\boxed{", "a", {}, VerdictKind.NO_ANSWER),
        ("a" * 1001, "a+", {}, VerdictKind.INVALID),
        ("a\ud800", "a.", {}, VerdictKind.INVALID),
        ("ab12\n", "ab12", {}, VerdictKind.CORRECT),
        ("ab12\nxx", "ab12$", {}, VerdictKind.WRONG),
    ],
)
def test_verdicts(text: str, pattern: str, more: dict[str, object], kind: VerdictKind) -> None:
    assert check(text, pattern, **more).kind is kind


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a|aa)+$", "(.*a){20}b", "(\\w{1,300} ?){3}z", ".*a.{400}b", "(?:a{0,500}){2}b"]
)
def test_no_pattern_hangs(pattern: str) -> None:
    check_gold(Problem("row 7", (), "regex", {"answer": pattern, "match": "full"}))
    started = time.process_time()
    assert check("a" * 999 + "!", pattern).kind is VerdictKind.WRONG
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "must be a pattern"),
        ({"answer": 3}, "must be a pattern"),
        ({"answer": "x" * 501}, "must be a pattern"),
        ({"answer": "["}, "cannot be used"),
        ({"answer": "(a)\\1"}, "cannot be used"),
        ({"answer": "a(?=b)"}, "cannot be used"),
        ({"answer": "(\\pL{1,500}){1,2}"}, "cannot be used"),
        ({"answer": ".*"}, "checks nothing"),
        ({"answer": "a*", "match": "search"}, "checks nothing"),
        ({"answer": "a", "match": "part"}, "'match' must be"),
        ({"answer": "a", "ignore_case": "yes"}, "'ignore_case' must be"),
        ({"answer": "a\ud800"}, "cannot be used"),
    ],
)
def test_bad_patterns_are_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match="row 7") as error:
        check_gold(Problem("row 7", (), "regex", data))
    assert message in str(error.value) and "\n" not in str(error.value)


@given(st.text(max_size=60), st.text(alphabet="ab(|)*+?[]{},1^$\\.", min_size=1, max_size=12))
def test_what_is_taken_never_fails_on_a_text(text: str, pattern: str) -> None:
    try:
        check_gold(Problem("row 7", (), "regex", {"answer": pattern}))
    except UserError:
        return
    assert check(text, pattern).kind is not VerdictKind.ERROR
