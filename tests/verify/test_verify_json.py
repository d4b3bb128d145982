"""JSON: equal values, attacks that are not paid, bounds, and reference values."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import check_gold, verify
from mull.verify.json import parse, render

GOLD = {"a": 1, "b": [True, None, "x"]}


def check(text: str, answer: object = GOLD) -> Verdict:
    return verify(Problem("row 7", (), "json", {"answer": answer}), text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": [true, null, "x"]}',
        '{"b":[true,null,"\\u0078"],"a":1.0}',
        '{"b":[true,null,"x"],"a":10e-1}',
        '```json\n{"a": 1, "b": [true, null, "x"]}\n```',
        'The answer is {"a": 1, "b": [true, null, "x"]}',
        'Here it is:\n```\n{"a": 1, "b": [true, null, "x"]}\n```\nGood.',
        '<answer>{"a": 1, "b": [true, null, "x"]}</answer>',
    ],
)
def test_equal_values(text: str) -> None:
    verdict = check(text)
    assert (verdict.kind, verdict.answer) == (VerdictKind.CORRECT, '{"a":1,"b":[true,null,"x"]}'), verdict


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"a": 2, "a": 1, "b": [true, null, "x"]}', VerdictKind.AMBIGUOUS),
        ('{"a": true, "b": [true, null, "x"]}', VerdictKind.WRONG),
        ('{"a": "1", "b": [true, null, "x"]}', VerdictKind.WRONG),
        ('{"a": 1, "b": [true, null, "x"], "c": 0}', VerdictKind.WRONG),
        ('{"a": 1, "b": [true, null, "x"]} {"a": 2}', VerdictKind.WRONG),
        ('{"a": NaN, "b": [true, null, "x"]}', VerdictKind.WRONG),
        ('{"a": -Infinity}', VerdictKind.WRONG),
        ("{'a': 1}", VerdictKind.WRONG),
        ('{"a": 1, // one\n "b": []}', VerdictKind.WRONG),
        ('{"a": 1e999999999}', VerdictKind.INVALID),
        ('{"a": ' + "9" * 5000 + "}", VerdictKind.INVALID),
        ("[" * 10_000 + "]" * 10_000, VerdictKind.INVALID),
        ('{"a":' * 3000, VerdictKind.INVALID),
        ('"' + "[" * 10_000, VerdictKind.WRONG),
        ("{" + ",".join(f'"{n}":0' for n in range(2000)) + ',"1999":0}', VerdictKind.AMBIGUOUS),
        ("\\boxed{", VerdictKind.WRONG),
        ("__import__('os')", VerdictKind.WRONG),
    ],
)
def test_attacks_are_not_paid(text: str, kind: VerdictKind) -> None:
    started = time.process_time()
    assert check(text).kind is kind
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("answer", ["{", '{"a":1,"a":1}', "NaN", float("nan"), "[" * 99, {1, 2}, "1e99999"])
def test_bad_reference_values_are_named(answer: object) -> None:
    with pytest.raises(UserError, match="row 7") as error:
        check_gold(Problem("row 7", (), "json", {"answer": answer}))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="no answer"):
        check_gold(Problem("row 7", (), "json", {}))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_every_value_is_right_against_itself_in_any_order(value: Any) -> None:
    backwards = json.dumps(value, indent=1, sort_keys=True)
    assert check(json.dumps(value), json.dumps(value)).correct and check(backwards, json.dumps(value)).correct
    assert render(parse(render(parse(backwards)))) == render(parse(backwards))


@given(values, values)
def test_different_values_are_wrong(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    if not same and one != other:
        assert not check(json.dumps(other), json.dumps(one)).correct


@given(st.text(alphabet='{}[]",:0123456789.eE-+truefalsn \\`\n', max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert check(text).kind is not VerdictKind.ERROR
