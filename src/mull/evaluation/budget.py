"""A thinking budget as a controller of the engine: after so many thinking tokens the thought is ended by force.

Only tags are forced. A budget of 0 forces an empty thought (opening and closing tag at once); any other forces the
closing tag alone, so that a model that ends its thought earlier, or has none, is left as it is. The answer is always
the model's own. A closing tag that the model itself has begun at the end of its budget is completed, not written a
second time. Budget forcing: s1 (Muennighoff et al. 2025, arXiv 2501.19393 §3.1). Left out on purpose: making a model
think longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mull.core.chat import Chat
from mull.core.thinking import Phase, ThoughtParser
from mull.engine.base import Controller


def budgeted(chat: Chat, budget: int) -> Callable[[int], Controller]:
    """What makes the controller of every sample of a request. Example: `Request(…, controller=budgeted(chat, 64))`"""
    return lambda sample: Budget(chat, budget)


class Budget:
    """Ends one sample's thought after `budget` tokens between the tags.

    `Completion.thinking` may count one more: a closing tag whose token brings the space before it along.

    Example: `Budget(chat, 0).next(())` is the first id of `<think>`
    """

    def __init__(self, chat: Chat, budget: int) -> None:
        self.chat = chat
        self.budget = budget
        self._parser = ThoughtParser(chat.tags, chat.prefilled)
        self._text = ""  # the last characters, among which a tag may have begun
        self._seen = 0
        self._start: int | None = 0 if chat.prefilled else None  # the thought's first token
        self._waiting: list[int] = []
        if budget == 0 and not chat.prefilled:
            self._waiting += [*chat.tag_ids(chat.tags.think_open), *chat.tag_ids(chat.tags.think_close)]

    def next(self, generated: Sequence[int]) -> int | None:
        """The next id of a tag that is due, or None where the model goes on by itself."""
        for place in range(self._seen, len(generated)):
            self._feed(generated, place)
        self._seen = len(generated)
        if not self._waiting and self._is_due(len(generated)):
            self._waiting += self.chat.tag_ids(_rest(self._text, self.chat.tags.think_close))
        return self._waiting.pop(0) if self._waiting else None

    def _feed(self, generated: Sequence[int], place: int) -> None:
        # With the token before it: alone, a word-level token would lose the space that keeps it from its neighbour.
        piece = self.chat.decode_pieces(generated[max(0, place - 1) : place + 1])[-1]
        self._parser.feed(piece)
        self._text = (self._text + piece)[-len(self.chat.tags.think_close) :]
        if self._start is None and self._parser.phase is Phase.THINKING:
            thought = self._parser.parts().thinking
            self._start = thought.start if thought else place + 1

    def _is_due(self, length: int) -> bool:
        thinking = self._parser.phase is Phase.THINKING and self._start is not None
        return thinking and length - (self._start or 0) >= self.budget


def _rest(text: str, tag: str) -> str:
    """What of `tag` is still to be written after `text`.

    >>> _rest("so </thi", "</think>")
    'nk>'
    """
    begun = next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
    return tag[begun:]
