"""Numbers and formulas: the verifiers "number" and "math".

`data["answer"]` is the reference answer, a number or its text. "number" wants a rational number and takes any way
of writing it; "math" compares whatever `values` can read, and asks a worker where that is not enough. An answer that
offers several values where one is asked for is `ambiguous`, whichever they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.compare import same, unworked
from mull.verify.extract import find_answer
from mull.verify.limits import excess
from mull.verify.pool import Undecided, ask
from mull.verify.values import Collection, Contradiction, Quantity, Value, Words, read
from mull.verify.words import named_option, shown

_MAX_WORDS = 200
"""Characters of a reference answer that is no formula; a whole solution in that field is a wrong field mapping."""
_MAX_PROSE = 4
"""Words beside a value, as in `5 square miles per hour`; more of them are a sentence."""
_TEXT = re.compile(r"\\(?:text|mathrm|mbox|textbf) ?\{[^{}]*\}")
_LEAD = re.compile(r"^(?:so|thus|hence|therefore)\b[,:\s]*", re.IGNORECASE)
_PROSE = re.compile(r"(?<![\\A-Za-z])(?!(?:and|or|sqrt)\b)[^\W\d_]{2,}")


def check_number(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text` against the rational number `data["answer"]`."""
    return _check(data, text, "number")


def check_math(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text` against the formula `data["answer"]`."""
    return _check(data, text, "math")


def _check(data: Mapping[str, Any], text: str, method: str) -> Verdict:
    found = find_answer(text)
    if found is None:
        return Verdict(VerdictKind.NO_ANSWER, "no final answer in the text", None, method)
    final = found.text
    too_big = excess(final)
    if too_big:
        return Verdict(VerdictKind.INVALID, too_big, None, method)
    letter = _one_letter(str(data["answer"]))
    gold = read(letter or str(data["answer"]).strip())
    if found.convention == "bare" and not isinstance(gold, Words) and _is_prose(final):
        return Verdict(VerdictKind.NO_ANSWER, "sentences without a stated answer (such as \\boxed{…})", None, method)
    answer = read(_LEAD.sub("", final) if found.convention == "bare" else _option(final) if letter else final)
    if not answer.canonical:
        return Verdict(VerdictKind.NO_ANSWER, "an empty answer", None, method)
    try:
        equal = same(gold, answer, ask)
    except Undecided as undecided:
        return Verdict(undecided.kind, str(undecided), answer.canonical, method)
    if equal:
        return Verdict(VerdictKind.CORRECT, f"equals {data['answer']}", answer.canonical, method)
    if isinstance(gold, Quantity) and _several(answer):
        return Verdict(VerdictKind.AMBIGUOUS, f"{_short(final)} is not one value", answer.canonical, method)
    if isinstance(gold, Quantity) and unworked(str(data["answer"]), final):
        return Verdict(VerdictKind.AMBIGUOUS, f"{_short(final)} is not worked out", answer.canonical, method)
    return Verdict(VerdictKind.WRONG, f"{_short(final)} is not {data['answer']}", answer.canonical, method)


@lru_cache(maxsize=4096)
def _one_letter(gold: str) -> str:
    """The letter of a reference answer that is an option, as `C` or `\\textbf{(C)}`; else ""."""
    letter = shown(gold).strip("() ")
    return letter if len(letter) == 1 and letter.isupper() else ""


def _option(final: str) -> str:
    """`(C) 12` as C, unless it names another option too."""
    option = named_option(shown(final))
    return option.letter if option and not option.another and option.letter.isupper() else final


def _is_prose(text: str) -> bool:
    """Sentences, from which numbers must not be picked as one set: several words outside of \\text."""
    return len(_PROSE.findall(_TEXT.sub(" ", text))) > _MAX_PROSE


def _several(answer: Value) -> bool:
    return isinstance(answer, Contradiction) or (isinstance(answer, Collection) and answer.kind == "set")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_number_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: the reference answer is missing or is no single rational number.
    """
    value = _readable(data, where)
    if not isinstance(value, Quantity) or value.number is None:
        raise UserError(
            f"{where}: the answer {str(data['answer'])[:60]!r} is no number; mend it, or use verifier = 'math'"
        )


def check_math_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: the reference answer is missing, empty, out of bounds or contradicts itself.
    """
    value = _readable(data, where)
    if isinstance(value, Contradiction) or not value.canonical or _looks_broken(value):
        raise UserError(
            f"{where}: the answer {str(data['answer'])[:60]!r} cannot be read; mend the row, or say with a preset or "
            "fields where the answer is"
        )


def _looks_broken(value: Value) -> bool:
    """Words with unbalanced braces (a formula that was cut), or so many that nobody would give them again."""
    if not isinstance(value, Words):
        return False
    return value.canonical.count("{") != value.canonical.count("}") or len(value.canonical) > _MAX_WORDS


def _readable(data: Mapping[str, Any], where: str) -> Value:
    answer = data.get("answer")
    if answer is None or isinstance(answer, bool) or not str(answer).strip():
        raise UserError(f"{where}: no answer; every problem needs one")
    too_big = excess(str(answer))
    if too_big:
        raise UserError(f"{where}: {too_big}; no answer of a model could be checked against it")
    return read(str(answer).strip())
