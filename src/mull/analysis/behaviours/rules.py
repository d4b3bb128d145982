"""Phrases that show a behaviour, and what stands before or after them that takes it back.

A rule is a pattern, read at every place of the lower-cased text, and guards on the few characters around a match: a
negation before ("no need to check"), a story's word after ("check in at the hotel"). Every pattern is bounded: at most
one gap, of at most `GAP` characters, and no repetition inside another, so that reading takes time in proportion to the
text whatever it holds. Left out on purpose: grammar; a phrase is believed where its guards let it pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mull.analysis.behaviours.table import Behaviour, Spot

AROUND = 48
"""Characters before a match that a guard sees."""


@dataclass(frozen=True)
class Rule:
    """`pattern` shows `behaviour`, unless `unless` matches what stands right before it (its end is the match's start).

    Example: `rule(Behaviour.REFLECTION, r"\\bhmm\\b")`
    """

    behaviour: Behaviour
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None


def rule(behaviour: Behaviour, *patterns: str, unless: str = "") -> Rule:
    """A rule of alternatives; group names and captures are not used."""
    return Rule(behaviour, re.compile("|".join(patterns)), re.compile(f"(?:{unless})\\Z") if unless else None)


@dataclass(frozen=True)
class Opposites:
    """Two conditions with opposite words near each other are one case analysis: "if n is even … if n is odd".

    `pattern` has one group, the word; `pairs` maps it to its opposites; `within` characters lie between the two.
    """

    pattern: re.Pattern[str]
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
    last: dict[Behaviour, int] = {}
    for rule in rules:
        for match in rule.pattern.finditer(small):
            start, end = match.span()
            if rule.unless and rule.unless.search(small[max(0, start - AROUND) : start]):
                continue
            # A pattern may begin with the end of the sentence before.
            start += len(match.group()) - len(match.group().lstrip(" \n.,;:!?…—–-*#(。，；：！？、"))
            if start >= last.get(rule.behaviour, 0):
                last[rule.behaviour] = end
                yield Spot(rule.behaviour, start, end)
    if opposites:
        yield from _cases(small, opposites)


def _cases(small: str, opposites: Opposites) -> Iterator[Spot]:
    before: tuple[str, int, int] | None = None
    for match in opposites.pattern.finditer(small):
        word, start, end = match.group(1), *match.span()
        if before and word in opposites.pairs.get(before[0], ()) and start - before[2] <= opposites.within:
            yield Spot(Behaviour.CASE_ANALYSIS, before[1], end)
            before = None
        else:
            before = (word, start, end)
