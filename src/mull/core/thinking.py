"""Where the thought ends and the answer begins, in a stream of text pieces that are aligned with tokens.

    BEFORE --<think>--> THINKING --</think>--> BETWEEN --<answer>--> ANSWER --</answer>--> AFTER

One state machine for rewards, engines, server and thinking policies. A tag may be split over tokens or share a
token with other text (byte-pair merges fuse `><` across `</think><answer>`), so tags are found in the text and their
boundaries mapped back to tokens. Without answer tags (plain R1 style) `</think>` leads straight to ANSWER, which
then lasts to the end, and text that opens no thought is an answer from its first character on.

A tag where it is not expected (a second `<think>`, `<answer>` inside the thought) is text of the part it stands in, and
the completion is not well formed. Left out on purpose: any judgement of the contents; an empty thought is well formed.

The template and its tags: DeepSeek-R1 (arXiv 2501.12948), table 1.
"""

from __future__ import annotations

import copy
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from mull.core.types import Span

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
ANSWER_OPEN = "<answer>"
ANSWER_CLOSE = "</answer>"


@dataclass(frozen=True)
class Tags:
    """The strings around the thought and the answer; `answer_open=None` for models that mark only the thought.

    Raises:
        ValueError: a tag is empty, part of another one, or ends as one begins (they could not be told apart).

    Example: `Tags(answer_open=None)`
    """

    think_open: str = THINK_OPEN
    think_close: str = THINK_CLOSE
    answer_open: str | None = ANSWER_OPEN
    answer_close: str | None = ANSWER_CLOSE

    def __post_init__(self) -> None:
        if self.answer_open is None or self.answer_close is None:
            object.__setattr__(self, "answer_open", None)
            object.__setattr__(self, "answer_close", None)
        for tag in self.all:
            if not tag or any(_overlap(tag, other) for other in self.all) or self.all.count(tag) > 1:
                raise ValueError(f"tag {tag!r} is empty or overlaps another tag: choose tags that differ")

    @property
    def all(self) -> tuple[str, ...]:
        """The tags that exist, in the order of a well-formed completion."""
        tags = (self.think_open, self.think_close, self.answer_open, self.answer_close)
        return tuple(tag for tag in tags if tag is not None)


def _overlap(tag: str, other: str) -> bool:
    """Is `tag` inside `other`, or can a text have `other` begin before `tag` has ended?"""
    inside = tag != other and tag in other
    return inside or any(tag.endswith(other[:n]) for n in range(1, min(len(tag), len(other))))


R1_ZERO_TAGS = Tags()
R1_TAGS = Tags(answer_open=None)


class Phase(StrEnum):
    """The part of a completion that the next character belongs to."""

    BEFORE = "before"
    THINKING = "thinking"
    BETWEEN = "between"
    ANSWER = "answer"
    AFTER = "after"


@dataclass(frozen=True)
class Parts:
    """What a completion consists of.

    `thinking` and `answer` are token ranges between the tags; a token that holds a tag's end and text of the part
    counts to the part, and one that holds text of both parts counts to the thought, so that the ranges never overlap.
    A part that was never closed reaches to the last token with text. Texts are exact to the character, without tags.
    `closed` says that the thought was closed, `answer_closed` that the answer was (always, where no tag can close it).
    `well_formed`: exactly one thought, closed, then exactly one closed answer, and nothing but whitespace elsewhere.

    Example: `Parts(Span(1, 4), Span(6, 7), True, True, "17 + 25 = 42", "42", answer_closed=True)`
    """

    thinking: Span | None
    answer: Span | None
    closed: bool
    well_formed: bool
    thinking_text: str | None = None
    answer_text: str | None = None
    answer_closed: bool = False


