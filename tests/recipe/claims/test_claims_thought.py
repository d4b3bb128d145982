"""Where an answer first stands in a thought: by the world's grammar, by words elsewhere; and levels compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.recipe.claims.thought import share_after_answer
from mull.recipe.samples import Asked, Sample


def after(task, prompt, thought, answer, canonical=None):
    text = f"<think> {thought} </think> <answer> {answer} </answer>"
    sample = Sample(True, canonical or answer, 1.0, False, False, text, 0)
    return share_after_answer(Asked(task, "p", "f", "test", "en", 1, prompt, (sample,)), sample)


COUNTDOWN = [
    # tried last, checked: of 20 words the value is the 16th
    ("3 5 + 8 8 * 9 no 8 3 + 0 5 + 5 5 - 0 yes so", "8 3 + 5 +", 5, 5 / 20),
    # the first attempt is the answer, then it goes on to others
    ("8 3 + 0 5 + 5 no 3 5 + 8 8 * 9 no so", "8 3 + 5 +", 5, 10 / 17),
    # the same expression with a slip has not the target's value: only the second counts
    ("8 3 + 1 5 + 6 no 8 3 + 0 5 + 5 yes so", "8 3 + 5 +", 5, 2 / 17),
    # never tried
    ("3 5 + 8 8 * 9 no so", "8 3 + 5 +", 5, None),
]


@pytest.mark.parametrize(("thought", "answer", "target", "share"), COUNTDOWN)
def test_countdown_by_its_attempts(thought, answer, target, share):
    assert after("countdown_mod", f"3 5 8 make {target}", thought, answer) == (share and pytest.approx(share))


CHAINS = [
    ("3 5 + 8 2 * 5 so", "5", 1 / 8),
    ("3 5 + 8 2 * 5 again 3 5 + 8 2 * 5 5 - 0 yes so", "5", 13 / 20),
    # the first pass slips, the second ends in the answer: what follows it is its check
    ("3 5 + 8 2 * 6 no 3 5 + 8 2 * 5 5 - 0 yes so", "5", 5 / 20),
    # an intermediate value that equals the answer is not the answer
    ("3 5 + 8 2 * 6 so", "8", None),
]


@pytest.mark.parametrize(("thought", "answer", "share"), CHAINS)
def test_chains_by_their_passes(thought, answer, share):
    assert after("chain_mod", "3 5 + 2 * compute", thought, answer) == (share and pytest.approx(share))


@given(st.lists(st.sampled_from(["so", "7", "x", "that", "gives"]), max_size=12), st.integers(0, 12))
def test_free_text_by_the_first_word_that_is_the_answer(words, place):
    """The answer put at a known place: the share is what is left, unless the words held it earlier."""
    where = min(place, len(words))
    thought = [*words[:where], "42.", *words[where:]]
    assert after("sums", "17 + 25?", " ".join(thought), "42") == pytest.approx((len(words) - where) / len(thought))


@pytest.mark.parametrize(
    ("thought", "answer", "share"),
    [
        ("17 + 25 = 142 no, 42 yes", "42", 1 / 8),  # 142 is another number
        ("so (x + 1) it is, done", "x + 1", None),  # brackets belong to words here
        ("it is x + 1 done now", "x + 1", 2 / 7),
        ("nothing here", "42", None),
        ("", "42", None),
    ],
)
def test_free_text_by_hand(thought, answer, share):
    assert after("sums", "?", thought, answer) == (share and pytest.approx(share))


def levelled(bench, easy_after, hard_after):
    """Six families on level 1 and six on level 3; of ten words so many come after the answer 42."""

    def text(f, s):
        left = easy_after if f < 6 else hard_after
        words = ["w"] * (9 - left) + ["42"] + ["w"] * left
        return f"<think> {' '.join(words)} </think> <answer> 42 </answer>"

    return bench.grid(2, text=text, level=lambda f, s: 1 if f < 6 else 3, task="sums", answer="42")


@pytest.mark.parametrize(("easy", "hard", "holds"), [(6, 2, True), (2, 6, False), (4, 4, False)])
def test_overthinking_is_more_on_the_easiest_level(zero, easy, hard, holds):
    zero.measure("base", zero.grid(1, task="sums"))
    zero.measure("zero", levelled(zero, easy, hard))
    claim = zero.claim("overthinking_on_easy")
    assert (claim.holds, claim.n, claim.families) == (holds, 12, 12)
    assert (claim.before, claim.after) == (pytest.approx(hard / 10), pytest.approx(easy / 10))


def test_one_level_has_no_ends(zero):
    zero.measure("zero", zero.grid(2))
    assert zero.claim("overthinking_on_easy").reason == "no task was asked on two levels"
