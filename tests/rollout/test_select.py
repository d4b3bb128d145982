"""Which samples are kept, and that what is dropped is counted for the right reason."""

from __future__ import annotations

from typing import Any

import pytest

from mull.analysis.repetition import repeated_share
from mull.rollout.select import KeepConfig, select

GOOD = "<think> so then </think> <answer> 4 </answer>"


def row(problem: str = "p", text: str = GOOD, **more: Any) -> dict[str, Any]:
    return {
        "problem_id": problem, "text": text, "verdict": "correct", "well_formed": True, "finish": "stop",
        "language_share": 1.0, **more,
    }  # fmt: skip


LOOP = "a b c d e f g h " * 4
FAULTS = [
    ("verdict", {"verdict": "wrong"}, {}),
    ("verdict", {"verdict": "timeout"}, {}),
    ("form", {"well_formed": False}, {}),
    ("length", {"finish": "length"}, {}),
    ("language", {"language_share": 0.94}, {"language": 0.95}),
    ("language", {"language_share": None}, {"language": 0.95}),
    ("repetition", {"text": LOOP}, {"repetition": 0.5}),
    ("paragraph", {"text": "short\n" + "x" * 101}, {"paragraph": 100}),
    ("code", {"text": "```\nx\n```"}, {"code_blocks": False}),
]


@pytest.mark.parametrize(("reason", "fault", "config"), FAULTS)
def test_each_fault_is_dropped_by_its_name(reason: str, fault: dict[str, Any], config: dict[str, Any]) -> None:
    good, bad = row("good"), row("bad", **fault)
    found = select([good, bad], KeepConfig(**config))
    assert found.kept == [good] and found.dropped == {reason: 1}


def test_what_is_not_asked_for_is_kept() -> None:
    everything = [row(str(i), **fault) for i, (_, fault, _) in enumerate(FAULTS)]
    loose = KeepConfig(verdict="any", well_formed=False, finished=False)
    assert select(everything, loose).kept == everything and select(everything, loose).dropped == {}


def test_doubles_and_the_cap() -> None:
    rows = [row("p", f"{GOOD} {i % 5}") for i in range(10)] + [row("q", f"{GOOD} 0"), row("q", f"  {GOOD}  0 ")]
    found = select(rows, KeepConfig())
    assert len(found.kept) == 6 and found.dropped == {"double": 6}
    assert len(select(rows, KeepConfig(unique=False)).kept) == 12
    capped = select(rows, KeepConfig(per_problem=2))
    assert [kept["problem_id"] for kept in capped.kept] == ["p", "p", "q"] and capped.dropped == {"double": 6, "cap": 3}
    again = select(rows[::-1], KeepConfig(per_problem=2))
    assert sorted(r["text"].split()[-1] for r in again.kept) == sorted(r["text"].split()[-1] for r in capped.kept)


def test_repetition_by_hand() -> None:
    assert repeated_share("a b c a b c", 3) == 0.25  # abc bca cab abc
    assert repeated_share("a b c d", 8) == repeated_share("") == 0.0
    assert repeated_share("x " * 100) == pytest.approx(92 / 93)


def test_the_best_of_a_problem_are_picked_by_their_reward() -> None:
    rows = [row("p", f"<think> {n} </think>", reward=r) for n, r in enumerate((0.1, 0.9, 0.5, 0.9))]
    rows.append(row("q", reward=0.0))
    kept = select(rows, KeepConfig(per_problem=2, pick="reward")).kept
    assert [one["reward"] for one in kept] == [0.9, 0.9, 0.0]
    one = select(rows, KeepConfig(per_problem=1, pick="reward")).kept
    assert one == select(rows[::-1], KeepConfig(per_problem=1, pick="reward")).kept[::-1]  # a tie: by the hash
    with pytest.raises(ValueError, match="needs per_problem"):
        KeepConfig(pick="reward")
