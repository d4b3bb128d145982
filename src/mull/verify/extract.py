"""The final answer inside an answer text, by the conventions that models are taught.

In this order: the last `\\boxed{…}` (or `\\fbox`), the last `<answer>…</answer>`, what follows the last `####`, what
follows the last "The answer is" or "Answer:", else the whole text. The last of several wins; an opened and never
closed box or tag is no answer, also when an earlier one was closed. Left out on purpose: "the last number in the
text", which rewards writing many numbers.
"""

from __future__ import annotations

import re

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:(\{)|([^\s{}$\\]+))?")
_OPEN, _CLOSE = "<answer>", "</answer>"
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_PHRASE = re.compile(r"(?:\banswer[ \t]+is\b[ \t]*:?|\banswer\**[ \t]*:\**)[ \t]*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\n|(?<=[^\s.])\.(?=\s|$)|\. ")


def final_answer(text: str) -> str | None:
    """The part of `text` that is the answer, stripped; None where there is none. Linear in the text's length."""
    if "\\boxed" in text or "\\fbox" in text:
        return _last_box(text) or None
    if _OPEN in text or _CLOSE in text:
        return _last_tagged(text) or None
    if "####" in text:
        found = _HASHES.findall(text)
        return found[-1].strip() or None
    phrases = list(_PHRASE.finditer(text))
    if phrases:
        return _SENTENCE_END.split(text[phrases[-1].end() :], maxsplit=1)[0].strip() or None
    return text.strip() or None


def last_box(text: str) -> str | None:
    """The content of the last box, or None when there is no box or the last one is empty or not closed."""
    return _last_box(text) or None


def _last_box(text: str) -> str:
    """Of nested boxes (`\\boxed{\\boxed{42}}`) the inner one, which starts last."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return ""
    last = boxes[-1]
    if last[1] is None:
        return (last[2] or "").rstrip(".,;").strip()
    depth, start = 1, last.end()
    for index in range(start, len(text)):
        char = text[index]
        if char == "{" and text[index - 1] != "\\":
            depth += 1
        elif char == "}" and text[index - 1] != "\\":
            depth -= 1
            if depth == 0:
                return text[start:index].strip()
    return ""


def _last_tagged(text: str) -> str:
    close, start = text.rfind(_CLOSE), text.rfind(_OPEN)
    if start > close:
        return ""
    start = text.rfind(_OPEN, 0, close)
    return text[start + len(_OPEN) : close].strip() if start >= 0 else ""
