"""A server's message as thought and reply; the joined text against the state machine that reads completions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.said import Said, said
from mull.core.thinking import R1_TAGS, split_completion


@pytest.mark.parametrize(
    ("message", "thought", "reply", "closed"),
    [
        ({"content": "42", "reasoning_content": " 6 × 7 "}, "6 × 7", "42", True),
        ({"content": "42", "reasoning": "6 × 7"}, "6 × 7", "42", True),
        ({"content": "42", "reasoning_content": None, "reasoning": "6 × 7"}, "6 × 7", "42", True),
        ({"content": "<think>\n6 × 7\n</think>\n\n42"}, "6 × 7", "42", True),
        ({"content": " <think></think>42"}, "", "42", True),
        ({"content": "6 × 7</think>42"}, "6 × 7", "42", True),
        ({"content": "<think>6 × 7, or"}, "6 × 7, or", "", False),
        ({"content": None, "reasoning_content": "6 × 7, or"}, "6 × 7, or", "", False),
        ({"content": "<think>so 42</think>42", "reasoning": "6 × 7"}, "6 × 7\n\nso 42", "42", True),
        ({"content": "42"}, None, "42", True),
        ({"content": "42", "reasoning_content": ""}, None, "42", True),
        ({"content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]}, None, "42", True),
        ({}, None, "", True),
    ],
)
def test_wherever_the_thought_is(message: dict[str, Any], thought: str | None, reply: str, closed: bool) -> None:
    assert said(message) == Said(thought, reply, closed)


def test_what_is_no_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="no text"):
        said({"content": 42})


@pytest.mark.parametrize(
    "unclean",
    [
        Said("a </think> b", "42"), Said("a", "42 <think>"), Said("a", ""), Said("a", "", False), Said(None, "42"),
        Said("<think>", "1"), Said("a", "</think> 42"),
    ],
)  # fmt: skip
def test_what_others_would_cut_elsewhere_is_not_clean(unclean: Said) -> None:
    assert not unclean.clean


PIECES = st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "\n", " ", "a", "42", "é", "<thi", "nk>", "</"]))


@given(PIECES.map("".join), PIECES.map("".join), st.sampled_from(["reasoning_content", "reasoning", "inline"]))
def test_a_clean_text_is_read_as_it_was_said(thought: str, reply: str, where: str) -> None:
    if where == "inline":
        found = said({"content": f"<think>{thought}</think>{reply}"})
    else:
        found = said({"content": reply, where: thought})
    parts = split_completion([found.text], R1_TAGS)
    # The state machine is the reference: clean texts are well formed to it, with just these parts.
    if found.clean:
        assert parts.well_formed
        assert (parts.thinking_text or "").strip() == found.thought
        assert (parts.answer_text or "").strip() == found.reply
    if "<think>" not in thought + reply and "</think>" not in thought + reply and found.thought is not None:
        assert found.thought == thought.strip() and found.reply == reply.strip()
        assert found.clean is bool(reply.strip())
    assert said({"content": found.text}).text == found.text or not found.clean
