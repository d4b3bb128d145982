"""Conversations to learn from, out of files: the shapes that the field uses.

{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}        as OpenAI writes them
{"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}             ShareGPT
{"prompt": "…", "completion": "…"}      both texts, or both lists of messages; "response" is read as "completion"
{"instruction": "…", "input": "…", "output": "…"}                                                Alpaca

Every assistant's turn is learned, unless its message says `"train": false`. A thought given apart (`reasoning_content`,
`reasoning` or `thinking` of a message) is put before the content, between tags. Left out on purpose: tool calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from mull.core.config import Config
from mull.core.conversation import Turn
from mull.core.errors import UserError
from mull.core.thinking import THINK_CLOSE, THINK_OPEN
from mull.core.types import Message
from mull.tasks.tables import Row, check_row, read_table

Conversation = list[Turn]
ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system",
    "developer": "system",
}  # fmt: skip
THOUGHTS = ("reasoning_content", "reasoning", "thinking")


class TraceSpec(Config):
    """Where conversations come from, and how much of them. A string is read as `source`."""

    source: str = Field(min_length=1, description="a stage that samples, or a file (.jsonl .json .parquet)")
    weight: float = Field(
        default=1.0, gt=0, le=100, description="how often an epoch goes over them; 0.5: over half of them"
    )
    limit: int | None = Field(default=None, ge=1, description="at most so many, picked by a fixed hash")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value


def read_conversations(path: Path, limit: int | None = None) -> list[Conversation]:
    """The conversations of a file, each with something to learn.

    Raises:
        UserError: no such file, no rows, or a row of none of the shapes; names the row.
    """
    rows = read_table(path)
    if not rows:
        raise UserError(f"{path}: no rows; the file is empty")
    found = [conversation_of(row, f"{path}: row {number}") for number, row in enumerate(rows, 1)]
    return _picked(found, limit) if limit is not None and limit < len(found) else found


def _picked(every: list[Conversation], limit: int) -> list[Conversation]:
    ranks = {i: hashlib.sha256(repr(turns).encode()).hexdigest() for i, turns in enumerate(every)}
    kept = set(sorted(ranks, key=lambda i: (ranks[i], i))[:limit])
    return [turns for i, turns in enumerate(every) if i in kept]


def conversation_of(row: Row, where: str) -> Conversation:
    """One row as turns.

    Raises:
        UserError: it has none of the shapes, an unknown role, no text, or nothing to learn; `where` names it.
    """
    check_row(row, where)
    turns = [_turn(message, where) for message in _messages(row, where)]
    if not any(turn.train for turn in turns):
        raise UserError(f"{where}: no assistant's turn to learn from")
    first = next(i for i, turn in enumerate(turns) if turn.message.role == "assistant")
    if not first or turns[first - 1].message.role != "user":
        raise UserError(f"{where}: the assistant speaks before a user has")
    return turns


def _messages(row: Row, where: str) -> Sequence[Any]:
    for key in ("messages", "conversations"):
        if key in row:
            return _list(row[key], f"{where}, field {key!r}")
    reply = next((key for key in ("completion", "response") if key in row), None)
    if "prompt" in row and reply:
        return [*_side(row["prompt"], "user"), *_side(row[reply], "assistant")]
    if "instruction" in row and "output" in row:
        given = str(row.get("input") or "")
        text = f"{row['instruction']}\n\n{given}" if given else row["instruction"]
        system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
        return [*system, {"role": "user", "content": text}, {"role": "assistant", "content": row["output"]}]
    raise UserError(
        f"{where}: no conversation; it needs 'messages', 'conversations', 'prompt' and 'completion', or 'instruction' "
        f"and 'output'; it has {', '.join(map(repr, row)) or 'nothing'}"
    )


def _side(value: Any, role: str) -> Sequence[Any]:
    return value if isinstance(value, list) else [{"role": role, "content": value}]


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: a list of messages is needed")
    return value


def _turn(message: Any, where: str) -> Turn:
    found = message_of(message, where)
    train = message.get("train", True)
    if not isinstance(train, bool):
        raise UserError(f"{where}: 'train' must be true or false, not {train!r}")
    return Turn(found, train and found.role == "assistant")


def message_of(message: Any, where: str) -> Message:
    """One message in any of the field's words, its thought between tags.

    Raises:
        UserError: no object, an unknown role, or no text; `where` names the row.
    """
    if not isinstance(message, Mapping):
        raise UserError(f"{where}: a message is an object with 'role' and 'content', not {type(message).__name__}")
    said = message.get("role", message.get("from"))
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise UserError(f"{where}: unknown role {said!r}; known: {', '.join(ROLES)}")
    content = message.get("content", message.get("value"))
    if not isinstance(content, str) or not content.strip():
        raise UserError(f"{where}: the {role}'s message has no text")
    thought = next((message[key] for key in THOUGHTS if isinstance(message.get(key), str)), "")
    if thought and role == "assistant":
        content = f"{THINK_OPEN}\n{thought.strip()}\n{THINK_CLOSE}\n{content}"
    return Message(role, content)
