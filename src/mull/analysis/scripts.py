"""Words of a text by the script they are written in, for counting languages.

A word is a run of letters of one script. Scripts that put no spaces between words are counted by letters: two Chinese
or Japanese letters, four of Thai and its neighbours, make about one word. Runs of a single letter of an alphabet are
variables far more often than words and are left out. Left out on purpose: segmentation by dictionaries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import regex

UNSPACED = {"Han": 2, "Hiragana": 2, "Katakana": 2, "Thai": 4, "Lao": 4, "Khmer": 4, "Myanmar": 4}
"""Script → letters that make about one word."""
SCRIPTS = (
    "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Bengali", "Tamil", "Telugu", "Kannada",
    "Malayalam", "Gujarati", "Gurmukhi", "Sinhala", "Georgian", "Armenian", "Ethiopic", "Hangul", *UNSPACED,
)  # fmt: skip
OF_LANGUAGE: dict[str, frozenset[str]] = {
    **dict.fromkeys(["ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "mn", "tg"], frozenset({"Cyrillic"})),
    **dict.fromkeys(["ar", "fa", "ur", "ps", "ug", "sd", "ckb"], frozenset({"Arabic"})),
    **dict.fromkeys(["hi", "mr", "ne", "sa"], frozenset({"Devanagari"})),
    **dict.fromkeys(["bn", "as"], frozenset({"Bengali"})),
    **dict.fromkeys(["he", "yi"], frozenset({"Hebrew"})),
    **dict.fromkeys(["zh", "yue", "wuu"], frozenset({"Han"})),
    "ja": frozenset({"Han", "Hiragana", "Katakana"}), "ko": frozenset({"Hangul"}), "th": frozenset({"Thai"}),
    "lo": frozenset({"Lao"}), "km": frozenset({"Khmer"}), "my": frozenset({"Myanmar"}), "el": frozenset({"Greek"}),
    "ta": frozenset({"Tamil"}), "te": frozenset({"Telugu"}), "kn": frozenset({"Kannada"}),
    "ml": frozenset({"Malayalam"}), "gu": frozenset({"Gujarati"}), "pa": frozenset({"Gurmukhi"}),
    "si": frozenset({"Sinhala"}), "ka": frozenset({"Georgian"}), "hy": frozenset({"Armenian"}),
    "am": frozenset({"Ethiopic"}),
}  # fmt: skip
"""Language → its scripts; one that is not here is written in Latin letters."""
_RUNS = {script: rf"(?P<{script}>(?:\p{{Script={script}}}\p{{M}}*)+)" for script in SCRIPTS}
# Letters that two scripts share, such as the long mark of Japanese, go with the run that they stand in.
for _name in ("Hiragana", "Katakana"):
    _RUNS[_name] = rf"(?P<{_name}>(?:\p{{Script={_name}}}\p{{M}}*ー*)+)"
# Latin and Cyrillic words are joined by apostrophes and hyphens: l'œuf, don't, peut-être.
for _name in ("Latin", "Cyrillic"):
    _RUNS[_name] = rf"(?P<{_name}>(?:\p{{Script={_name}}}\p{{M}}*)+(?:['’‑-](?:\p{{Script={_name}}}\p{{M}}*)+)*)"
_WORDS = regex.compile("|".join(_RUNS.values()))


@dataclass(frozen=True)
class Word:
    """A run of letters and how many words it counts for. Example: `Word("你好吗", "Han", 2)`"""

    text: str
    script: str
    count: int


def scripts_of(language: str) -> frozenset[str]:
    """The scripts that a language is written in."""
    return OF_LANGUAGE.get(language, frozenset({"Latin"}))


def words_of(text: str) -> Iterator[Word]:
    """The words of a text in order."""
    for match in _WORDS.finditer(text):
        script, run = match.lastgroup or "", match.group()
        letters = len(regex.findall(r"\p{L}", run))
        if script in UNSPACED:
            yield Word(run, script, -(-letters // UNSPACED[script]))
        elif letters > 1:
            yield Word(run, script, 1)
