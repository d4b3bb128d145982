"""Grids: forms that are read, attacks that are not paid, reference answers, and the published tasks."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import check_gold, verify
from mull.verify.grid import grids, render

SHARED = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared"))
ARC = SHARED / "data" / "arc_agi_1"
GOLD = [[1, 2, 0], [3, 4, 0]]


def check(text: str, answer: object = GOLD) -> Verdict:
    return verify(Problem("row 7", (), "grid", {"answer": answer}), text)


@pytest.mark.parametrize(
    "text",
    [
        "[[1, 2, 0], [3, 4, 0]]",
        "[[1 2 0]\n [3 4 0]]",
        "1 2 0\n3 4 0",
        "120\n340",
        "1,2,0\n3,4,0",
        "| 1 | 2 | 0 |\n| 3 | 4 | 0 |",
        "```\n1 2 0\n3 4 0\n```",
        "The output is [[1,2,0],[3,4,0]], as every row is kept.",
        "The output grid:\n\n1 2 0\n3 4 0\n\nThat keeps every row.",
        "The answer is\n1 2 0\n3 4 0",
        "\\boxed{[[1,2,0],[3,4,0]]}",
        "[[1,2,0],[3,4,0]]\n\nor, in rows:\n\n120\n340",
    ],
)
def test_the_same_grid_in_many_forms(text: str) -> None:
    verdict = check(text)
    assert (verdict.kind, verdict.answer, verdict.method) == (VerdictKind.CORRECT, "120\n340", "grid"), verdict


ATTACKS = {
    "a row too many": ("1 2 0\n3 4 0\n0 0 0", VerdictKind.WRONG),
    "a column too many": ("1 2 0 0\n3 4 0 0", VerdictKind.WRONG),
    "a row too few": ("1 2 0", VerdictKind.WRONG),
    "ragged": ("1 2 0\n3 4", VerdictKind.WRONG),
    "two grids": ("1 2 0\n3 4 0\n\n1 2 0\n3 4 1", VerdictKind.AMBIGUOUS),
    "two grids in brackets": ("[[1,2,0],[3,4,0]] or [[1,2,0],[3,4,1]]", VerdictKind.AMBIGUOUS),
    "two grids in two forms": ("[[1,2,0],[3,4,0]]\n\n1 2 0\n3 4 1", VerdictKind.AMBIGUOUS),
    "three deep": ("[[[1,2,0],[3,4,0]]]", VerdictKind.WRONG),
    "not a digit": ("[[1,2,0],[3,14,0]]", VerdictKind.WRONG),
    "minus": ("[[1,2,0],[3,-4,0]]", VerdictKind.WRONG),
    "decimals": ("[[1.0,2.0,0.0],[3.0,4.0,0.0]]", VerdictKind.WRONG),
    "one row": ("120340", VerdictKind.WRONG),
    "background": ("0 0 0\n0 0 0", VerdictKind.WRONG),
    "words": ("I do not know", VerdictKind.NO_ANSWER),
    "other digits": ("１２０\n３４1", VerdictKind.WRONG),
    "huge": ("[[" * 3000, VerdictKind.WRONG),
    "wide": ("1" * 7000, VerdictKind.WRONG),
    "long": ("1 2 0\n" * 2000, VerdictKind.INVALID),
    "never closed": ("[[1,2,0],[3,4,0]", VerdictKind.WRONG),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_not_paid(name: str) -> None:
    text, kind = ATTACKS[name]
    started = time.process_time()
    verdict = check(text)
    assert verdict.kind is kind or (name == "other digits" and not verdict.correct), verdict
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        "x",
        [],
        [[]],
        [[1], [2, 3]],
        [[10]],
        [[-1]],
        "1 2\n\n3 4",
        [[1.5]],
        7,
        {"a": 1},
        [[0] * 31],
        "9" * 9000,
    ],
    ids=repr,
)
def test_bad_reference_grids_are_named(answer: object) -> None:
    with pytest.raises(UserError, match="row 7: the answer must be one grid") as error:
        check_gold(Problem("row 7", (), "grid", {"answer": answer}))
    assert "\n" not in str(error.value)


sides = st.integers(1, 30)


@given(st.data(), sides, sides)
def test_every_grid_is_read_back_from_each_form(data: st.DataObject, height: int, width: int) -> None:
    row = st.lists(st.integers(0, 9), min_size=width, max_size=width).map(tuple)
    grid = tuple(data.draw(st.lists(row, min_size=height, max_size=height)))
    lists = [list(row) for row in grid]
    for text in (json.dumps(lists), render(grid), "\n".join(" ".join(map(str, row)) for row in grid)):
        if (height, width) == (1, 1) or "[" in text or width > 1 or " " in text or height > 1:
            assert grids(text) == [grid]


@given(st.text(alphabet="[]0123456789, \n|`a", max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert check(text).kind is not VerdictKind.ERROR


@pytest.mark.skipif(not ARC.is_dir(), reason="shared/data/arc_agi_1 is not here (set MULL_SHARED)")
def test_every_published_grid_is_right_for_its_task_only() -> None:
    rows = [json.loads(line) for path in sorted(ARC.glob("*.jsonl")) for line in path.read_text().splitlines()]
    golds = [pair["output"] for row in rows for pair in row["test"]]
    assert len(golds) == 835
    for gold, other in zip(golds, golds[1:] + golds[:1], strict=True):
        check_gold(Problem("p", (), "grid", {"answer": gold}))
        assert check(json.dumps(gold), gold).correct and check(render(tuple(map(tuple, gold))), gold).correct
        assert check(json.dumps(other), gold).correct == (gold == other)
        assert not check(json.dumps([*gold, gold[-1]]), gold).correct
