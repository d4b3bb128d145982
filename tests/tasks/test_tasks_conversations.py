"""Conversations out of files: every shape that is promised, and every mistake named with its row."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.tasks.conversations import TraceSpec, conversation_of, read_conversations

ASKED, SAID = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}
SHAPES: list[dict[str, Any]] = [
    {"messages": [ASKED, SAID]},
    {"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
    {"prompt": "2+2?", "completion": "4"},
    {"prompt": [ASKED], "completion": [SAID]},
    {"prompt": "2+2?", "response": "4", "other": 1},
    {"instruction": "2+2?", "input": "", "output": "4"},
]


def said(row: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(turn.message.role, turn.message.content, turn.train) for turn in conversation_of(row, "f: row 1")]


@pytest.mark.parametrize("row", SHAPES, ids=lambda row: "-".join(row))
def test_every_shape(row: dict[str, Any]) -> None:
    assert said(row) == [("user", "2+2?", False), ("assistant", "4", True)]


def test_inputs_systems_thoughts_and_marks() -> None:
    assert said({"instruction": "Add.", "input": "2 2", "output": "4", "system": "Be brief."}) == [
        ("system", "Be brief.", False), ("user", "Add.\n\n2 2", False), ("assistant", "4", True),
    ]  # fmt: skip
    for key in ("reasoning_content", "reasoning", "thinking"):
        assert said({"messages": [ASKED, {**SAID, key: " two and two\n"}]})[1][1] == (
            "<think>\ntwo and two\n</think>\n4"
        )
    marked = [ASKED, {**SAID, "train": False}, ASKED, SAID]
    assert [train for _, _, train in said({"messages": marked})] == [False, False, False, True]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "an object with fields is needed"),
        ({}, "it has nothing"),
        ({"question": "a", "answer": "b"}, "it has 'question', 'answer'"),
        ({"messages": []}, "a list of messages is needed"),
        ({"messages": "hi"}, "a list of messages is needed"),
        ({"messages": ["hi"]}, "a message is an object"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "unknown role 'tool'"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "unknown role"),
        ({"messages": [ASKED, {"role": "assistant", "content": " "}]}, "the assistant's message has no text"),
        ({"messages": [ASKED, {"role": "assistant", "content": None}]}, "has no text"),
        ({"messages": [ASKED]}, "no assistant's turn to learn from"),
        ({"messages": [ASKED, {**SAID, "train": False}]}, "no assistant's turn to learn from"),
        ({"messages": [ASKED, {**SAID, "train": "no"}]}, "'train' must be true or false"),
        ({"messages": [SAID, ASKED, SAID]}, "the assistant speaks before"),
        ({"prompt": "a", "completion": "\ud800"}, "surrogate"),
    ],
)
def test_mistakes_name_the_row(row: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        conversation_of(row, "f.jsonl: row 7")
    assert "f.jsonl: row 7" in str(error.value) and "\n" not in str(error.value)


def test_files_and_limits(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?", "completion": f"{n}"} for n in range(50)]
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.json.gz"
    plain.write_text("".join(json.dumps(row) + "\n" for row in rows))
    packed.write_bytes(gzip.compress(json.dumps(rows).encode()))
    assert read_conversations(plain) == read_conversations(packed) and len(read_conversations(plain)) == 50
    few = read_conversations(plain, 10)
    order = [turns[0].message.content for turns in read_conversations(plain)]
    places = [order.index(turns[0].message.content) for turns in few]
    assert len(few) == 10 and places == sorted(places) and places != list(range(10))
    with pytest.raises(UserError, match="no such file"):
        read_conversations(tmp_path / "none.jsonl")
    plain.write_text("\n")
    with pytest.raises(UserError, match="the file is empty"):
        read_conversations(plain)


def test_a_spec_is_a_text_or_a_table() -> None:
    assert TraceSpec.model_validate("a.jsonl") == TraceSpec(source="a.jsonl")
    with pytest.raises(ValueError, match="greater than 0"):
        TraceSpec.model_validate({"source": "a", "weight": 0})


def test_public_instructions_can_be_read() -> None:
    shared = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2].parent / "shared"))
    file = shared / "data" / "general" / "alpaca_en_demo.json"
    if not file.is_file():
        pytest.skip("needs shared/data/general")
    assert len(read_conversations(file)) >= 990
