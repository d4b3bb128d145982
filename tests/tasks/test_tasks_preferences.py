"""Preferences out of files: every shape, and every mistake named with its row."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Message
from mull.tasks.preferences import Labelled, Pair, preference_of, read_preferences

ASKED, GOOD, BAD = Message("user", "2+2?"), "4", "5"
WANTED = Pair((ASKED,), GOOD, BAD)
USER, FOUR, FIVE = ({"role": r, "content": c} for r, c in (("user", "2+2?"), ("assistant", "4"), ("assistant", "5")))
SHAPES: list[dict[str, Any]] = [
    {"prompt": "2+2?", "chosen": "4", "rejected": "5"},
    {"prompt": [USER], "chosen": [FOUR], "rejected": [FIVE]},
    {"prompt": [USER], "chosen": FOUR, "rejected": FIVE},
    {"chosen": [USER, FOUR], "rejected": [USER, FIVE]},
    {"conversations": [{"from": "human", "value": "2+2?"}], "chosen": {"from": "gpt", "value": "4"},
     "rejected": {"from": "gpt", "value": "5"}},
    {"chosen": "\n\nHuman: 2+2?\n\nAssistant: 4", "rejected": "\n\nHuman: 2+2?\n\nAssistant: 5"},
]  # fmt: skip


@pytest.mark.parametrize("row", SHAPES)
def test_every_shape_of_a_pair(row: dict[str, Any]) -> None:
    assert preference_of(row, "f: row 1") == WANTED


@pytest.mark.parametrize(("label", "value"), [(True, 1.0), (False, 0.0), (0.25, 0.25), (1, 1.0)])
def test_labels(label: Any, value: float) -> None:
    for key in ("response", "completion"):
        found = preference_of({"prompt": "2+2?", key: "4", "label": label}, "f: row 1")
        assert found == Labelled((ASKED,), "4", value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"chosen": "4"}, "it has 'chosen'"),
        ({}, "it has nothing"),
        ({"prompt": "2+2?", "response": "4"}, "needs 'chosen' and 'rejected', or"),
        ({"prompt": "2+2?", "response": "4", "label": 2}, "a label is true, false or a probability"),
        ({"prompt": "2+2?", "response": "4", "label": "yes"}, "a label is"),
        ({"prompt": "2+2?", "chosen": "4", "rejected": "4"}, "the same text"),
        ({"prompt": "2+2?", "chosen": "4", "rejected": 5}, "a text or messages are needed, not int"),
        ({"prompt": "2+2?", "chosen": "4", "rejected": " "}, "has no text"),
        ({"chosen": "4", "rejected": "5"}, "no transcript"),
        ({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: x\n\nAssistant: y"}, "different prompts"),
        ({"chosen": "\n\nHuman: a\n\nAssistant:", "rejected": "\n\nHuman: a\n\nAssistant: y"}, "a turn without text"),
        ({"prompt": "a", "chosen": [USER], "rejected": [FIVE]}, "must end in an assistant's reply"),
    ],
)
def test_mistakes_name_the_row(row: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        preference_of(row, "f.jsonl: row 7")
    assert "f.jsonl: row 7" in str(error.value) and "\n" not in str(error.value)


def test_unusable_rows_stop_or_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [SHAPES[0], {"chosen": "4"}, SHAPES[5]]))
    with pytest.raises(UserError, match="row 2"):
        read_preferences(file)
    assert read_preferences(file, skip=True) == [WANTED, WANTED]
    file.write_text('{"chosen": 1}\n')
    with pytest.raises(UserError, match="row 1"):
        read_preferences(file, skip=True)
    file.write_text("")
    with pytest.raises(UserError, match="the file is empty"):
        read_preferences(file)


@pytest.mark.parametrize(("name", "usable"), [("dpo_en_demo.json", 300), ("hh_harmless_test.jsonl.gz", 2303)])
def test_public_preferences_can_be_read(name: str, usable: int) -> None:
    shared = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2].parent / "shared"))
    file = shared / "data" / "preferences" / name
    if not file.is_file():
        pytest.skip("needs shared/data/preferences")
    assert len(read_preferences(file, skip=True)) == usable
