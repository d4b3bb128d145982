"""Instruction following: does the whole text keep these constraints? All of them, or it is wrong.

`data["constraints"]` (or `data["answer"]`, also as JSON text) is a list of tables, each with a `kind` and what that
kind needs: `[{"kind": "words", "at_least": 100}, {"kind": "no_commas"}]`. `KINDS` lists them. They are those of
IFEval, with its holes closed: a phrase counts as whole words, a choice among options must name one of them and not all,
numbered sections must have different numbers, and characters that nobody sees neither hide a forbidden word nor make
up a text. What "sentence" means is a rule (`.`, `!` or `?` before a space, known abbreviations apart), not a model.

Left out on purpose: the language of the text (refused by name), and whether the text is any good: constraints are to be
paid together with a judgement of the content, or they are met by nonsense.
Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models", arXiv 2311.07911.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError, nearest
from mull.core.types import Verdict, VerdictKind
from mull.verify.instructions import KINDS, Text
from mull.verify.texts import visible

METHOD = "constraints"
MAX_CONSTRAINTS = 20
MAX_PHRASES = 50
MAX_PHRASE = 2_000
MAX_COUNT = 100_000

Constraint = Mapping[str, Any]


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text`; `answer` is the text with single spaces."""
    seen = visible(text).strip()
    if not seen:
        return Verdict(VerdictKind.NO_ANSWER, "no character that can be seen", None, METHOD)
    view = Text(seen)
    constraints = _constraints(data)
    failed: list[str] = []
    for constraint in constraints:
        complaint = KINDS[constraint["kind"]].complaint(constraint, view)
        if complaint:
            failed.append(f"{constraint['kind']}: {complaint}")
    answer = " ".join(seen.split())
    if failed:
        reason = f"{len(failed)} of {len(constraints)} constraints broken; {'; '.join(failed)}"
        return Verdict(VerdictKind.WRONG, reason[:300], answer, METHOD)
    return Verdict(VerdictKind.CORRECT, f"all {len(constraints)} constraints kept", answer, METHOD)


def _constraints(data: Mapping[str, Any]) -> Sequence[Constraint]:
    """Raises:
    ValueError: JSON text that is none.
    """
    given = data.get("constraints", data.get("answer"))
    return _loaded(given) if isinstance(given, str) else given  # type: ignore[return-value]


@lru_cache(maxsize=1024)
def _loaded(text: str) -> Any:
    return json.loads(text)


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: no constraints, an unknown kind, a missing, unknown or wrong value, or two that contradict each other.
    """
    try:
        constraints = _constraints(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: the constraints are no JSON ({error})") from None
    if not isinstance(constraints, list | tuple) or not 1 <= len(constraints) <= MAX_CONSTRAINTS:
        raise UserError(f"{where}: 'constraints' must be a list of 1 to {MAX_CONSTRAINTS} tables")
    for number, constraint in enumerate(constraints, 1):
        _check_one(constraint, f"{where}: constraint {number}")
    kinds = {constraint["kind"] for constraint in constraints}
    if {"upper", "lower"} <= kinds:
        raise UserError(f"{where}: no text is all upper and all lower case")
    wanted = _phrases(constraints, "contains")
    both = sorted(wanted & _phrases(constraints, "forbids"))
    if both:
        raise UserError(f"{where}: {both[0]!r} is required and forbidden")


def _check_one(constraint: Any, where: str) -> None:
    if not isinstance(constraint, Mapping) or not isinstance(constraint.get("kind"), str):
        raise UserError(f"{where}: a table with a 'kind' is needed, not {constraint!r:.60}")
    name = constraint["kind"]
    if name == "language":
        raise UserError(f"{where}: 'language' cannot be checked yet; leave the row out")
    kind = KINDS.get(name)
    if kind is None:
        raise UserError(f"{where}: unknown kind {name!r}{nearest(name, KINDS)}")
    for key, value in constraint.items():
        if key == "kind":
            continue
        wants = kind.needs.get(key) or kind.takes.get(key)
        if wants is None:
            raise UserError(f"{where} ({name}): unknown key {key!r}{nearest(key, {**kind.needs, **kind.takes})}")
        if not _FITS[wants](value):
            raise UserError(f"{where} ({name}): {key!r} must be {_WORDS[wants]}, not {value!r:.60}")
    missing = [key for key in kind.needs if key not in constraint]
    if missing:
        raise UserError(f"{where} ({name}): the key {missing[0]!r} is missing")
    _check_range(constraint, kind.counts, f"{where} ({name})")


def _check_range(constraint: Constraint, counts: bool, where: str) -> None:
    low, high = constraint.get("at_least"), constraint.get("at_most")
    if counts and low is None and high is None:
        raise UserError(f"{where}: 'at_least' or 'at_most' is needed")
    if low is not None and high is not None and low > high:
        raise UserError(f"{where}: at least {low} and at most {high} cannot both be kept")


def _phrases(constraints: Sequence[Constraint], kind: str) -> set[str]:
    return {phrase.casefold() for each in constraints if each["kind"] == kind for phrase in each["phrases"]}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_PHRASE


_FITS = {
    "text": _is_text,
    "texts": lambda value: (
        isinstance(value, list | tuple) and 1 <= len(value) <= MAX_PHRASES and all(map(_is_text, value))
    ),
    "letter": lambda value: isinstance(value, str) and len(value) == 1 and not value.isspace(),
    "count": lambda value: type(value) is int and 0 <= value <= MAX_COUNT,
    "place": lambda value: type(value) is int and 1 <= value <= MAX_COUNT,
}
_WORDS = {
    "text": f"text of 1 to {MAX_PHRASE} characters",
    "texts": f"a list of 1 to {MAX_PHRASES} texts",
    "letter": "one character",
    "count": f"a whole number of 0 to {MAX_COUNT}",
    "place": f"a whole number of 1 to {MAX_COUNT}",
}
