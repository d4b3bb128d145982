"""A conversation as token ids, with marks on what a model shall learn to say.

    system, user, ASSISTANT, user, ASSISTANT    upper case: marked, its end-of-turn token included

What is learned is what will be asked: the ids before a reply are exactly the prompt that `Chat.encode` would make of
the turns before it. A template that drops earlier thoughts makes another prompt for every reply; such a conversation
becomes one sequence a reply, each with its whole thought, else it is one sequence. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.core.types import Message


@dataclass(frozen=True)
class Turn:
    """A message, and whether its words are to be learned. Example: `Turn(Message("assistant", "4"), train=True)`"""

    message: Message
    train: bool = False


@dataclass(frozen=True)
class Marked:
    """Token ids, and which of them are to be learned. Example: `Marked((1, 5, 9, 2), (False, False, True, True))`"""

    token_ids: tuple[int, ...]
    marks: tuple[bool, ...]


def mark(chat: Chat, turns: Sequence[Turn]) -> list[Marked]:
    """The sequences of a conversation; turns after the last one that is to be learned are left out.

    Raises:
        UserError: nothing to learn, a marked turn that is not the assistant's, or a reply that answers nobody.
    """
    if not any(turn.train for turn in turns):
        raise UserError("no turn to learn from: a conversation needs an assistant's message")
    found: list[Marked] = []
    ids: tuple[int, ...] = ()
    marks: tuple[bool, ...] = ()
    for place, turn in enumerate(turns):
        if turn.message.role != "assistant":
            if turn.train:
                raise UserError(f"message {place + 1} is the {turn.message.role}'s: only an assistant's can be learned")
            continue
        prompt = chat.encode([before.message for before in turns[:place]])
        if prompt[: len(ids)] != ids:
            found.append(Marked(ids, marks))
            ids, marks = (), ()
        reply = chat.encode_reply(turn.message.content)
        marks += (False,) * (len(prompt) - len(ids)) + (turn.train,) * len(reply)
        ids = prompt + reply
    found.append(Marked(ids, marks))
    return [_without_tail(marked) for marked in found if any(marked.marks)]


def _without_tail(marked: Marked) -> Marked:
    """Without what comes after the last marked token: nothing is learned from it."""
    end = max(i for i, on in enumerate(marked.marks) if on) + 1
    return Marked(marked.token_ids[:end], marked.marks[:end])
