"""What people preferred, out of files: pairs of replies, and single replies with a label.

{"prompt": "…", "chosen": "…", "rejected": "…"}        texts, messages or lists of messages
{"conversations": [...], "chosen": {...}, "rejected": {...}}     ShareGPT's words
{"chosen": [messages], "rejected": [messages]}          both whole conversations with the same beginning
{"chosen": "\\n\\nHuman: …\\n\\nAssistant: …", "rejected": "…"}     the same as transcripts (hh-rlhf)
{"prompt": "…", "response": "…", "label": 1}            one reply; a truth value, or a probability of being good

Pairs whose two replies are the same say nothing and are refused. Left out on purpose: ratings on other scales.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Message
from mull.tasks.conversations import message_of
from mull.tasks.tables import Row, check_row, read_table

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")


@dataclass(frozen=True)
class Pair:
    """A prompt and two replies, the better one first. Example: `Pair((Message("user", "Hi"),), "Hello!", "What?")`"""

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Labelled:
    """A prompt, a reply, and how likely it is a good one.

    Example: `Labelled((Message("user", "Hi"),), "Hello!", 1.0)`
    """

    prompt: tuple[Message, ...]
    reply: str
    label: float


Preference = Pair | Labelled


def read_preferences(path: Path, skip: bool = False) -> list[Preference]:
    """The preferences of a file; with `skip` rows that are none are left out.

    Raises:
        UserError: no such file, no usable row, or (without `skip`) a row of none of the shapes; names the row.
    """
    found: list[Preference] = []
    first = None
    for number, row in enumerate(read_table(path), 1):
        try:
            found.append(preference_of(row, f"{path}: row {number}"))
        except UserError as error:
            if not skip:
                raise
            first = first or error
    if not found:
        raise first or UserError(f"{path}: no rows; the file is empty")
    return found


def preference_of(row: Row, where: str) -> Preference:
    """One row as a pair or a labelled reply.

    Raises:
        UserError: it is none; `where` names it.
    """
    check_row(row, where)
    if "chosen" in row and "rejected" in row:
        chosen, rejected = (_whole(row, key, where) for key in ("chosen", "rejected"))
        if chosen[:-1] != rejected[:-1]:
            raise UserError(f"{where}: chosen and rejected answer different prompts")
        if chosen[-1].content == rejected[-1].content:
            raise UserError(f"{where}: chosen and rejected are the same text; remove the row")
        return Pair(chosen[:-1], chosen[-1].content, rejected[-1].content)
    reply = next((key for key in ("response", "completion") if key in row), None)
    if reply and "label" in row:
        messages = _whole(row, reply, where)
        return Labelled(messages[:-1], messages[-1].content, _label(row["label"], where))
    raise UserError(
        f"{where}: no preference; it needs 'chosen' and 'rejected', or 'prompt', 'response' and 'label'; it has "
        f"{', '.join(map(repr, row)) or 'nothing'}"
    )


def _label(value: Any, where: str) -> float:
    if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
        raise UserError(f"{where}: a label is true, false or a probability, not {value!r}")
    return float(value)


def _whole(row: Row, key: str, where: str) -> tuple[Message, ...]:
    """The prompt and the reply under `key`, which ends it."""
    prompt = next((row[name] for name in ("prompt", "messages", "conversations") if name in row), [])
    value = row[key]
    if isinstance(value, str) and not prompt:
        messages = _transcript(value, f"{where}, field {key!r}")
    else:
        messages = [*_messages(prompt, "user", where), *_messages(value, "assistant", where)]
    if len(messages) < 2 or messages[-1].role != "assistant" or messages[-2].role != "user":
        raise UserError(f"{where}: field {key!r} must end in an assistant's reply to a user")
    return tuple(messages)


def _messages(value: Any, role: str, where: str) -> list[Message]:
    if isinstance(value, str):
        value = [{"role": role, "content": value}]
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        raise UserError(f"{where}: a text or messages are needed, not {type(value).__name__}")
    return [message_of(message, where) for message in value]


def _transcript(text: str, where: str) -> list[Message]:
    parts = _SPEAKER.split(text)
    if len(parts) < 5 or parts[0].strip():
        raise UserError(f"{where}: no prompt beside it, and no transcript with 'Human:' and 'Assistant:'")
    roles = {"Human": "user", "Assistant": "assistant"}
    turns = [Message(roles[who], said.strip()) for who, said in zip(parts[1::2], parts[2::2], strict=True)]
    if any(not turn.content for turn in turns):
        raise UserError(f"{where}: a turn without text")
    return turns
