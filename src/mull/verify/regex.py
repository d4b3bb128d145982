"""Regular expressions: does the final answer match this pattern?

`data["answer"]` is the pattern, in RE2's syntax; `data["match"]` is "full" (the default: the whole final answer) or
"search" (somewhere in it, which an answer that lists everything satisfies); `data["ignore_case"]` is off by default.
RE2 runs in time linear in the text, and the size of its program is bounded too, so that no pattern and no text can
hang a run, and no clock has a say in the verdict. It knows no back-references and no look-around: a pattern that needs
them is refused when the problem is read.

Left out on purpose: Python's `re`, where `(a+)+$` takes time exponential in the text.
Source: Cox, "Regular Expression Matching in the Wild", 2010; the engine is google-re2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.extract import final_answer

METHOD = "regex"
MAX_PATTERN = 500
"""Characters of a pattern."""
MAX_LENGTH = 1_000
"""Characters of a final answer."""
MEMORY = 1 << 20
"""Bytes for a compiled pattern and its states; with it a text of MAX_LENGTH takes 0.1 s at worst."""
MATCHES = ("full", "search")


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text`; `answer` is the final answer with single spaces."""
    final = final_answer(text)
    if final is None:
        return Verdict(VerdictKind.NO_ANSWER, "no final answer in the text", None, METHOD)
    if len(final) > MAX_LENGTH:
        return Verdict(VerdictKind.INVALID, f"an answer of {len(final)} characters (limit {MAX_LENGTH})", None, METHOD)
    if any("\ud800" <= char <= "\udfff" for char in final):
        return Verdict(VerdictKind.INVALID, "half of a surrogate pair, which is no character", None, METHOD)
    pattern = _compiled(str(data["answer"]), bool(data.get("ignore_case", False)))
    found = pattern.search(final) if data.get("match") == "search" else pattern.fullmatch(final)
    answer = " ".join(final.split())
    if found is not None:
        return Verdict(VerdictKind.CORRECT, f"matches {str(data['answer'])[:60]}", answer, METHOD)
    return Verdict(VerdictKind.WRONG, f"{answer[:60]!r} does not match {str(data['answer'])[:60]}", answer, METHOD)


@lru_cache(maxsize=1024)
def _compiled(pattern: str, ignore_case: bool) -> Any:
    """Raises:
    ValueError: the pattern does not compile within its bounds.
    """
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors, options.case_sensitive = MEMORY, False, not ignore_case
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else "not a pattern"
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(error)) from None


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: no pattern, one that RE2 does not take, one that any text matches, or an unknown option.
    """
    pattern = data.get("answer")
    if not isinstance(pattern, str) or not pattern.strip() or len(pattern) > MAX_PATTERN:
        raise UserError(f"{where}: the answer must be a pattern of 1 to {MAX_PATTERN} characters, not {pattern!r:.60}")
    if data.get("match", "full") not in MATCHES:
        raise UserError(f"{where}: 'match' must be 'full' or 'search', not {data['match']!r:.60}")
    if not isinstance(data.get("ignore_case", False), bool):
        raise UserError(f"{where}: 'ignore_case' must be true or false, not {data['ignore_case']!r:.60}")
    try:
        compiled = _compiled(pattern, data.get("ignore_case", False))
    except ValueError as error:
        raise UserError(f"{where}: the pattern {pattern[:60]!r} cannot be used ({error}); see RE2's syntax") from None
    if compiled.search("") if data.get("match") == "search" else compiled.fullmatch(""):
        raise UserError(f"{where}: the pattern {pattern[:60]!r} matches an empty answer, so that it checks nothing")
