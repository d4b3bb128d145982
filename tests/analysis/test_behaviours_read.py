"""Grammar, copies, loops and languages; where a spot is; and that nothing a model writes makes reading slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.analysis.behaviours import ABOUT, Behaviour, behaviours, checks, chinese, english, others
from mull.analysis.behaviours.embedded import SPOKEN, TASKS, VERDICTS
from mull.analysis.behaviours.rules import AROUND, lowered, windows
from mull.tasks.world.corpus import Habits, documents
from mull.tasks.world.words import BOS, END_THINK, LANGUAGES, THINK, lexicon
from mull.tasks.world.words import TASKS as WORLD

B = Behaviour
TEXTS = [
    json.loads(line)["text"] for line in Path(__file__).with_name("labelled.jsonl").read_text("utf-8").splitlines()
]
RULES = (*english.RULES, *chinese.RULES, *others.FRENCH, *others.GERMAN)


def counts(task: str, prompt: str, thought: str, language: str = "en") -> dict[Behaviour, int | None]:
    return dict(behaviours(task, prompt, thought, language).counts)


@pytest.mark.parametrize(
    ("thought", "verified", "backtracked", "switched", "repeated"),
    [
        ("3 5 + 8 8 * 9 4 - 5 no 5 8 + 2 3 - 10 4 - 6 no so", 2, 1, 0, 0),
        ("3 5 + 8 8 * 9 no 3 5 + 8 8 * 9 no", 0, 0, 0, 1),  # the same again is no other path
        ("3 5 + 8 8 * 9 no 3 5 + 8 8 * 7 no", 0, 0, 0, 1),  # the same attempt with another value
        ("3 5 + 8 8 * 9 non 5 3 - 2 8 * 5 oui donc", 0, 1, 1, 0),  # French in an English problem: one switch
        ("3 5 + 8 8 * 9 no 5 3 - 2 8 * 5 oui so", 0, 1, 2, 0),
        ("3 5 + 8 8 * 4 yes 5 3 - 2 8 * 5 no", 0, 0, 0, 0),  # nothing had failed before it
        ("3 5 + 8 8 * 9 7 - 2 no", 0, 0, 0, 0),  # a difference, but not to the target
        ("3 + no no 5", 0, 0, 0, 0),
        ("", 0, 0, 0, 0),
    ],
)
def test_countdown_by_its_grammar(thought, verified, backtracked, switched, repeated) -> None:
    found = counts("countdown_mod", "3 5 8 make 4", thought)
    expected = [verified, backtracked, switched, repeated]
    named = (B.SELF_VERIFICATION, B.BACKTRACKING, B.LANGUAGE_SWITCH, B.REPETITION_LOOP)
    assert [found[b] for b in named] == expected
    assert all(found[b] is None for b in B if b not in named), "the grammar has no words for these"


@pytest.mark.parametrize(
    ("thought", "verified", "backtracked", "repeated"),
    [
        ("3 5 + 8 8 * 9 so", 0, 0, 0),
        ("3 5 + 8 again 3 5 + 8 8 - 0 yes so", 1, 0, 0),
        ("3 5 + 9 again 3 5 + 7 9 - 9 no again 3 5 + 8 7 - 1 no", 2, 1, 0),
        ("3 5 + 9 again 3 5 + 8 9 - 10 no again 3 5 + 8 8 - 0 yes", 2, 0, 1),
        ("3 5 + 8 again yes", 0, 0, 0),
        ("again again again", 0, 0, 0),
    ],
)
def test_chain_by_its_grammar(thought, verified, backtracked, repeated) -> None:
    found = counts("chain_mod", "3 5 + compute", thought)
    assert [found[b] for b in (B.SELF_VERIFICATION, B.BACKTRACKING, B.REPETITION_LOOP)] == [
        verified, backtracked, repeated,
    ]  # fmt: skip


def test_the_grammar_uses_the_worlds_own_words() -> None:
    assert lexicon("countdown_mod") == SPOKEN
    assert {**{v.yes: True for v in LANGUAGES.values()}, **{v.no: False for v in LANGUAGES.values()}} == VERDICTS
    assert TASKS == WORLD


def test_the_corpus_is_read_as_it_was_written() -> None:
    """Counted independently: a verdict of a writer who checks is a check; all but the last attempt are given up."""
    habits = Habits(facts=0, direct=0, checks=1, broken=0, sizes=(0, 1, 0), mixes=0, wrong_language=0)
    seen = 0
    for document in documents(300, 5, habits):
        words = list(document.words)
        opened, closed = words.index(THINK), words.index(END_THINK)
        asked, thought = words[words.index(BOS) + 1 : opened], words[opened + 1 : closed]
        task = "chain_mod" if asked[-1] in ("compute", "calculer") else "countdown_mod"
        language = "fr" if {"faire", "calculer"} & set(asked) else "en"
        found = counts(task, " ".join(asked), " ".join(thought), language)
        verdicts = [word for word in thought if word in VERDICTS]
        assert found[B.SELF_VERIFICATION] == len(verdicts)
        assert checks(task, " ".join(asked), " ".join(thought)) is (len(verdicts) > 0)
        assert found[B.LANGUAGE_SWITCH] == 0
        if task == "countdown_mod":
            seen += 1
            assert (found[B.BACKTRACKING] or 0) + (found[B.REPETITION_LOOP] or 0) == len(verdicts) - 1
    assert seen > 50


QUESTION = "First, each guest has to wait for seven minutes. Case 1: 12 cans of soda. Case 2: 9 cans."


def test_what_is_copied_from_the_question_shows_nothing() -> None:
    once = counts("gsm8k", QUESTION, f"So {QUESTION} That makes 21 cans.")
    assert once[B.DECOMPOSITION] == once[B.CASE_ANALYSIS] == once[B.RE_READING] == 0
    assert counts("gsm8k", "How many?", QUESTION)[B.CASE_ANALYSIS], "the same words as the thought's own"


def test_copied_a_second_time_it_is_read_again() -> None:
    thought = f"{QUESTION} That makes 21 cans, or does it, as I have to see now: {QUESTION} Yes, 21."
    assert counts("gsm8k", QUESTION, thought)[B.RE_READING] == 1


def test_a_loop_is_three_times_the_same_words() -> None:
    unit = "so we add one to the left side and "
    assert counts("x", "", unit * 2)[B.REPETITION_LOOP] == 0
    assert counts("x", "", unit * 3)[B.REPETITION_LOOP] == 1
    (spot,) = [s for s in behaviours("x", "", "Well. " + unit * 5, "").spots if s.behaviour is B.REPETITION_LOOP]
    assert (spot.start, spot.end) == (6, 6 + 5 * len(unit) - 1)
    assert behaviours("x", "", unit * 5, "").repeated > 0.7
    assert counts("x", "", "1 0 " * 50)[B.REPETITION_LOOP] == 0, "a list of numbers"


@pytest.mark.parametrize("unit", [1, 2, 5, 30])
@pytest.mark.parametrize("times", [9, 20])
def test_loops_of_any_period_are_found(unit: int, times: int) -> None:
    words = " ".join(f"word{chr(97 + i % 26)}{i}x" for i in range(unit)).replace("0", "o") + " "
    words = words if unit > 1 else "word "
    assert counts("x", "", words * times)[B.REPETITION_LOOP] == 1


def test_a_language_without_lists_has_only_what_needs_no_words() -> None:
    found = counts("x", "", "Espera, wait, voy a comprobar.", "es")
    assert found == {b: 0 if b is B.REPETITION_LOOP else None for b in B}


def test_spots_are_the_words_that_show_it() -> None:
    thought = "İt is 8. WAIT, no. Let’s double-check that."
    shown = {s.behaviour: thought[s.start : s.end] for s in behaviours("x", "", thought, "en").spots}
    assert shown[B.REFLECTION] == "WAIT"
    assert "double-check" in shown[B.SELF_VERIFICATION]


def test_every_behaviour_is_explained() -> None:
    assert set(ABOUT) == set(B)


@given(st.text(alphabet="iİẞAß’‘你\n", max_size=40))
def test_lowering_moves_nothing(text: str) -> None:
    assert len(lowered(text)) == len(text)


@given(st.lists(st.sampled_from([*TEXTS, " ", "wait ", "x" * 90]), max_size=12))
def test_looking_near_keys_only_finds_what_looking_everywhere_finds(texts: list[str]) -> None:
    small = lowered(" ".join(texts))
    for rule in RULES:
        near = {m.span() for low, high in windows(small, rule.keys) for m in rule.pattern.finditer(small, low, high)}
        everywhere = {m.span() for m in rule.pattern.finditer(small)}
        assert {start for start, _ in everywhere} <= {start for start, _ in near}, rule
        assert all(end - start < AROUND for start, end in everywhere)


@given(st.text(max_size=300), st.text(max_size=60), st.sampled_from(["", "en", "zh", "fr", "de", "ja"]))
def test_any_text_is_read(thought: str, prompt: str, language: str) -> None:
    for task in ("gsm8k", *TASKS):
        read = behaviours(task, prompt, thought, language)
        assert all(0 <= s.start < s.end <= len(thought) for s in read.spots)
        assert sum(count or 0 for count in read.counts.values()) == len(read.spots)


def test_reading_is_linear_by_form() -> None:
    """No pattern repeats without a bound, so a match has a longest length and every place costs a fixed amount."""
    for rule in RULES:
        for pattern in (rule.pattern, rule.unless):
            assert pattern is None or not any(
                mark in pattern.pattern for mark in (")*", ")+", "]*", "]+", "w*", "w+", ",}")
            )


@pytest.mark.parametrize("unit", ["a", "if n is even, "])
def test_a_megabyte_of_anything_is_read(unit: str) -> None:
    thought = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    assert behaviours("gsm8k", "3 5 8 make 4", thought, "en").counts


@pytest.mark.parametrize(("task", "unit"), list(zip(TASKS, ["3 5 + 8 8 * 9 4 - 5 no ", "again "], strict=True)))
def test_a_megabyte_of_grammar_is_read(task: str, unit: str) -> None:
    thought = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    assert behaviours(task, "3 5 8 make 4", thought, "en").counts
