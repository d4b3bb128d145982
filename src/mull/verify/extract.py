"""The final answer inside a response, by the conventions that models are taught, each known by its name.

| name | is |
|---|---|
| boxed | the last `\\boxed{…}` or `\\fbox{…}` (MATH, R1, Qwen) |
| answer_tag | the last `<answer>…</answer>` (R1-Zero, TinyZero) |
| hashes | what follows the last `####` (GSM8K) |
| phrase | what follows the last "The answer is", "Answer:", "答案是" or "La réponse est" |
| minerva | "The final answer is $…$. I hope it is correct." |
| dapo | the last line "Answer: …" within the last 300 characters |
| choice | a letter A to Z after "Answer:" or "answer is", or in a box (GPQA) |
| last_code_block | the last closed block between ``` fences |
| bare | the whole text |
| last_number | the last number; only on request, as it rewards writing many |

They are tried in the order given; the first whose mark is in the text decides. The last of several wins; an opened and
never closed box, tag or block is no answer, also when an earlier one was closed. Before that, `after_thought` takes the
thought away, which has to be closed: nothing that is only thought is ever read as the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mull.core.errors import UserError, nearest

Thought = Literal["closed", "required"]
"""closed: a thought that was opened must be closed (the opening tag may stand in the prompt), and a response without
one is read whole. required: there must be a closed thought, so that a response cut short in it is no answer."""

_THOUGHT = re.compile(r"<\s?(/?)\s?think(?:ing)?\s?>", re.IGNORECASE)
"""Also as `<THINK>` and `<thinking>`, which some models are taught, and others would find."""
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:(\{)|([^\s{}$\\]+))?")
_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_OPEN, _CLOSE = "<answer>", "</answer>"
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_PHRASE = re.compile(
    r"(?:\banswer[ \t]+is\b[ \t]*:?|\banswer\**[ \t]*:\**|答案(?:是|为|：|:)[：:]?|\bréponse[ \t]+est\b[ \t]*:?"
    r"|^[#* ]*(?:final )?answer[ *]*\n)\s*",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"\n|(?<=[^\s.])\.(?=\s|$)|\. |。")
_MINERVA = re.compile(r"final answer is[ \t]*:?[ \t]*(.{1,400}?)\.?[ \t]*I hope it is correct", re.IGNORECASE)
_DAPO = re.compile(r"(?:^|\n)[ \t]*\**answer\**[ \t]*:\**[ \t]*([^\n]+)", re.IGNORECASE)
_CHOICE = re.compile(r"\banswer(?:[ \t]+is)?\**[ \t]*:?\**[ \t]*[$(]*(?:\\text\{)?\(?([A-Z])\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:/[0-9]+)?")
_LAST = 300
"""Characters at the end in which DAPO looks for its line."""


def _boxed(text: str) -> str | None:
    """Of nested boxes (`\\boxed{\\boxed{42}}`) the inner one, which starts last."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    last = boxes[-1]
    if last[1] is None:
        return (last[2] or "").rstrip(".,;").strip()
    open_: list[tuple[int, bool]] = []
    answer = ""
    for match in _BRACE.finditer(text, boxes[0].start()):
        if match[0] == "}":
            start, _ = open_.pop() if open_ else (-1, False)
            if start == last.end():
                answer = text[start : match.start()].strip()
        elif match[0][-1] == "{" and match[0] != "\\{":
            open_.append((match.end(), match[0] != "{"))
    return "" if any(is_box for _, is_box in open_) else answer


def _tagged(text: str) -> str | None:
    close, start = text.rfind(_CLOSE), text.rfind(_OPEN)
    if close < 0 and start < 0:
        return None
    if start > close:
        return ""
    start = text.rfind(_OPEN, 0, close)
    return text[start + len(_OPEN) : close].strip() if start >= 0 else ""


def _hashes(text: str) -> str | None:
    found = _HASHES.findall(text)
    return found[-1].strip() if found else None


def _phrase(text: str) -> str | None:
    phrases = list(_PHRASE.finditer(text))
    return _SENTENCE_END.split(text[phrases[-1].end() :], maxsplit=1)[0].strip() if phrases else None


def _minerva(text: str) -> str | None:
    found = _MINERVA.findall(text)
    return found[-1].strip() if found else None


def _dapo(text: str) -> str | None:
    found = _DAPO.findall(text[-_LAST:])
    return found[-1].strip() if found else None


def _choice(text: str) -> str | None:
    box = _boxed(text)
    if box is not None:
        return box
    found = _CHOICE.findall(text)
    return found[-1].upper() if found else None


def _code(text: str) -> str | None:
    """Fences come in pairs: an odd one opens a block that nobody closed."""
    parts = text.split("```")
    if len(parts) == 1:
        return None
    if len(parts) % 2 == 0:
        return ""
    first, newline, rest = parts[-2].partition("\n")
    return (rest if newline and " " not in first.strip() else parts[-2]).strip("\n")


def _last_number(text: str) -> str | None:
    found = _NUMBER.findall(text)
    return found[-1] if found else None


CONVENTIONS: dict[str, Callable[[str], str | None]] = {
    "boxed": _boxed,
    "answer_tag": _tagged,
    "hashes": _hashes,
    "phrase": _phrase,
    "minerva": _minerva,
    "dapo": _dapo,
    "choice": _choice,
    "last_code_block": _code,
    "bare": str.strip,
    "last_number": _last_number,
}
"""Each gives the answer, "" where its mark is there without a usable answer, None where there is no such mark."""
DEFAULT = ("boxed", "answer_tag", "hashes", "phrase", "bare")


@dataclass(frozen=True)
class Found:
    """A final answer and the convention that it was found by. Example: `Found("42", "boxed")`"""

    text: str
    convention: str


def find_answer(text: str, conventions: tuple[str, ...] = DEFAULT) -> Found | None:
    """The final answer of `text` by the first convention whose mark is in it; None where there is none.

    Raises:
        UserError: a convention that does not exist.
    """
    for name in conventions:
        if name not in CONVENTIONS:
            raise UserError(f"unknown convention {name!r}{nearest(name, CONVENTIONS)}")
        answer = CONVENTIONS[name](text)
        if answer is not None:
            return Found(answer, name) if answer else None
    return None


def final_answer(text: str) -> str | None:
    """The part of `text` that is the answer, stripped; None where there is none. Linear in the text's length."""
    found = find_answer(text)
    return found.text if found else None


def last_box(text: str) -> str | None:
    """The content of the last box, or None when there is no box or the last one is empty or not closed."""
    return _boxed(text) or None


def after_thought(response: str, thought: Thought = "closed") -> str | None:
    """What follows the last closed thought; None where the thought is not closed (see `Thought`)."""
    tags = list(_THOUGHT.finditer(response))
    closing = max((tag.end() for tag in tags if tag[1]), default=0)
    if any(tag.start() >= closing for tag in tags) or (thought == "required" and not closing):
        return None
    return response[closing:]
