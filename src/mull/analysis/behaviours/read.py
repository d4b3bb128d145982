"""The behaviours of one thought: by grammar in the embedded world, by phrases elsewhere.

English and Chinese have full lists and are both read wherever their letters occur; French and German have a few
phrases each, read where the problem is in them. A thought in any other language has only what needs no words: loops.
Left out on purpose: anything that a model would have to judge.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from mull.analysis.behaviours import chinese, english, others
from mull.analysis.behaviours.copies import copies, loops, words_of
from mull.analysis.behaviours.embedded import TASKS, read_embedded
from mull.analysis.behaviours.languages import switches
from mull.analysis.behaviours.rules import lowered, spots
from mull.analysis.behaviours.table import Behaviour, Behaviours, Spot, counted

_HAN = re.compile("[\u3400-\u9fff]")
_LATIN = re.compile("[A-Za-z]{2}")
_OTHERS = {"fr": others.FRENCH, "de": others.GERMAN}
READ = ("", "en", "zh", *_OTHERS)
"""Languages whose phrases are known; "" is a problem whose language nobody told."""


def behaviours(task: str, prompt: str, thought: str, language: str = "") -> Behaviours:
    """What a thought does, how often and where.

    Args:
        task: the problem's task name; the embedded world's tasks are read by their grammar.
        prompt: the user's text; what the thought copies from it shows nothing, and copied again is re-reading.
        thought: what stands between the think tags; `spots` count its characters.
        language: the problem's language (ISO 639-1), "" where it is not known.
    """
    if task in TASKS:
        return read_embedded(task, prompt, thought, language)
    small = lowered(thought)
    words = words_of(small)
    looped, repeated = loops(words)
    if language not in READ:
        return counted(looped, (Behaviour.REPETITION_LOOP,), repeated)
    copied, again = copies(words, words_of(lowered(prompt)))
    found: list[Spot] = []
    if language in _OTHERS:
        found += spots(small, _OTHERS[language])
    elif _LATIN.search(thought):
        found += spots(small, english.RULES, english.OPPOSITES)
    if _HAN.search(thought):
        found += spots(small, chinese.RULES, chinese.OPPOSITES)
    own = [*_outside(found, copied), *again, *switches(small, language), *looped]
    return counted(own, Behaviour, repeated)


def _outside(found: Iterable[Spot], copied: list[tuple[int, int]]) -> list[Spot]:
    """The spots that do not begin inside a copy; `copied` is in order."""
    starts = [start for start, _ in copied]

    def inside(place: int) -> bool:
        index = bisect_right(starts, place) - 1
        return index >= 0 and place < copied[index][1]

    return [spot for spot in found if not inside(spot.start)]
