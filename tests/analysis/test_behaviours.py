"""A check is a form, not a word that happens to be near."""

from __future__ import annotations

import pytest

from mull.analysis.behaviours import checks
from mull.tasks.world.corpus import Habits, documents
from mull.tasks.world.words import BOS, END_THINK, THINK


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        ("3 5 + 8 8 * 9 4 - 5 no so", True),
        ("5 8 + 2 3 - 10 4 - 6 non 3 5 + 8 8 * 9 no", True),
        ("3 5 + 8 8 * 9 no", False),  # a verdict without a difference
        ("3 5 + 8 8 * 9 4 - 5", False),  # a difference without a verdict
        ("3 5 + 8 8 * 9 7 - 2 no", False),  # the difference to something else than the target
        ("4 - 5 no", False),
        ("", False),
    ],
)
def test_countdown_check_is_target_minus_difference(thought: str, expected: bool) -> None:
    assert checks("countdown_mod", "3 5 8 make 4", thought) is expected


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        ("3 5 + 8 8 * 9 again 3 5 + 8 8 * 9 9 - 0 yes so", True),
        ("3 5 + 8 encore 3 5 + 8 8 - 0 oui", True),
        ("3 5 + 8 8 * 9 again 3 5 + 8 8 * 9", False),
        ("again yes", False),
        ("3 5 + 8 8 * 9 so", False),
    ],
)
def test_chain_check_is_a_second_pass_and_a_difference(thought: str, expected: bool) -> None:
    assert checks("chain_mod", "3 5 + 8 * compute", thought) is expected


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        ("so x = 4. Let me check: 2*4 = 8.", True),
        ("We verify by plugging the value back in.", True),
        ("Vérifions : 3 + 5 = 8.", True),
        ("I should double-check the sum.", True),
        ("The checkered board has 64 squares.", False),
        ("He wrote a check for 5 dollars.", False),
        ("3 5 + 8 8 * 9 4 - 5 no so", False),
    ],
)
def test_free_text_checks_by_phrase(thought: str, expected: bool) -> None:
    assert checks("gsm8k", "3 5 8 make 4", thought) is expected


@pytest.mark.parametrize(("share", "expected"), [(1.0, True), (0.0, False)])
def test_the_corpus_writers_check_or_do_not(share: float, expected: bool) -> None:
    habits = Habits(facts=0, direct=0, checks=share, broken=0, sizes=(0, 1, 0))
    for document in documents(150, 3, habits):
        words = list(document.words)
        opened, closed = words.index(THINK), words.index(END_THINK)
        prompt, thought = " ".join(words[words.index(BOS) + 1 : opened]), " ".join(words[opened + 1 : closed])
        task = "chain_mod" if prompt.split()[-1] in ("compute", "calculer") else "countdown_mod"
        assert checks(task, prompt, thought) is expected