class ThoughtParser:
    """Feeds on text pieces, one a token, and knows at every moment in which phase the stream is.

    `prefilled` starts inside the thought, for templates whose generation prompt already opened it.

    Example: `parser = ThoughtParser(); parser.feed("<think>"); parser.phase is Phase.THINKING`
    """

    def __init__(self, tags: Tags = R1_ZERO_TAGS, prefilled: bool = False) -> None:
        self.tags = tags
        self.phase = Phase.THINKING if prefilled else Phase.BEFORE
        self._pattern, self._partial = _patterns(tags)
        self._pieces: list[str] = []
        self._ends: list[int] = []  # _ends[i]: characters up to and including token i
        self._tail = ""  # the last characters, while they may still become a tag
        self._clean = True
        self._thought: list[int] = [0] if prefilled else []  # characters: [start] while open, then [start, end]
        self._answer: list[int] = []

    def feed(self, piece: str) -> None:
        """Take the text of the next token ("" for an end-of-sequence token or an incomplete character)."""
        self.extend((piece,))

    def extend(self, pieces: Sequence[str]) -> None:
        """Take many tokens at once; the same as feeding them one by one, only faster."""
        length = self._ends[-1] if self._ends else 0
        joined = "".join(pieces)
        self._pieces.append(joined)
        self._ends.extend(list(accumulate(map(len, pieces), initial=length))[1:])
        text, offset = self._tail + joined, length - len(self._tail)
        position = 0
        for match in self._pattern.finditer(text):
            self._outside(text[position : match.start()])
            self._tag(match.group(), offset + match.start(), offset + match.end())
            position = match.end()
        partial = self._partial.search(text, max(position, len(text) - max(map(len, self.tags.all))))
        cut = partial.start() if partial else len(text)
        self._outside(text[position:cut])
        self._tail = text[cut:]

    def parts(self) -> Parts:
        """The parts of what was fed so far, as if the stream ended here. May be asked at any time."""
        final = copy.copy(self)  # what waits to become a tag is text now, but only for this answer
        final._outside(self._tail)
        return final._parts()

    def _outside(self, text: str) -> None:
        """Text that is no tag. It matters only outside the two parts, where nothing but whitespace should be."""
        if not text or self.phase in (Phase.THINKING, Phase.ANSWER) or text.isspace():
            return
        self._clean = False
        if self.phase is Phase.BEFORE and self.tags.answer_open is None:
            self.phase, self._answer = Phase.ANSWER, [0]

    def _tag(self, tag: str, start: int, end: int) -> None:
        """Move on if `tag`, at characters [start, end), is expected in this phase; else it is text."""
        tags, phase = self.tags, self.phase
        if tag == tags.think_open and phase is Phase.BEFORE:
            self.phase, self._thought = Phase.THINKING, [end]
        elif tag == tags.think_close and phase is Phase.THINKING:
            self._thought = [self._thought[0], start]
            self.phase = Phase.BETWEEN
            if tags.answer_open is None:
                self.phase, self._answer = Phase.ANSWER, [end]
        elif tag == tags.answer_open and phase in (Phase.BEFORE, Phase.BETWEEN):
            self._clean = self._clean and phase is Phase.BETWEEN
            self.phase, self._answer = Phase.ANSWER, [end]
        elif tag == tags.answer_close and phase is Phase.ANSWER:
            self.phase, self._answer = Phase.AFTER, [self._answer[0], start]
        else:
            self._outside(tag)
            self._clean = False

    def _parts(self) -> Parts:
        text = "".join(self._pieces)
        thinking, answer = self._span(self._thought), self._span(self._answer)
        if thinking is not None and answer is not None and answer.start < thinking.end:
            answer = Span(thinking.end, max(thinking.end, answer.end))
        closed = len(self._thought) == 2
        answered = bool(self._answer) and (len(self._answer) == 2 or self.tags.answer_open is None)
        return Parts(
            thinking,
            answer,
            closed,
            self._clean and closed and answered,
            text[slice(*self._whole(self._thought))] if self._thought else None,
            text[slice(*self._whole(self._answer))] if self._answer else None,
            answered,
        )

    def _whole(self, bounds: list[int]) -> tuple[int, int]:
        return bounds[0], bounds[1] if len(bounds) == 2 else self._ends[-1] if self._ends else 0

    def _span(self, bounds: list[int]) -> Span | None:
        """The token range of a part that lies at these characters.

        Tokens without text (a character's first bytes) just inside the opening tag belong to the part; those at the
        open end of a part (end-of-sequence) do not.
        """
        if not bounds:
            return None
        ends, start, end = self._ends, 0, 0
        if bounds[0]:
            start = bisect_left(ends, bounds[0])  # the token in which the opening tag ends
            start += ends[start] == bounds[0]
        if len(bounds) == 2:
            end = bisect_right(ends, bounds[1])  # the token in which the closing tag begins
            end += (ends[end - 1] if end else 0) < bounds[1]
        elif ends:
            end = bisect_left(ends, ends[-1]) + 1 if ends[-1] else 0
        return Span(start, max(start, end))


_CACHE: dict[Tags, tuple[re.Pattern[str], re.Pattern[str]]] = {}


def _patterns(tags: Tags) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns of a whole tag, and of the beginning of a tag at the end of a text."""
    if tags not in _CACHE:
        beginnings = sorted({tag[:n] for tag in tags.all for n in range(1, len(tag))}, key=len, reverse=True)
        partial = "|".join(map(re.escape, beginnings)) or r"(?!)"
        whole = "|".join(map(re.escape, tags.all))
        _CACHE[tags] = re.compile(whole), re.compile(rf"(?:{partial})\Z")
    return _CACHE[tags]


def split_completion(pieces: Iterable[str], tags: Tags = R1_ZERO_TAGS, prefilled: bool = False) -> Parts:
    """The parts of a whole completion, given the text of each of its tokens.

    >>> split_completion(["<think>", " 7", "</think>", "<answer>", " 7", "</answer>", ""]).answer
    Span(start=4, end=5)
    """
    parser = ThoughtParser(tags, prefilled)
    parser.extend(tuple(pieces))
    return parser.parts()
