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


RESPONSES = [
    ("42", "So the final answer is **42**.", True),
    ("42", "Final answer: $\\boxed{42}$", True),
    ("42", "<answer>\\boxed{42}</answer>", True),
    ("42", "The answer is $42$.", True),
    ("42", "The answer is \\(42\\).", True),
    ("42", "Therefore, the answer is: 42", True),
    ("42", "### Answer\n42", True),
    ("42", "**Answer:** 42", True),
    ("42", "Answer: $42$", True),
    ("42", "so x = 42", True),
    ("42", "Thus there are 42 apples.", False),
    ("42", "\\boxed{42}\\boxed{41}\\boxed{42}", True),
    ("42", "\\boxed{\\text{42}}", True),
    ("73", "**73**", True),
    ("B", "The correct answer is (B) 42.", True),
    ("B", "Answer: B", True),
    ("B", "\\boxed{B}", True),
    ("42", "\\boxed{42}$. I hope it is correct.", True),
    ("42", "\\(\\boxed{42}\\)", True),
    ("42", "the answer is not 42", False),
    ("42", "The answer is 42 or 43", False),
    ("42", "The answer is 42. Or maybe 43.", True),
    ("18", "Answer: 18 dollars", True),
    ("42", "<think>x</think>\nThe final answer is \\boxed{42}.", True),
    ("42", "<think>The answer is \\boxed{42}</think>", False),
    ("42", "```\n42\n```", False),
    ("42", "\\boxed{}42", False),
    ("42", "$\\boxed{42}$ is wrong, it's \\boxed{ 43 }", False),
    ("3.5", "The answer is 3.5.", True),
    ("1,000", "The answer is 1,000.", True),
    ("42", "ANSWER: 42", True),
    ("\\frac{1}{2}", "The answer is $\\frac{1}{2}$", True),
    ("42", "\\boxed{42}.\n\nLet me know if you need more help!", True),
    ("42", "Answer is 42", True),
    ("42", "The answer is\n42", True),
    ("42", "The answer is:\n\n42", True),
]


@pytest.mark.parametrize(("gold", "response", "right"), RESPONSES)
def test_whole_responses_as_models_write_them(gold: str, response: str, right: bool) -> None:
    assert verify_response(Problem("row", (), "math", {"answer": gold}), response).correct is right


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
