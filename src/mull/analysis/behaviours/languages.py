"""Where a thought goes on in another language.

A piece is a run of Chinese, or a run of words in Latin letters up to the end of its sentence, whose language the most
frequent small words tell (the, donc, nicht …). A switch is a piece in another language than the piece before; the first
piece is held against the problem's language. Names, formulas and short pieces belong to no language. The embedded world
counts by its own words instead (`embedded`). Left out on purpose: languages other than these four, and any detector
(`analysis.language` has one): it is too slow and too unsure for pieces of three words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mull.analysis.behaviours.table import Behaviour, Spot

LEAST_HAN = 4
LEAST_SMALL = 2
"""Small words that tell the language of a piece."""
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_PIECE = re.compile(rf"(?P<han>[{_HAN}][{_HAN}，、：“”（）\s\d]*)|(?P<latin>[a-z\u00c0-\u024f][^{_HAN}.!?\n]*)")
_LETTERS = re.compile(r"[a-z\u00c0-\u024f']+")
_WORDS = {
    "en": "the is of and we so that to this it are be then which not have has with for therefore there must",
    "fr": "le la les est de des donc nous que une un et il elle pas pour dans on alors sont avec ce cette du",
    "de": "der die das ist und wir nicht also dass ein eine zu den dann mit es sind wenn für von auf",
}
SMALL = {language: tuple(words.split()) for language, words in _WORDS.items()}
_LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _small in SMALL.items():
    for _word in _small:
        _LANGUAGES[_word] = (*_LANGUAGES.get(_word, ()), _language)


def switches(small: str, language: str) -> Iterator[Spot]:
    """The pieces that switch, of a lower-cased text; `language` is the problem's ("" where it is not known)."""
    current = language if language in ("zh", *SMALL) else ""
    for match in _PIECE.finditer(small):
        spoken = _spoken(match, current)
        if spoken and current and spoken != current:
            yield Spot(Behaviour.LANGUAGE_SWITCH, match.start(), match.start() + len(match.group().rstrip()))
        current = spoken or current


def _spoken(match: re.Match[str], current: str) -> str:
    """The language of a piece, "" where it is too short to tell."""
    if match.lastgroup == "han":
        han = sum(1 for c in match.group() if "\u3400" <= c <= "\u9fff")
        return "zh" if han >= LEAST_HAN else ""
    hits = dict.fromkeys(SMALL, 0)
    for word in _LETTERS.findall(match.group()):
        for language in _LANGUAGES.get(word, ()):
            hits[language] += 1
    best = max(hits, key=lambda language: (hits[language], language == current))
    return best if hits[best] >= LEAST_SMALL else ""
