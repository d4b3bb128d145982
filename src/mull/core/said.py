"""What a server's model said: its thought and its reply, wherever the server put the thought.

    reasoning_content (DeepSeek, SGLang) ─┐
    reasoning (OpenRouter, vLLM)         ─┼─► thought ─┬─► <think>\\n thought \\n</think>\\n reply
    <think>…</think> in the content      ─┘    reply ──┘

A closing tag without an opening one ends a thought too: templates that open the thought in the prompt leave it so.
Texts in which a think tag stands where none belongs are kept as they are and are not `clean`: whoever reads the joined
text would cut it elsewhere. Left out on purpose: tool calls, and thoughts that a server keeps to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mull.core.thinking import THINK_CLOSE, THINK_OPEN

FIELDS = ("reasoning_content", "reasoning")
"""Fields of a message that hold the thought, the first that has text wins."""


@dataclass(frozen=True)
class Said:
    """A thought (None: there was none) and a reply, both without tags and outer whitespace.

    Example: `said({"content": "42", "reasoning_content": "6 × 7"}).text == "<think>\\n6 × 7\\n</think>\\n42"`
    """

    thought: str | None
    reply: str
    closed: bool = True
    """Whether the thought came to its end; a reply can only follow one that did."""

    @property
    def text(self) -> str:
        """Both in one text, as conversations hold them."""
        if self.thought is None:
            return self.reply
        return f"{THINK_OPEN}\n{self.thought}" + (f"\n{THINK_CLOSE}\n{self.reply}" if self.closed else "")

    @property
    def clean(self) -> bool:
        """Whether there is a closed thought and a reply, and no tag in either."""
        tags = (THINK_OPEN, THINK_CLOSE)
        if self.thought is None or not self.closed or not self.reply:
            return False
        return not any(tag in part for tag in tags for part in (self.thought, self.reply))


def said(message: Mapping[str, Any]) -> Said:
    """The parts of an assistant's message in the OpenAI format.

    Raises:
        ValueError: the content is neither text, a list of text parts, nor missing.
    """
    content = _text(message.get("content"))
    fields = (message.get(key) for key in FIELDS)
    thought = next((value for value in fields if isinstance(value, str) and value.strip()), None)
    before, tag, after = content.partition(THINK_CLOSE)
    opened = before.lstrip().startswith(THINK_OPEN)
    inner = before.lstrip().removeprefix(THINK_OPEN).strip()
    if thought is not None and opened and tag:  # a prompt that asks for think tags: what stands in them is thought too
        return Said(f"{thought.strip()}\n\n{inner}", after.strip())
    if thought is not None:
        # A server that cuts a thought off sends no content: then nobody can say that it was at its end.
        return Said(thought.strip(), content.strip(), closed=bool(content.strip()))
    if tag:
        return Said(inner, after.strip())
    return Said(inner, "", closed=False) if opened else Said(None, content.strip())


def _text(content: Any) -> str:
    """The text of a message's content: a string, or parts of which those of type text count."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, Mapping) for part in content):
        return "".join(str(part.get("text") or "") for part in content if part.get("type") == "text")
    raise ValueError("a message whose content is no text")
