"""Knights and knaves: does the answer give every inhabitant the right role?

`data["answer"]` says it in words ("Zoey is a knight, and Oliver is a knave."), `data["names"]` optionally lists the
inhabitants (else those of the answer), `data["roles"]` the two words, "knight" and "knave" by default. An answer is
read as a whole or not at all: statements (`(1) Zoey is a knight`, `Zoey: knight`, `Zoey and Max are knights`,
`Knights: Zoey, Max`) with nothing between them but numbering, punctuation and words like "therefore". A person who is
given both roles makes the answer `ambiguous`, and so does a condition ("if", "or", "maybe"): whoever claims everything
claims nothing. A person left out, a stranger, or a text that does not read as statements is `wrong`.

Left out on purpose: searching a name and the next role after it, which reads "Zoey said that Max is a knave" as
a claim about Zoey. Source of the task: Xie et al., "On Memorization of LLMs in Logical Reasoning", arXiv 2410.23123.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.texts import structured

METHOD = "knights"
MAX_LENGTH = 4_000
MAX_NAMES = 50
MAX_NAME = 60
ROLES = ("knight", "knave")

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|\n|[^\w\s]")
_IS = frozenset({"is", "are", ":", "=", "-", "–", "—", "→", "be"})
_SKIP = frozenset(
    {"a", "an", "the", "and", "so", "while", "therefore", "thus", "hence", "final", "answer", "solution", "conclusion",
     "both", "all", "none", "text", ",", "*", "_", "`", "$", '"', "|", "(", ")", "[", "]", "{", "}", "\\", "&", "•",
     "“", "”", "'", "’", ">"}
)  # fmt: skip
_STOP = frozenset({".", ";", "\n"})
_HEDGES = frozenset(
    {"if", "or", "either", "maybe", "perhaps", "possibly", "could", "might", "may", "unless", "whether", "iff", "then",
     "can", "would", "else", "otherwise", "suppose", "assume", "?", "/", "unknown"}
)  # fmt: skip


class Unreadable(ValueError):
    """The text is no list of statements; `hedged` when that is because of a condition or an alternative."""

    def __init__(self, message: str, hedged: bool = False) -> None:
        super().__init__(message)
        self.hedged = hedged


@dataclass
class _Reader:
    """Where the reading is. `pending` are names that wait for their role, `last` those that got the last one.

    With `by_role` the text lists names under roles: `current` is the role, which `waits` for its colon, and `listed`
    says that it has names.
    """

    by_role: bool = False
    said: dict[str, set[bool]] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    current: bool = True
    waits: bool = False
    listed: bool = False
    linked: bool = False
    negated: bool = False

    def name(self, name: str) -> None:
        if self.linked:
            raise Unreadable("a name where a role belongs")
        if self.by_role:
            if self.waits:
                raise Unreadable("a role and a name side by side")
            self.said.setdefault(name, set()).add(self.current)
            self.listed = True
        else:
            self.pending.append(name)

    def role(self, first: bool) -> None:
        if self.by_role:
            if self.waits:
                raise Unreadable("two roles side by side")
            self.current, self.waits, self.listed, self.negated = first != self.negated, True, False, False
            return
        names = self.pending or self.last
        for name in names:
            self.said.setdefault(name, set()).add(first != self.negated)
        self.last, self.pending, self.linked, self.negated = names, [], False, False

    def link(self) -> None:
        """ "is" or a colon; in a list under a role it stands once, after the role."""
        if self.by_role:
            if self.listed:
                raise Unreadable("a list of names that goes over into a statement")
            self.waits = False
        else:
            self.linked = self.linked or bool(self.pending)

    def stop(self) -> None:
        """The end of a sentence or line: a name before it that was linked to nothing stands there for nothing."""
        if self.pending and not self.linked and not self.by_role:
            raise Unreadable(f"{self.pending[0]!r} is given no role")


def read(text: str, names: Sequence[str], roles: tuple[str, str] = ROLES) -> dict[str, set[bool]]:
    """Who is said to be what: True for the first role, False for the second, both for whoever contradicts themselves.

    Raises:
        Unreadable: the text is more, or less, than statements about `names`.
    """
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold().replace("\\text", " "))
    words = _words(tokens, names, roles)
    reader = _Reader(by_role=next((kind == "role" for kind, _ in words if kind in ("role", "name")), False))
    for kind, value in words:
        if kind == "name":
            reader.name(value)
        elif kind == "role":
            reader.role(value == roles[0])
        elif kind == "not":
            reader.negated = not reader.negated
        elif kind == "is":
            reader.link()
        elif not reader.linked:
            reader.stop()
    if reader.pending or reader.negated or reader.waits:
        raise Unreadable("a statement without an end")
    return reader.said


def _words(tokens: Sequence[str], names: Sequence[str], roles: tuple[str, str]) -> list[tuple[str, str]]:
    """Tokens as (kind, value), with names of several words joined and everything that says nothing left out."""
    by_tokens = {tuple(_TOKEN.findall(name.casefold())): name for name in names}
    longest = max(map(len, by_tokens), default=1)
    plurals = {f"{role}s": role for role in roles}
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(tokens):
        for length in range(longest, 0, -1):
            name = by_tokens.get(tuple(tokens[at : at + length]))
            if name is not None:
                found.append(("name", name))
                at += length
                break
        else:
            bullet = tokens[at] in ("-", "–") and (at == 0 or tokens[at - 1] == "\n")
            word = None if bullet else _word(tokens[at], plurals, roles)
            if word is not None:
                found.append(word)
            at += 1
    return found


def _word(token: str, plurals: Mapping[str, str], roles: tuple[str, str]) -> tuple[str, str] | None:
    if token in roles or token in plurals:
        return "role", plurals.get(token, token)
    if token in _STOP:
        return "stop", token
    if token in _IS:
        return "is", token
    if token in ("not", "isn't", "isn’t"):
        return "not", token
    if token in _SKIP or token.isdigit():
        return None
    if token in _HEDGES:
        raise Unreadable(f"{token!r} states nothing for certain", hedged=True)
    raise Unreadable(f"{token[:30]!r} has no place in a list of who is what")


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text`; `answer` lists name and role in the order of the names, None for what is no list."""
    names, roles, gold = _gold(data)
    final = structured(text, MAX_LENGTH, METHOD)
    if isinstance(final, Verdict):
        return final
    try:
        said = read(final, names, roles)
    except Unreadable as error:
        kind = VerdictKind.AMBIGUOUS if error.hedged else VerdictKind.WRONG
        return Verdict(kind, str(error), None, METHOD)
    torn = [name for name, values in said.items() if len(values) > 1]
    if torn:
        return Verdict(VerdictKind.AMBIGUOUS, f"{torn[0]} is said to be {roles[0]} and {roles[1]}", None, METHOD)
    claims = {name: values.pop() for name, values in said.items()}
    if not claims:
        return Verdict(VerdictKind.NO_ANSWER, "nobody is given a role", None, METHOD)
    answer = ", ".join(f"{name}: {roles[0] if claims[name] else roles[1]}" for name in names if name in claims)
    missing = [name for name in names if name not in claims]
    if missing:
        return Verdict(VerdictKind.WRONG, f"nothing is said of {missing[0]}", answer, METHOD)
    off = [name for name in names if claims[name] != gold[name]]
    if off:
        right = roles[0] if gold[off[0]] else roles[1]
        return Verdict(VerdictKind.WRONG, f"{off[0]} is a {right} ({len(off)} of {len(names)} wrong)", answer, METHOD)
    return Verdict(VerdictKind.CORRECT, f"all {len(names)} roles are right", answer, METHOD)


