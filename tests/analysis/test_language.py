"""Language consistency against words counted by hand, in MGSM's languages, and its side doors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.analysis.language import consistency
from mull.analysis.scripts import words_of
from mull.tasks.world.words import lexicon

BY_HAND = [
    # language, text, words in all, words of the language
    ("en", "Janet eats 3 eggs, so 16 - 3 = 13 are left. Wait, let me check that.", 11, 11),
    ("en", "She has 13 eggs left. 所以她还有十三个。", 8, 4),
    ("fr", "Donc il reste 13 œufs. L'autre moitié est vendue au marché.", 10, 10),
    ("fr", "Donc il reste treize œufs. So the other half is sold at the market.", 14, 5),
    ("de", "Also bleiben noch 13 Eier übrig. Wait, I should check this again.", 10, 5),
    ("es", "Entonces quedan trece huevos en la cesta. Luego vende nueve de ellos.", 12, 12),
    ("ru", "Значит, осталось 13 яиц. Now we multiply by two.", 8, 3),
    ("ja", "残りは十三個です。Then we multiply.", 8, 5),
    ("zh", "剩下十三个鸡蛋。", 4, 4),
    ("zh", "残りの卵は十三個です。", 7, 0),
    ("bn", "তাহলে তেরোটি ডিম বাকি থাকে। So that is it.", 9, 5),
    ("th", "ดังนั้นเหลือไข่สิบสามฟอง. We are done here.", 9, 5),
    ("sw", "Kwa hiyo mayai kumi na matatu yamebaki. The answer is thirteen eggs.", 12, 7),
    ("te", "కాబట్టి పదమూడు గుడ్లు మిగిలాయి. That makes thirteen.", 7, 4),
]


@pytest.mark.parametrize(("language", "text", "words", "own"), BY_HAND)
def test_words_counted_by_hand(language: str, text: str, words: int, own: int) -> None:
    found = consistency(text, language)
    assert (found.words, found.target) == (words, own), found
    assert found.words == found.target + sum(found.by.values())


@pytest.mark.parametrize("language", ["en", "zh", "fr", "de", "es", "ru", "ja"])
def test_real_problems_are_in_their_own_language_and_in_no_other(language: str) -> None:
    here = Path(__file__).parents[2]
    folders = [Path(os.environ.get("MULL_SHARED", here.parent / "shared")) / "data" / "mgsm"]
    files = [folder / f"mgsm_{language}.tsv" for folder in folders if folder.is_dir()]
    if not files:
        pytest.skip("needs shared/data/mgsm")
    texts = [line.split("\t")[0] for line in files[0].read_text("utf-8").splitlines()]
    whole = {target: [consistency(text, target) for text in texts] for target in ("en", "zh", "fr", "de", "es", "ru")}
    for target, found in whole.items():
        share = sum(f.target for f in found) / sum(f.words for f in found)
        if target == language:
            assert share > 0.995
        elif (target, language) != ("zh", "ja"):
            assert share < 0.02
        else:
            assert share < 0.1


@pytest.mark.parametrize(
    "text",
    [
        "Voici. ```python\nreturn the sum of these numbers and print it\n```",
        "Voici `the sum of all these numbers`.",
        r"Voici $x \text{ is the answer of this}$ et \(\mathrm{where the sum goes}\).",
        r"Voici \[ \text{where all of the numbers are} \] et $$\text{the answer is this}$$",
        r"Voici \begin{align} \text{the answer is this} \end{align}",
        "Voici https://example.com/the-answer-is-this",
        "<think> Voici </think> 12 34.5 1e9 x y z",
    ],
)
def test_code_latex_links_tags_numbers_and_variables_are_no_words(text: str) -> None:
    found = consistency(text, "fr")
    assert found.by == {} and found.words <= 2


def test_money_is_not_latex() -> None:
    assert consistency("It costs $5 for one of them and $10 for two of them.", "en").words == 11


@pytest.mark.parametrize("text", ["", "1 + 1 = 2", "x = y", "$a$", "?!"])
def test_nothing_said_has_no_share(text: str) -> None:
    assert consistency(text, "en").share is None


def test_the_embedded_world_is_judged_word_by_word() -> None:
    words = lexicon("countdown_mod")
    text = "3 5 + 8 2 * 5 4 - 1 no 5 3 - 2 2 * 4 4 - 0 oui donc"
    found = consistency(text, "en", words)
    assert (found.words, found.target, found.by) == (3, 1, {"fr": 2})
    assert consistency("no yes so", "en", words).share == 1.0 and consistency("no yes so", "fr", words).share == 0.0
    assert lexicon("gsm8k") is None


@given(st.text(max_size=200), st.sampled_from(["en", "fr", "zh", "ja", "ru", "th", "ar", "xx"]))
def test_any_text_is_counted_once(text: str, language: str) -> None:
    found = consistency(text, language)
    assert 0 <= found.target <= found.words == found.target + sum(found.by.values())
    assert found.words <= sum(word.count for word in words_of(text)) + len(text)


def test_a_long_text_takes_time_in_proportion() -> None:
    """Nested openings of code and LaTeX, the usual traps of such patterns."""
    for text in ("$" * 20_000, "`" * 20_000, "\\(" * 10_000, "\\begin{a}" * 3_000, "$a" * 10_000, "a." * 20_000):
        assert consistency(text, "en").words >= 0
