"""Where steps end: by the grammars of the embedded world, and by lines in free text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.analysis.steps import split_steps, step_ends
from mull.core.chat import Chat
from mull.model.tiny import word_tokenizer
from mull.tasks.world.corpus import Habits, Writer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

CHAT = Chat(word_tokenizer(vocabulary(), PAD, BOS, EOS))


def ids(text: str) -> tuple[int, ...]:
    return CHAT.encode_reply(text)


def test_an_attempt_ends_at_its_verdict() -> None:
    text = "<think> 3 5 + 8 2 * 5 4 - 1 no 3 2 + 5 5 * 3 oui so </think> <answer> 3 2 + 5 * </answer>"
    found = split_steps(CHAT, "countdown_mod", ids(text))
    assert found.texts == ("3 5 + 8 2 * 5 4 - 1 no", "3 2 + 5 5 * 3 oui") and found.closed
    words = CHAT.tokenizer.convert_ids_to_tokens(ids(text))
    assert [words[end] for end in found.ends] == ["no", "oui"]


def test_an_operation_ends_at_its_value_and_a_check_at_its_verdict() -> None:
    text = "<think> 3 5 + 8 2 * 5 again 3 5 + 8 2 * 5 5 - 0 yes so </think> <answer> 5 </answer>"
    found = split_steps(CHAT, "chain_mod", ids(text))
    assert found.texts == ("3 5 + 8", "2 * 5", "again 3 5 + 8", "2 * 5", "5 - 0 yes")
    cut = split_steps(CHAT, "chain_mod", ids("<think> 3 5 + 8 2 *")[:-1])
    assert cut.texts == ("3 5 + 8",) and not cut.closed
    assert split_steps(CHAT, "chain_mod", ids("<answer> 5 </answer>")).ends == ()


@given(st.integers(0, 10_000), st.booleans())
def test_on_the_corpus_the_steps_are_the_writers_own(seed: int, chain: bool) -> None:
    rng = random.Random(seed)
    writer = Writer(rng, Habits(direct=0.0, broken=0.0))
    said = (writer.chain() if chain else writer.countdown((3, 5, 8)))[1]
    found = split_steps(CHAT, "chain_mod" if chain else "countdown_mod", ids(" ".join(said[:-1])))
    verdicts = sum(word in ("yes", "no", "oui", "non") for word in said)
    operations = sum(word in ("+", "-", "*") for word in said[: said.index("</think>")])
    assert len(found.ends) == (operations if chain else verdicts) > 0
    assert " ".join(found.texts).split() == said[1 : said.index("</think>") - 1]  # all but the closing "so"


@pytest.mark.parametrize(
    ("pieces", "closed", "ends"),
    [
        (["a", " b", ".\n", "c"], True, (2, 3)),
        (["a", "\n", "\n", "c"], False, (2,)),
        (["\n", "a", "\n\n", " ", "\n", "c", "\n"], True, (4, 6)),
        (["a\nb", " c"], True, (0, 1)),
        (["a", "", "\n"], True, (2,)),
        (["\n", " "], True, ()),
        ([], True, ()),
    ],
)
def test_lines_by_hand(pieces: list[str], closed: bool, ends: tuple[int, ...]) -> None:
    assert step_ends(pieces, closed=closed) == ends


@given(st.lists(st.text(alphabet="a \n", max_size=3), max_size=12), st.booleans())
def test_lines_are_none_lost(pieces: list[str], closed: bool) -> None:
    ends = step_ends(pieces, closed=closed)
    assert list(ends) == sorted(set(ends)) and all(0 <= end < len(pieces) for end in ends)
    steps = ["".join(pieces[a + 1 : b + 1]) for a, b in zip((-1, *ends), ends, strict=False)]
    assert all(step.strip() for step in steps)
    rest = "".join(pieces[ends[-1] + 1 if ends else 0 :])
    assert not (closed and rest.strip())
