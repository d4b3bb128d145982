"""Phrases that show a behaviour, and what stands before or after them that takes it back.

A rule is a pattern, read in the lower-cased text near its keys (plain words, one of which every match holds: finding
those is a hundred times faster than trying the pattern everywhere), and a guard on the characters before a match: a
negation ("no need to check"). Every pattern is bounded: no match is longer than `AROUND` characters, and no repetition
stands inside another, so that reading takes time in proportion to the text whatever it holds.
Left out on purpose: grammar; a phrase is believed where its guards let it pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mull.analysis.behaviours.table import Behaviour, Spot

AROUND = 72
"""Characters that a match can have on either side of its key."""
BEFORE = 48
"""Characters before a match that a guard sees."""


@dataclass(frozen=True)
class Rule:
    """`pattern` shows `behaviour`, unless `unless` matches what stands right before it (its end is the match's start).

    Example: `rule(Behaviour.REFLECTION, r"\\bhm{1,20}\\b", keys="hm")`
    """

    behaviour: Behaviour
    pattern: re.Pattern[str]
    keys: tuple[str, ...]
    unless: re.Pattern[str] | None = None


def rule(behaviour: Behaviour, *patterns: str, keys: str, unless: str = "") -> Rule:
    """A rule of alternatives; `keys` are separated by bars."""
    guard = re.compile(f"(?:{unless})\\Z") if unless else None
    return Rule(behaviour, re.compile("|".join(patterns)), tuple(keys.split("|")), guard)


@dataclass(frozen=True)
class Opposites:
    """Two conditions with opposite words near each other are one case analysis: "if n is even … if n is odd".

    `pattern` has one group, the word; `pairs` maps it to its opposites; `within` characters lie between the two.
    """

    pattern: re.Pattern[str]
    keys: tuple[str, ...]
    pairs: dict[str, tuple[str, ...]]
    within: int = 240


def lowered(text: str) -> str:
    """Lower case with plain apostrophes and quotes, every character at the place where it was."""
    small = text.lower()
    if len(small) != len(text):  # a few letters grow, such as the dotted capital I
        small = "".join(c if len(c.lower()) != 1 else c.lower() for c in text)
    return small.replace("’", "'").replace("‘", "'")


def spots(small: str, rules: Sequence[Rule], opposites: Opposites | None = None) -> Iterator[Spot]:
    """Where the rules hold; of overlapping matches of one behaviour only the first counts."""
    for rule in rules:
        for low, high in windows(small, rule.keys):
            for match in rule.pattern.finditer(small, low, high):
                start, end = match.span()
                if rule.unless is None or not rule.unless.search(small[max(0, start - BEFORE) : start]):
                    # A pattern may begin with the end of the sentence before.
                    start += len(match.group()) - len(match.group().lstrip(" \n.,;:!?…—–-*#(。，；：！？、"))
                    yield Spot(rule.behaviour, start, end)
    if opposites:
        yield from _cases(small, opposites)


def windows(small: str, keys: Sequence[str]) -> list[tuple[int, int]]:
    """The parts of the text within `AROUND` characters of a key, apart and in order."""
    places: set[int] = set()
    for key in keys:
        place = small.find(key)
        while place >= 0:
            # Where keys stand close together, a window per `AROUND` characters does.
            places.add(place // AROUND)
            place = small.find(key, (place // AROUND + 1) * AROUND)
    found: list[tuple[int, int]] = []
    for block in sorted(places):
        low, high = max(0, (block - 1) * AROUND), (block + 2) * AROUND
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], high
        else:
            found.append((low, high))
    return found


def _cases(small: str, opposites: Opposites) -> Iterator[Spot]:
    before: tuple[str, int, int] | None = None
    matches = (m for low, high in windows(small, opposites.keys) for m in opposites.pattern.finditer(small, low, high))
    for match in matches:
        word, start, end = match.group(1), *match.span()
        if before and word in opposites.pairs.get(before[0], ()) and start - before[2] <= opposites.within:
            yield Spot(Behaviour.CASE_ANALYSIS, before[1], end)
            before = None
        else:
            before = (word, start, end)
