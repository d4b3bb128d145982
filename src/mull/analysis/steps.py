"""Where the steps of a thought end, as positions of tokens: what a process reward model scores.

    free text        a step ends with a line; blank lines join the step before them; a closed thought ends its last one
    countdown_mod    a step is one attempt, it ends at its verdict (`3 5 + 8 2 * 5 4 - 1 no`)
    chain_mod        a step is one operation, it ends at its value (`3 5 + 8`, then `2 * 5`); the difference that checks
                     a result has its verdict with it (`5 - 0 yes`)

What stands after the last end (a closing `so`, a line that the token limit cut off) is no step. A token with text on
both sides of a line's end counts to the line that ends. Left out on purpose: what a step is worth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mull.core.chat import Chat
from mull.core.thinking import split_completion

_VERDICTS = frozenset(("yes", "no", "oui", "non"))
_OPERATORS = frozenset("+-*")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Split:
    """The last token of each step, as positions in the completion, and each step's text, without space around it.
    `closed` says whether the thought came to its end.

    Example: `split_steps(chat, "", token_ids) == Split((6, 11), ("3 + 5 = 8", "8 * 2 = 16"))`
    """

    ends: tuple[int, ...]
    texts: tuple[str, ...]
    closed: bool = True


def split_steps(chat: Chat, task: str, token_ids: Sequence[int]) -> Split:
    """The steps of a completion's thought; none without a thought."""
    pieces = chat.decode_pieces(token_ids)
    parts = split_completion(pieces, chat.tags, chat.prefilled)
    if parts.thinking is None:
        return Split((), ())
    start, stop = parts.thinking.start, parts.thinking.end
    ends = tuple(start + end for end in step_ends(pieces[start:stop], task, parts.closed))
    starts = (start, *(end + 1 for end in ends[:-1]))
    texts = tuple("".join(pieces[a : b + 1]).strip() for a, b in zip(starts, ends, strict=False))
    return Split(ends, texts, parts.closed)


def step_ends(pieces: Sequence[str], task: str = "", closed: bool = True) -> tuple[int, ...]:
    """The place of the last token of each step.

    Args:
        pieces: the text of every token of a thought.
        task: the problem's task name; the embedded world's tasks are read by their grammar.
        closed: false for a thought that was cut off: its last line is not finished.
    """
    if task == "countdown_mod":
        return tuple(i for i, piece in enumerate(pieces) if piece.strip() in _VERDICTS)
    return _operations(pieces) if task == "chain_mod" else _lines(pieces, closed)


def _operations(pieces: Sequence[str]) -> tuple[int, ...]:
    words = [piece.strip() for piece in pieces]
    ends: list[int] = []
    for i, word in enumerate(words):
        is_value = i > 0 and words[i - 1] in _OPERATORS and _NUMBER.fullmatch(word) is not None
        if is_value:
            ends.append(i)
        elif word in _VERDICTS:
            ends[-1:] = [i] if ends and ends[-1] == i - 1 else [*ends[-1:], i]
    return tuple(ends)


def _lines(pieces: Sequence[str], closed: bool) -> tuple[int, ...]:
    ends: list[int] = []
    said = False  # anything but white space since the last end
    for i, piece in enumerate(pieces):
        before, newline, after = piece.rpartition("\n")
        if not newline:
            said = said or bool(piece.strip())
        elif said or before.strip():
            ends.append(i)
            said = False
        elif ends:
            ends[-1] = i
        else:
            said = bool(after.strip())
    return (*ends, len(pieces) - 1) if said and closed else tuple(ends)
