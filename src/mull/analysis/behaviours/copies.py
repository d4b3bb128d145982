"""Which parts of a thought are copied from its question, and where it says the same over and over.

A copy is a run of at least `LEAST` words (a Chinese character is a word here) that stand in the question one after
another: what a copy says is the question's, not the thought's, and shows no behaviour. The first copy of a part is
reading; a part that is copied again is re-reading.

A loop is a unit said at least three times in a row, word for word; lists of numbers are none. Both are found with one
table of word runs, in time in proportion to the text. Left out on purpose: repetition in other words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mull.analysis.behaviours.table import Behaviour, Spot

LEAST = 6
RUN = 8
TIMES = 3
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+")


@dataclass(frozen=True)
class Words:
    """The words of a text and where they start and end. Example: `words_of("a b").texts == ["a", "b"]`"""

    texts: list[str]
    starts: list[int]
    ends: list[int]


def words_of(small: str) -> Words:
    """The words of a lower-cased text."""
    texts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in _WORD.finditer(small):
        texts.append(match.group())
        starts.append(match.start())
        ends.append(match.end())
    return Words(texts, starts, ends)


def grams(texts: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """The runs of n words, one for each place where one begins."""
    return list(zip(*(texts[k:] for k in range(n)), strict=False))


def copies(words: Words, prompt: Words) -> tuple[list[tuple[int, int]], list[Spot]]:
    """(character ranges copied from the prompt, those of them that copy a part again)."""
    known = set(grams(prompt.texts, LEAST))
    if not known:
        return [], []
    ranges: list[tuple[int, int]] = []
    again: list[Spot] = []
    seen: set[tuple[str, ...]] = set()
    run: list[int] = []
    places = [i for i, gram in enumerate(grams(words.texts, LEAST)) if gram in known]
    for i, following in zip(places, [*places[1:], -1], strict=False):
        run.append(i)
        if following == i + 1:
            continue
        span = words.starts[run[0]], words.ends[i + LEAST - 1]
        parts = {tuple(words.texts[j : j + LEAST]) for j in run}
        if len(parts & seen) * 2 > len(parts):
            again.append(Spot(Behaviour.RE_READING, *span))
        seen |= parts
        ranges.append(span)
        run = []
    return ranges, again


def loops(words: Words) -> tuple[list[Spot], float]:
    """(where a unit is said three times in a row or more, share of the runs of words that were there before)."""
    spots: list[Spot] = []
    last: dict[tuple[str, ...], int] = {}
    period, first, repeated = 0, 0, 0
    every = grams(words.texts, RUN)
    for i, gram in enumerate(every):
        distance = i - last[gram] if gram in last else 0
        repeated += distance > 0
        last[gram] = i
        if distance != period:
            spots += _loop(words, first, i, period)
            period, first = distance, i
    spots += _loop(words, first, len(every), period)
    return spots, repeated / len(every) if every else 0.0


def _loop(words: Words, first: int, end: int, period: int) -> list[Spot]:
    """The loop that runs repeating at one distance from place `first` up to `end` are, if they are one."""
    if not period:
        return []
    begin, stop = first - period, end + RUN - 1
    unit = words.texts[begin : begin + period]
    said = sum(len(word) if word.isalpha() else 0 for word in unit)
    if stop - begin < TIMES * period or said < 2:
        return []
    return [Spot(Behaviour.REPETITION_LOOP, words.starts[begin], words.ends[stop - 1])]
