"""Labelled steps out of files: our own shape, PRM800K's, and rows that are neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.tasks.steps import Neutral, chain_of, read_steps


def rated(text: str, rating: int | None, flagged: bool = False) -> dict[str, Any]:
    return {"text": text, "rating": rating, "flagged": flagged}


def step(*completions: dict[str, Any], chosen: Any = None, human: Any = None) -> dict[str, Any]:
    return {"completions": list(completions), "chosen_completion": chosen, "human_completion": human}


def prm800k(*steps: Any, problem: Any = "1 + 1?") -> dict[str, Any]:
    return {"question": {"problem": problem}, "label": {"steps": list(steps), "finish_reason": "solution"}}


def read(row: dict[str, Any], neutral: Neutral = "good") -> list[tuple[str, float | None]]:
    found = chain_of(row, "f: row 1", neutral)
    return list(zip(found.steps, found.labels, strict=True))


def test_our_own_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [
        {"prompt": "1 + 1?", "steps": ["a", "b"], "labels": [True, 0.25]},
        {"messages": [{"role": "user", "content": "?"}], "completions": ["a", "b"], "labels": [None, 0]},
        {"prompt": "?", "steps": ["a"], "labels": [None]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = read_steps(file)  # the third has nothing to learn from
    assert first.labels == (1.0, 0.25) and first.prompt[0].content == "1 + 1?" and first.ids is None
    assert second.steps == ("a", "b") and second.labels == (None, 0.0)


def test_the_chosen_path_is_followed_and_a_bad_end_kept() -> None:
    row = prm800k(
        step(rated("no", -1), rated("so", 0), chosen=1),
        step(rated("no", -1), human={"text": "by hand", "rating": None}),
        step(rated("unsure", None), rated("odd", 1, flagged=True), rated("wrong", -1)),
        step(rated("never read", 1), chosen=0),
    )
    assert read(row) == [("so", 1.0), ("by hand", 1.0), ("wrong", 0.0)]
    assert read(row, "bad")[0] == ("so", 0.0) and read(row, "out")[0] == ("so", None)


def test_a_step_without_a_usable_completion_ends_the_chain() -> None:
    for last in (step(), {"completions": None}, step(rated("a", None)), step(rated("a", 1, flagged=True))):
        assert read(prm800k(step(rated("so", 1), chosen=0), last, step(rated("late", 1), chosen=0))) == [("so", 1.0)]
    assert read(prm800k(step())) == [] and read(prm800k()) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "an object with fields is needed, not list"),
        ({"prompt": "?"}, "no labelled steps; .* it has 'prompt'"),
        ({"steps": ["a"], "labels": [1]}, "no labelled steps"),
        ({"prompt": "?", "steps": ["a"], "labels": [1, 0]}, "1 steps but 2 labels"),
        ({"prompt": "?", "steps": [], "labels": []}, "0 steps but 0 labels"),
        ({"prompt": "?", "steps": "a", "labels": [1]}, "field 'steps': a list is needed"),
        ({"prompt": "?", "steps": ["a", " "], "labels": [1, 1]}, "step 2: a text is needed"),
        ({"prompt": "?", "steps": ["a"], "labels": [1.5]}, "a probability or null, not 1.5"),
        ({"prompt": "?", "steps": ["a"], "labels": [float("nan")]}, "a probability or null, not nan"),
        ({"prompt": "?", "steps": ["a"], "labels": ["good"]}, "a probability or null, not 'good'"),
        ({"prompt": 3, "steps": ["a"], "labels": [1]}, "a prompt is a text or a list of messages"),
        ({"prompt": " ", "steps": ["a"], "labels": [1]}, "a text is needed"),
        (
            {"messages": [{"role": "assistant", "content": "x"}], "steps": ["a"], "labels": [1]},
            "must end with the user",
        ),
        ({"prompt": "?", "steps": ["\ud800"], "labels": [1]}, "surrogate"),
        ({"prompt": "?", "steps": ["a"], "labels": [1], "token_ids": [3]}, "field 'prompt_ids': a list is needed"),
        (
            {"prompt": "?", "steps": ["a"], "labels": [1], "prompt_ids": [1], "token_ids": [3, -1], "ends": [1]},
            "field 'token_ids': a list of whole numbers",
        ),
        (
            {"prompt": "?", "steps": ["a"], "labels": [1], "prompt_ids": [1], "token_ids": [3, 4], "ends": [0]},
            "'ends' must rise",
        ),
        ({"question": "?", "label": {"steps": []}}, "field 'question': an object is needed"),
        ({"question": {}, "label": {"steps": []}}, "field 'problem': a text is needed, not None"),
        ({"question": {"problem": "?"}, "label": {}}, "field 'steps': a list is needed, not None"),
        (prm800k("a"), "step 1: an object is needed, not 'a'"),
        (prm800k(step(rated("a", 1), chosen=1)), "step 1: chosen_completion is 1, with 1 completions"),
        (prm800k(step(rated("a", 1), chosen="0")), "step 1: chosen_completion is '0'"),
        (prm800k(step(rated("a", 2), chosen=0)), "a rating is -1, 0 or 1, not 2"),
        (prm800k(step(rated("", 1), chosen=0)), "step 1: a text is needed, not ''"),
        (prm800k(step(3, chosen=0)), "step 1: an object is needed, not 3"),
        (prm800k({"completions": "a"}), "'completions' must be a list, not 'a'"),
        (prm800k(step(human={"rating": 1})), "step 1: a text is needed, not None"),
    ],
)
def test_bad_rows_are_named(row: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^f: row 1.*{message}"):
        chain_of(row, "f: row 1")


def test_a_file_without_a_label(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(prm800k(step())) + "\n")
    with pytest.raises(UserError, match=r"a\.jsonl: no step with a label in 1 rows"):
        read_steps(file)
