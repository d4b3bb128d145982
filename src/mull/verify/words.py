"""Words and letters: the verifiers "text" and "choice".

"text" is equality after Unicode normalisation, without case, repeated spaces and closing punctuation. "choice" wants
one letter (`data["answer"]`, A to Z); with `data["choices"]` (the options' texts) the text of the right option counts
too. Two different letters are `ambiguous`. Left out on purpose: substrings ("not B" contains B).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.extract import final_answer
from mull.verify.latex import plain
from mull.verify.limits import MAX_ANSWER

_LETTER = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:option|choice|answer)(?:\s+is)?:?\s+)?"
    r"(?:\(([A-Za-z])\)(?![A-Za-z])|([A-Za-z])(?:[.):](?=\s|$)|$))(.*)",
    re.DOTALL | re.IGNORECASE,
)
_ANOTHER = re.compile(r"(?<![A-Za-z\\])[A-H](?![A-Za-z'])|(?<![A-Za-z])\([a-h]\)|(?<![A-Za-z(])[a-h]\)")
_ARTICLE = re.compile(r"\s*A(?=\s+(?!or\b|and\b)[a-z])")
_LETTERS = re.compile(r"\(?[A-Za-z]\)?(?:\s*(?:,|or|and|/)\s*\(?[A-Za-z]\)?)+")
_COMMAND_TEXT = re.compile(r"\\text \{([^{}]*)\}")


def normalise(text: str) -> str:
    """`text` as the verifier "text" compares it."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.split()).strip(" .!?\"'`*$")


def check_text(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text` against the words `data["answer"]`."""
    final = final_answer(text)
    answer = normalise(final) if final and len(final) <= MAX_ANSWER else ""
    if final and len(final) > MAX_ANSWER:
        return Verdict(VerdictKind.INVALID, f"an answer of {len(final)} characters (limit {MAX_ANSWER})", None, "text")
    if not answer:
        return Verdict(VerdictKind.NO_ANSWER, "no final answer in the text", None, "text")
    if answer == normalise(str(data["answer"])):
        return Verdict(VerdictKind.CORRECT, "the same words", answer, "text")
    return Verdict(VerdictKind.WRONG, f"{answer[:60]!r} is not {str(data['answer'])[:60]!r}", answer, "text")


def check_choice(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text` against the letter `data["answer"]`."""
    final = final_answer(text)
    if final is None:
        return Verdict(VerdictKind.NO_ANSWER, "no final answer in the text", None, "choice")
    if len(final) > MAX_ANSWER:
        return Verdict(
            VerdictKind.INVALID, f"an answer of {len(final)} characters (limit {MAX_ANSWER})", None, "choice"
        )
    bare = shown(final)
    if _LETTERS.fullmatch(bare):
        return Verdict(VerdictKind.AMBIGUOUS, f"{bare!r} names several options", bare, "choice")
    choices = [normalise(str(choice)) for choice in data.get("choices") or ()]
    option = named_option(bare)
    if option and option.another and normalise(option.rest) not in choices:
        return Verdict(VerdictKind.AMBIGUOUS, f"{bare[:60]!r} names several options", bare, "choice")
    text = normalise(bare)
    letter = option.letter.upper() if option else chr(ord("A") + choices.index(text)) if text in choices else None
    if letter is None:
        return Verdict(VerdictKind.WRONG, f"{bare[:60]!r} names no option", normalise(bare) or None, "choice")
    right = str(data["answer"]).strip().upper()
    if letter == right:
        return Verdict(VerdictKind.CORRECT, f"option {right}", letter, "choice")
    return Verdict(VerdictKind.WRONG, f"option {letter}, not {right}", letter, "choice")


@dataclass(frozen=True)
class Option:
    """An option that a text begins with. Example: `named_option("(C) 12")` is `Option("C", " 12", another=False)`."""

    letter: str
    rest: str
    another: bool
    """The rest names another one: `(C) or D` pays for neither."""


def named_option(text: str) -> Option | None:
    """The option in `(C) 12`, `C. because`, `option C`; None where the text begins with none."""
    match = _LETTER.fullmatch(text.strip())
    if match is None:
        return None
    letter, rest = match[1] or match[2], match[3]
    others = {found.strip("()").upper() for found in _ANOTHER.findall(_ARTICLE.sub("", rest, count=1))}
    return Option(letter, rest, bool(others - {letter.upper()}))


def shown(text: str) -> str:
    """`text` in plain spelling without the commands that only set it upright or bold."""
    return _COMMAND_TEXT.sub(r"\1", plain(text)).strip()


def check_text_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: there is no answer, or nothing is left of it after normalisation.
    """
    answer = data.get("answer")
    if answer is None or not normalise(str(answer)) or len(str(answer)) > MAX_ANSWER:
        raise UserError(f"{where}: no answer of 1 to {MAX_ANSWER} characters; every problem needs one")


def check_choice_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: the answer is no single letter, or names an option that does not exist.
    """
    letter = str(data.get("answer") or "").strip().upper()
    if not (len(letter) == 1 and "A" <= letter <= "Z"):
        raise UserError(f"{where}: the answer of a choice must be one letter A to Z, not {data.get('answer')!r}")
    choices = data.get("choices")
    if choices is not None and not isinstance(choices, list | tuple):
        raise UserError(f"{where}: 'choices' must be the list of the options' texts, not {choices!r:.60}")
    if choices is not None and ord(letter) - ord("A") >= len(choices):
        raise UserError(f"{where}: the answer is {letter}, but there are only {len(choices)} choices")
