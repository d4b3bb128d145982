"""The kinds of constraint that a text can be asked to keep, for the verifier "constraints".

Each kind says what it needs and returns "" for a text that keeps it, else what is amiss in a few words. Every check is
linear in the text's length, which the door bounds. Left out on purpose: whether a kind's own values make sense
(`constraints`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mull.verify import json as values
from mull.verify.texts import unfenced

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|[。！？]+|\n[ \t\r]*(?=\n)")
_INITIAL = re.compile(r"(?<!\w)[A-HJ-Z]\.$")
_TITLED = re.compile(r"(?<!\w)(?:mr|mrs|ms|dr|prof|st|vs|e\.g|i\.e|cf|fig|jr|sr)\.$", re.IGNORECASE)
_BULLET = re.compile(r"^[ \t]*[*•+-][ \t]+\S", re.MULTILINE)
_HIGHLIGHT = re.compile(r"\*\*[^\n*]+\*\*|\*[^\n*]+\*")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\]")
_TITLE = re.compile(r"<<[^\n<>]+>>")
_BLANK = re.compile(r"\n[ \t\r]*\n\s*")

Constraint = Mapping[str, Any]


@dataclass(frozen=True)
class Text:
    """A text and what is counted in it. Example: `Text("One. Two.").sentences == 2`"""

    text: str

    @cached_property
    def words(self) -> list[str]:
        return _WORD.findall(self.text)

    @cached_property
    def folded(self) -> str:
        return unicodedata.normalize("NFKC", self.text).casefold()

    @cached_property
    def paragraphs(self) -> list[str]:
        return [part for part in _BLANK.split(self.text) if part.strip()]

    @cached_property
    def sentences(self) -> int:
        """Stretches with a letter or digit between one end and the next."""
        count, start = 0, 0
        for end in _END.finditer(self.text):
            if end[0] == "." and _abbreviated(self.text[max(end.end() - 8, 0) : end.end()]):
                continue
            count += _WORD.search(self.text, start, end.start()) is not None
            start = end.end()
        return count + (_WORD.search(self.text, start) is not None)

    def times(self, phrase: str) -> int:
        """How often `phrase` occurs as whole words, without case."""
        phrase = unicodedata.normalize("NFKC", phrase).casefold().strip()
        before = r"(?<!\w)" if re.match(r"\w", phrase) else ""
        after = r"(?!\w)" if re.search(r"\w$", phrase) else ""
        pattern = before + r"\s+".join(map(re.escape, phrase.split())) + after
        return sum(1 for _ in re.finditer(pattern, self.folded))


def _abbreviated(tail: str) -> bool:
    return bool(_INITIAL.search(tail) or _TITLED.search(tail))


@dataclass(frozen=True)
class Kind:
    """A kind of constraint. `needs` and `takes` name its keys and what each must be; `counts`: it is a range.

    Example: `KINDS["words"].complaint({"at_least": 3}, Text("too short")) == "2, at least 3 are asked for"`
    """

    complaint: Callable[[Constraint, Text], str]
    needs: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    counts: bool = False


def _counted(count: Callable[[Constraint, Text], int], **more: str) -> Kind:
    def complaint(constraint: Constraint, view: Text) -> str:
        number = count(constraint, view)
        low, high = constraint.get("at_least"), constraint.get("at_most")
        if low is not None and number < low:
            return f"{number}, at least {low} are asked for"
        return f"{number}, at most {high} are asked for" if high is not None and number > high else ""

    optional = {"separator": more.pop("separator")} if "separator" in more else {}
    return Kind(complaint, more, {"at_least": "count", "at_most": "count", **optional}, counts=True)


def _plain(holds: Callable[[Text], bool], otherwise: str) -> Kind:
    return Kind(lambda constraint, view: "" if holds(view) else otherwise)


def _paragraphs(constraint: Constraint, view: Text) -> int:
    separator = constraint.get("separator")
    parts = view.text.split(separator) if separator else view.paragraphs
    return sum(1 for part in parts if part.strip())


def _sections(constraint: Constraint, view: Text) -> int:
    marker = re.escape(constraint["marker"].strip().casefold())
    return len(set(re.findall(rf"(?<!\w){marker}[ \t]?([0-9]+|[ivxl]+\b)", view.folded)))


def _missing(constraint: Constraint, view: Text) -> str:
    missing = [phrase for phrase in constraint["phrases"] if not view.times(phrase)]
    return f"{missing[0][:40]!r} is missing" if missing else ""


def _forbidden(constraint: Constraint, view: Text) -> str:
    found = [phrase for phrase in constraint["phrases"] if view.times(phrase)]
    return f"{found[0][:40]!r} occurs" if found else ""


def _one_of(constraint: Constraint, view: Text) -> str:
    found = [option for option in constraint["options"] if view.times(option)]
    return "" if len(found) == 1 else f"{len(found)} of the options occur"


def _first_word(constraint: Constraint, view: Text) -> str:
    place, total = constraint["paragraph"], constraint.get("of")
    if total is not None and len(view.paragraphs) != total:
        return f"{len(view.paragraphs)} paragraphs, not {total}"
    if len(view.paragraphs) < place:
        return f"{len(view.paragraphs)} paragraphs"
    first = _WORD.search(view.paragraphs[place - 1])
    said = first[0] if first else ""
    return "" if said.casefold() == constraint["word"].strip().casefold() else f"it is {said[:40]!r}"


def _postscript(constraint: Constraint, view: Text) -> str:
    marker = "".join(constraint["marker"].split()).casefold()
    for line in view.folded.split("\n"):
        line = line.lstrip(" \t*_")
        if "".join(line[: len(marker) + 4].split()).startswith(marker):
            return ""
    return f"no line begins with {constraint['marker'][:40]!r}"


def _starts(constraint: Constraint, view: Text) -> str:
    phrase = _folded(constraint["phrase"])
    return "" if _folded(view.text).startswith(phrase) else f"it begins with {view.text[:40]!r}"


def _ends(constraint: Constraint, view: Text) -> str:
    phrase = _folded(constraint["phrase"])
    return "" if _folded(view.text.strip(" \n\t\"'")).endswith(phrase) else f"it ends with {view.text[-40:]!r}"


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _is_json(view: Text) -> bool:
    try:
        return isinstance(values.parse(unfenced(view.text)), dict | list)
    except ValueError:
        return False


def _two(view: Text) -> bool:
    parts = [_folded(part) for part in view.text.split("******")]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _quoted(view: Text) -> bool:
    return len(view.text) > 2 and view.text[0] in '"“' and view.text[-1] in '"”'


def _cased(text: str, cased: str) -> bool:
    return text == cased and text.upper() != text.lower()


KINDS: dict[str, Kind] = {
    "words": _counted(lambda c, view: len(view.words)),
    "sentences": _counted(lambda c, view: view.sentences),
    "paragraphs": _counted(_paragraphs, separator="text"),
    "bullets": _counted(lambda c, view: len(_BULLET.findall(view.text))),
    "highlights": _counted(lambda c, view: sum(bool(_WORD.search(h)) for h in _HIGHLIGHT.findall(view.text))),
    "placeholders": _counted(lambda c, view: len(_PLACEHOLDER.findall(view.text))),
    "sections": _counted(_sections, marker="text"),
    "capital_words": _counted(lambda c, view: sum(word.isupper() for word in view.words)),
    "frequency": _counted(lambda c, view: view.times(c["phrase"]), phrase="text"),
    "letters": _counted(lambda c, view: view.folded.count(c["letter"].casefold()), letter="letter"),
    "contains": Kind(_missing, {"phrases": "texts"}),
    "forbids": Kind(_forbidden, {"phrases": "texts"}),
    "one_of": Kind(_one_of, {"options": "texts"}),
    "first_word": Kind(_first_word, {"word": "text", "paragraph": "place"}, {"of": "place"}),
    "postscript": Kind(_postscript, {"marker": "text"}),
    "starts_with": Kind(_starts, {"phrase": "text"}),
    "ends_with": Kind(_ends, {"phrase": "text"}),
    "json": _plain(_is_json, "it is no JSON object or list"),
    "title": _plain(lambda view: bool(_TITLE.search(view.text)), "no <<title>>"),
    "upper": _plain(lambda view: _cased(view.text, view.text.upper()), "not all upper case"),
    "lower": _plain(lambda view: _cased(view.text, view.text.lower()), "not all lower case"),
    "no_commas": _plain(lambda view: not any(comma in view.text for comma in ",，、"), "a comma"),
    "quoted": _plain(_quoted, "not in double quotation marks"),
    "two_responses": _plain(_two, "not two different responses with ****** between them"),
}
