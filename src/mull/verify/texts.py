"""What verifiers of structured answers share: code fences, the part after "the answer is", characters nobody sees.

`final_answer` gives one line after a phrase; grids and lists of statements go over several, so that here everything
after the phrase is kept. Left out on purpose: any guess at where an answer begins in a text without such a mark.
"""

from __future__ import annotations

import re
import unicodedata

from mull.core.types import Verdict, VerdictKind
from mull.verify.extract import final_answer

_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n", re.MULTILINE)
_MARKS = ("\\boxed", "\\fbox", "<answer>", "</answer>", "####")
_PHRASE = re.compile(
    r"(?:\b(?:answer|solution|output|conclusion)[ \t]+is\b[ \t]*:?|\banswer\**[ \t]*:\**)", re.IGNORECASE
)


def visible(text: str) -> str:
    """`text` without format characters (zero-width spaces, joiners, direction marks), which hide words from a check."""
    if text.isascii():
        return text
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


def unfenced(text: str) -> str:
    """The content of the last closed code fence, or `text` when there is none. Linear in the text's length."""
    opened = _FENCE.search(text)
    content = None
    while opened is not None:
        close = text.find("```", opened.end())
        if close < 0:
            break
        content = text[opened.end() : close]
        opened = _FENCE.search(text, close + 3)
    return (text if content is None else content).strip()


def stated(text: str) -> str:
    """The part of `text` that states the answer, over as many lines as it takes; "" where there is none."""
    if any(mark in text for mark in _MARKS):
        if "####" in text and not any(mark in text for mark in _MARKS[:-1]):
            return text.rpartition("####")[2].strip()
        return final_answer(text) or ""
    phrases = list(_PHRASE.finditer(text))
    return text[phrases[-1].end() :].strip() if phrases else text.strip()


def structured(text: str, limit: int, method: str) -> str | Verdict:
    """The final answer of `text`, without a fence around it; a verdict where there is none, or one over `limit`."""
    final = unfenced(stated(visible(text)))
    if not final:
        return Verdict(VerdictKind.NO_ANSWER, "no final answer in the text", None, method)
    if len(final) > limit:
        reason = f"an answer of {len(final)} characters (limit {limit})"
        return Verdict(VerdictKind.INVALID, reason, None, method)
    return final