def _gold(data: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, str], dict[str, bool]]:
    names, roles = data.get("names"), data.get("roles") or ROLES
    first, second = (str(role).casefold() for role in roles)
    return _parsed(str(data["answer"]), None if names is None else tuple(map(str, names)), (first, second))


@lru_cache(maxsize=4096)
def _parsed(
    answer: str, names: tuple[str, ...] | None, roles: tuple[str, str]
) -> tuple[tuple[str, ...], tuple[str, str], dict[str, bool]]:
    if names is None:
        either = "|".join(map(re.escape, roles))
        found = re.findall(rf"([^\W\d_][\w'’]*)(?:\s+is\s+an?\s+|\s*:\s*)(?:{either})\b", answer, re.IGNORECASE)
        names = tuple(dict.fromkeys(found))
    said = read(answer, names, roles)
    if set(said) != set(names) or not names or any(len(values) > 1 for values in said.values()):
        raise Unreadable("not every inhabitant gets exactly one role")
    return names, roles, {name: next(iter(values)) for name, values in said.items()}


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: names or roles are not usable, or the answer does not give each inhabitant exactly one role.
    """
    answer, names, roles = data.get("answer"), data.get("names"), data.get("roles")
    if not isinstance(answer, str) or not answer.strip() or len(answer) > MAX_LENGTH:
        raise UserError(f"{where}: no answer of 1 to {MAX_LENGTH} characters that says who is a knight and who a knave")
    if roles is not None and not (_texts(roles) and len({r.casefold() for r in roles}) == len(roles) == 2):
        raise UserError(f"{where}: 'roles' must be two different words, not {roles!r:.80}")
    if names is not None and not _names_fit(names):
        raise UserError(f"{where}: 'names' must be 1 to {MAX_NAMES} different names, not {names!r:.80}")
    words = {*(roles or ROLES), *_IS, *_SKIP, *_HEDGES, *_STOP, "not"}
    if names is not None and any(name.casefold() in words for name in names):
        raise UserError(f"{where}: one of the names {names!r:.80} is a word that statements are made of")
    try:
        _gold(data)
    except Unreadable as error:
        raise UserError(f"{where}: the answer {answer[:60]!r} cannot be read ({error}); mend the row") from None


def _texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(
        isinstance(value, str) and value.strip() and len(value) <= MAX_NAME for value in values
    )


def _names_fit(names: Any) -> bool:
    if not _texts(names) or not 1 <= len(names) <= MAX_NAMES:
        return False
    return len({name.casefold() for name in names}) == len(names)
