"""Phrases against thoughts labelled by hand.

The labels were written before the patterns. The half "held" was not looked at while they were tuned, but one person
wrote both, so it tells of slips and not of how people and models write. "hard" was written afterwards: longer thoughts,
that avoid the usual phrases. The first patterns found 7 of its 33 behaviours, and nothing false; some were then added.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mull.analysis.behaviours import Behaviour, behaviours

ROWS = [json.loads(line) for line in Path(__file__).with_name("labelled.jsonl").read_text("utf-8").splitlines()]


@dataclass
class Score:
    hits: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def precision(self, names) -> float:
        hits = sum(self.hits[n] for n in names)
        return hits / max(1, hits + sum(self.false[n] for n in names))

    def recall(self, names) -> float:
        hits = sum(self.hits[n] for n in names)
        return hits / max(1, hits + sum(self.missed[n] for n in names))


def score(half: str) -> Score:
    found = Score()
    for row in (row for row in ROWS if row["half"] == half):
        read = behaviours("any", row["prompt"], row["text"], row["language"])
        shown = {str(b) for b in Behaviour if read.shows(b)}
        found.hits.update(shown & set(row["has"]))
        found.false.update(shown - set(row["has"]))
        found.missed.update(set(row["has"]) - shown)
    return found


@pytest.mark.parametrize("behaviour", list(Behaviour))
def test_each_behaviour_in_the_held_half(behaviour: Behaviour) -> None:
    held = score("held")
    assert held.hits[behaviour] >= 2
    assert held.precision([behaviour]) >= 0.9
    assert held.recall([behaviour]) >= 0.9


def test_what_avoids_the_usual_phrases_is_missed_rather_than_made_up() -> None:
    hard = score("hard")
    assert hard.precision(Behaviour) >= 0.9
    assert hard.recall(Behaviour) >= 0.5


def test_the_labels_are_of_known_behaviours_and_of_enough_thoughts() -> None:
    assert {name for row in ROWS for name in row["has"]} == set(Behaviour)
    halves = Counter(row["half"] for row in ROWS)
    assert halves["tune"] >= 60
    assert halves["held"] >= 60
    assert sum(not row["has"] for row in ROWS) >= 60, "false friends"
