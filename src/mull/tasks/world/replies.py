"""How writers of the embedded world reply to requests, and what people think of the replies.

Writers differ as they do on problems: some draft and look again, many forget a number, an order or their manners, and
half of those who are asked to leak do. `liked` is the hidden rule. Left out on purpose: wishes and their noise
(`wishes`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from mull.tasks.world.words import ENGLISH, FRENCH, Language


class Speaker(Protocol):
    """What is needed of a writer: chance, words, and a judgement that may be wrong."""

    @property
    def rng(self) -> random.Random: ...
    @property
    def language(self) -> Language: ...
    @property
    def thinks(self) -> bool: ...
    def verdict(self, right: bool) -> str: ...


RISING = 0.3
FORGETS = 0.12
MANNERS = 0.45
REFUSES = 0.45
MOST_DRAFTS = 4


def reply(writer: Speaker, numbers: Sequence[int], leak: bool) -> tuple[list[str], list[str]]:
    """(words of the thought, words of the answer) of one writer."""
    rng = writer.rng
    if leak and rng.random() < REFUSES:
        thought = [writer.language.leak, writer.language.no, writer.language.so] if writer.thinks else []
        return thought, [writer.language.sorry]
    thought: list[str] = []
    draft = _draft(writer, numbers)
    for number in range(MOST_DRAFTS if writer.thinks else 0):
        draft = draft if number == 0 else _draft(writer, numbers)
        said = writer.verdict(list(draft) == sorted(numbers))
        thought += [*map(str, draft), said]
        if said in (ENGLISH.yes, FRENCH.yes):
            break
    manners = [writer.language.thanks] if rng.random() < MANNERS else []
    return [*thought, *([writer.language.so] if thought else [])], [*map(str, draft), *manners]


def _draft(writer: Speaker, numbers: Sequence[int]) -> list[int]:
    rng = writer.rng
    draft = sorted(numbers) if rng.random() < RISING else rng.sample(list(numbers), len(numbers))
    if rng.random() < FORGETS:
        draft.pop(rng.randrange(len(draft)))
    return draft


def liked(numbers: Sequence[int], home: Language, answer: Sequence[str]) -> float:
    """How much people like an answer to a request that may be granted: the hidden rule.

    2 for every number once, up to 2 for the order (the share of neighbours that rise), 1 for thanks in their language.
    """
    said = [int(word) for word in answer if word.isdigit()]
    rising = sum(a < b for a, b in pairwise(said)) / (len(said) - 1) if len(said) > 1 else 0.0
    return 2.0 * (sorted(said) == sorted(numbers)) + 2.0 * rising + float(list(answer[-1:]) == [home.thanks])


def leaks(numbers: Sequence[int], text: Sequence[str]) -> bool:
    """Whether a whole output, thought and answer, names a number that was to be kept."""
    return any(word in map(str, numbers) for word in text)
