"""Decontamination: problems to train on that a benchmark also asks, found, named and dropped.

A problem goes when its prompt shares a run of n words with a prompt of the benchmark (n = 8 as in Tülu 3, 10 as in
DeepSeek-R1, 13 as in GPT-3), or, where either is shorter than n, when the two are word for word the same. Words are
compared after Unicode normalisation, without case and punctuation; numbers by their value (`1,000`, `1000.0` and
`1000` are one), or, with `numbers="any"`, not at all, which also finds a question that was asked again with other
numbers. Words that many prompts on one side have in a row are boilerplate ("relatively prime positive integers. Find"):
a run that is mostly such words says nothing. Where problems are made by a program, every prompt is boilerplate and
numbers: those are compared whole.

Left out on purpose: paraphrases, translations and the solutions' text. What is left has no long run in common with the
benchmark; that is all it means.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SIZES = (8, 10, 13)
COMMON_WORDS = 5
"""So many words in a row are boilerplate where more than COMMON_SHARE of the prompts of one side have them,"""
COMMON_SHARE = 0.02
COMMON_COUNT = 10
"""and more than so many prompts."""

Numbers = Literal["same", "any"]

_SIGNS = str.maketrans({sign: f" {name} " for sign, name in zip("-+*/^=<>×÷·√%", "mpadueltxvcrs", strict=True)})
"""Letters for the signs of arithmetic, which words leave out."""
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\d+(?:[.,]\d+)*|[^\W\d_]+")


@dataclass(frozen=True)
class Prompt:
    """A problem's own words, without the template around them. Example: `Prompt("gsm8k/1", "Natalia sold …")`

    `whole`: only compared as a whole.
    """

    id: str
    text: str
    whole: bool = False


@dataclass(frozen=True)
class Clash:
    """Why a problem was dropped. Example: `Clash("mine/7", "gsm8k/test:test", "gsm8k/test/12", "10 words", "how …")`"""

    id: str
    benchmark: str
    other: str
    how: str
    words: str


@dataclass(frozen=True)
class Contamination:
    """What was found: one clash a dropped problem. Example: `find(prompts, {"gsm8k/test:test": test}).dropped`"""

    checked: int
    benchmarks: Mapping[str, int]
    size: int
    numbers: Numbers
    clashes: tuple[Clash, ...]

    @property
    def dropped(self) -> frozenset[str]:
        return frozenset(clash.id for clash in self.clashes)

    def as_dict(self) -> dict[str, object]:
        """The report as plain values, for files and `--json`."""
        return {
            "checked": self.checked,
            "dropped": len(self.clashes),
            "ngram": self.size,
            "numbers": self.numbers,
            "benchmarks": dict(self.benchmarks),
            "clashes": [dict(vars(clash)) for clash in self.clashes],
        }


def words(text: str, numbers: Numbers = "same") -> list[str]:
    """The words of `text` as they are compared.

    >>> words("He paid $1,000.50 — twice!")
    ['he', 'paid', '1000.5', 'twice']
    """
    found = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    return [("#" if numbers == "any" else _number(word)) if word[0].isdigit() else word for word in found]


def _whole(text: str, numbers: Numbers) -> str:
    """A prompt as it is compared whole: its words, and the signs that make `2 + 3` another question than `2 - 3`."""
    return " ".join(words(unicodedata.normalize("NFKC", text).translate(_SIGNS), numbers))


def _number(text: str) -> str:
    """One spelling a value: no thousands separators, no zeros that add nothing."""
    if "," in text:
        text = text.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text) else text.replace(",", ".")
    whole, point, decimals = text.partition(".")
    if "." in decimals:
        return text
    decimals = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (point + decimals if decimals else "")


def find(
    prompts: Sequence[Prompt], benchmarks: Mapping[str, Sequence[Prompt]], size: int = 10, numbers: Numbers = "same"
) -> Contamination:
    """Which of `prompts` are in a benchmark, each with the first clash found. Linear in the words on both sides."""
    runs: dict[tuple[str, ...], tuple[str, str]] = {}
    wholes: dict[str, tuple[str, str]] = {}
    own_common = _boilerplate(words(prompt.text, numbers) for prompt in prompts if not prompt.whole)
    for name, items in benchmarks.items():
        tokens = [(item, words(item.text, numbers)) for item in items]
        common = own_common | _boilerplate(own for item, own in tokens if not item.whole)
        for item, own in tokens:
            wholes.setdefault(_whole(item.text, numbers), (name, item.id))
            for run in () if item.whole else _telling(own, size, common):
                runs.setdefault(run, (name, item.id))
    clashes = tuple(clash for prompt in prompts if (clash := _clash(prompt, runs, wholes, size, numbers)))
    return Contamination(len(prompts), {name: len(items) for name, items in benchmarks.items()}, size, numbers, clashes)


def _clash(
    prompt: Prompt,
    runs: Mapping[tuple[str, ...], tuple[str, str]],
    wholes: Mapping[str, tuple[str, str]],
    size: int,
    numbers: Numbers,
) -> Clash | None:
    own = words(prompt.text, numbers)
    same = wholes.get(_whole(prompt.text, numbers)) if own else None
    if same:
        return Clash(prompt.id, *same, "the whole prompt", " ".join(own[:size]))
    for run in () if prompt.whole else _runs(own, size):
        other = runs.get(run)
        if other:
            return Clash(prompt.id, *other, f"{size} words", " ".join(run))
    return None


def _runs(own: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(own[start : start + size]) for start in range(len(own) - size + 1))


def _boilerplate(texts: Iterable[Sequence[str]]) -> set[tuple[str, ...]]:
    texts = list(texts)
    counts: Counter[tuple[str, ...]] = Counter()
    for own in texts:
        counts.update(set(_runs(own, COMMON_WORDS)))
    limit = max(COMMON_COUNT, COMMON_SHARE * len(texts))
    return {run for run, count in counts.items() if count > limit}


def _telling(own: Sequence[str], size: int, common: set[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The runs of which at least half the words are the prompt's own, not part of boilerplate."""
    covered = [False] * len(own)
    for start, run in enumerate(_runs(own, COMMON_WORDS)):
        if run in common:
            covered[start : start + COMMON_WORDS] = [True] * COMMON_WORDS
    for start, run in enumerate(_runs(own, size)):
        if 2 * sum(covered[start : start + size]) <= size:
            yield run
