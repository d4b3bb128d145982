"""Conventions by name, and thoughts that have to be closed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Problem, VerdictKind
from mull.verify.extract import CONVENTIONS, DEFAULT, after_thought, find_answer, last_box
from mull.verify.registry import verify_response

PROBLEM = Problem("row", (), "math", {"answer": "42"})


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("boxed", "a \\boxed{41} b \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("boxed", "\\text{\\boxed{42}}", "42"),
        ("boxed", "\\boxed{41 \\boxed{42}", None),
        ("boxed", "} \\{ \\boxed{\\{1\\}} {", "\\{1\\}"),
        ("boxed", "42", None),
        ("answer_tag", "<answer>41</answer><answer>42</answer>", "42"),
        ("hashes", "so\n#### 41\n#### 42\nbye", "42"),
        ("phrase", "The answer is 41. No, the final answer is: 42. Done.", "42"),
        ("phrase", "所以答案是42。", "42"),
        ("phrase", "La réponse est 42.", "42"),
        ("minerva", "Final Answer: The final answer is $42$. I hope it is correct.", "$42$"),
        ("minerva", "The final answer is 42.", None),
        ("dapo", "Answer: 41\n\nAnswer: 42", "42"),
        ("dapo", "Answer: 42\n" + "x" * 300, None),
        ("dapo", "the Answer: 42", None),
        ("choice", "Reasoning about A. The answer is (B) since", "B"),
        ("choice", "Answer: $C$", "C"),
        ("choice", "\\boxed{D}", "D"),
        ("choice", "answer: both", None),
        ("last_code_block", "```python\na = 1\n```\nthen\n```python\nb = 2\n```", "b = 2"),
        ("last_code_block", "```python\na = 1\n```\nthen\n```python\nb = 2\n", None),
        ("last_code_block", "no code", None),
        ("last_number", "between 41 and 1,042.50 apples", "1,042.50"),
        ("bare", "  42 ", "42"),
    ],
)
def test_each_convention(name: str, text: str, answer: str | None) -> None:
    found = find_answer(text, (name,))
    assert (found.text if found else None) == answer
    assert found is None or found.convention == name


def test_the_order_is_the_callers() -> None:
    text = "\\boxed{41} #### 42"
    assert find_answer(text, ("hashes", "boxed")) == find_answer(text, ("hashes",))
    assert "last_number" not in DEFAULT
    with pytest.raises(UserError, match="did you mean 'boxed'"):
        find_answer(text, ("boxd",))


@pytest.mark.parametrize(
    ("response", "closed", "required"),
    [
        ("<think>a</think>b", "b", "b"),
        ("a</think>b", "b", "b"),
        ("b", "b", None),
        ("<think>a", None, None),
        ("<think>a</think>b<think>c", None, None),
        ("<think>a</think>b<think>c</think>d", "d", "d"),
    ],
)
def test_only_what_follows_a_closed_thought_is_read(response: str, closed: str | None, required: str | None) -> None:
    assert after_thought(response) == closed
    assert after_thought(response, "required") == required


def test_a_response_as_a_whole() -> None:
    assert verify_response(PROBLEM, "<think>41</think>\\boxed{42}").correct
    assert verify_response(PROBLEM, "\\boxed{42}", "required").kind is VerdictKind.NO_ANSWER
    assert verify_response(PROBLEM, "<think>" + "a \\boxed{41} " * 30_000 + "</think>The answer is 42").correct
    assert verify_response(PROBLEM, "word " * 30_000 + "\\boxed{42}").correct
    assert verify_response(PROBLEM, "about 41 or 42", conventions=("last_number",)).correct
    assert verify_response(PROBLEM, "\\boxed{42}", conventions=("hashes",)).kind is VerdictKind.NO_ANSWER


def test_sentences_are_not_read_as_one_set() -> None:
    row = Problem("row", (), "math", {"answer": "1, 2, 3"})
    verdict = verify_response(row, "First I tried 1, then I tried 2 and in the end it was 3")
    assert verdict.kind is VerdictKind.NO_ANSWER
    assert verify_response(row, "1, 2 and 3").correct
    words = Problem("row", (), "math", {"answer": "the second of the three boxes"})
    assert verify_response(words, "The second of the three boxes.").correct


@given(st.lists(st.sampled_from(["\\boxed{", "\\fbox{", "}", "{", "\\{", "\\\\", "a", "1"]), max_size=30).map("".join))
def test_a_box_is_balanced(text: str) -> None:
    inside = last_box(text)
    assert inside is None or inside in text
    for name in CONVENTIONS:
        found = find_answer(text, (name,))
        assert found is None or found.text
