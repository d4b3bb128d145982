"""The thought/answer machine against a brute-force reader of the whole text, over every way to cut it into tokens."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mull.core.thinking import R1_TAGS, R1_ZERO_TAGS, Parts, Phase, Tags, ThoughtParser, split_completion
from mull.core.types import Span

ODD_TAGS = Tags("{t(", "}u)", "[[v", "]]w")
SHREDS = "<think> </think> <answer> </answer> < </ > think <thin answer> x é {t( }u) [[v ]]w { [ ] t("
fragments = st.sampled_from([*SHREDS.split(), " ", "\n", "4 + 5"])
texts = st.lists(fragments, max_size=14).map("".join)
usual = st.tuples(texts, texts).map(lambda p: f"<think>{p[0]}</think> <answer>{p[1]}</answer>")
cuts = st.lists(st.integers(0, 400), max_size=40)
any_tags = st.sampled_from([R1_ZERO_TAGS, R1_TAGS, ODD_TAGS])


def cut(text: str, places: list[int]) -> list[str]:
    """`text` in pieces, some of them empty."""
    edges = [0, *sorted(min(p, len(text)) for p in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def brute_well_formed(text: str, tags: Tags, prefilled: bool) -> bool:
    """A regular expression over the whole text, independent of the machine."""
    any_tag = "|".join(map(re.escape, tags.all))
    inner = rf"(?:(?!{any_tag}).)*"
    form = rf"{inner}{re.escape(tags.think_close)}"
    if not prefilled:
        form = rf"\s*{re.escape(tags.think_open)}" + form
    if tags.answer_open and tags.answer_close:
        form += rf"\s*{re.escape(tags.answer_open)}{inner}{re.escape(tags.answer_close)}\s*"
    else:
        form += inner
    return re.fullmatch(form, text, re.DOTALL) is not None


def brute_texts(text: str, tags: Tags, prefilled: bool) -> tuple[str | None, str | None]:
    """Thought and answer by str.find: the first thought if it opens before any answer, then the answer after it."""
    thought, rest = None, text
    opened = 0 if prefilled else text.find(tags.think_open)
    if tags.answer_open is None or tags.answer_close is None:
        if not prefilled and (opened < 0 or text[:opened].strip()):
            return None, text if text.strip() else None
        inside = text[0 if prefilled else opened + len(tags.think_open) :]
        thought, closed, answer = inside.partition(tags.think_close)
        return thought, answer if closed else None
    direct = text.find(tags.answer_open)
    if prefilled or (opened >= 0 and (direct < 0 or opened < direct)):
        inside = text[0 if prefilled else opened + len(tags.think_open) :]
        thought, closed, rest = inside.partition(tags.think_close)
        if not closed:
            return thought, None
    _, found, answer = rest.partition(tags.answer_open)
    return thought, answer.partition(tags.answer_close)[0] if found else None


@given(texts | usual, cuts, any_tags, st.booleans())
@example("<think>a</think><answer>b</answer>", [7, 9, 12, 13, 18], R1_ZERO_TAGS, False)
@example("<think></think><answer></answer>", [], R1_ZERO_TAGS, False)
@example("a <think> b </think>", [], R1_TAGS, False)
def test_any_split_gives_the_same_parts_as_the_whole_text(
    text: str, places: list[int], tags: Tags, prefilled: bool
) -> None:
    pieces = cut(text, places)
    parts = split_completion(pieces, tags, prefilled)
    assert (parts.thinking_text, parts.answer_text) == brute_texts(text, tags, prefilled)
    assert parts.well_formed == brute_well_formed(text, tags, prefilled)
    parser = ThoughtParser(tags, prefilled)
    for piece in pieces:
        parser.feed(piece)
        parser.parts()  # asking early changes nothing
    assert parser.parts() == parts
    check_spans(parts, pieces)


def check_spans(parts: Parts, pieces: list[str]) -> None:
    """Spans lie in range, in order, do not overlap, and their tokens hold the part's text."""
    for span, text in ((parts.thinking, parts.thinking_text), (parts.answer, parts.answer_text)):
        assert (span is None) == (text is None)
        if span is None or text is None:
            continue
        assert 0 <= span.start <= span.end <= len(pieces)
        fused = parts.thinking is not None and parts.answer is not None and parts.thinking.end == parts.answer.start
        if not fused:
            assert text in "".join(pieces[span.start : span.end])
    if parts.thinking is not None and parts.answer is not None:
        assert parts.thinking.end <= parts.answer.start


@given(texts, texts)
def test_one_character_a_token_gives_exact_spans(thought: str, answer: str) -> None:
    text = f"<think>{thought}</think><answer>{answer}</answer>"
    parts = split_completion(list(text))
    for span, content in ((parts.thinking, parts.thinking_text), (parts.answer, parts.answer_text)):
        if span is not None:
            assert text[span.start : span.end] == content


def test_single_token_tags() -> None:
    pieces = ["<think>", " 1", " 2", " </think>", " <answer>", " 3", " </answer>", ""]
    parts = split_completion(pieces)
    assert (parts.thinking, parts.answer) == (Span(1, 4), Span(5, 7))  # " </think>" begins with a space of the thought
    assert parts.well_formed and parts.closed and parts.answer_closed
    assert (parts.thinking_text, parts.answer_text) == (" 1 2 ", " 3 ")


def test_fused_and_split_tags() -> None:
    parts = split_completion(["<th", "ink", ">hm", "</", "think", "><", "answer", ">", "42", "</answer>"])
    assert (parts.thinking, parts.answer, parts.well_formed) == (Span(2, 3), Span(8, 9), True)


def test_one_token_with_both_parts_counts_once() -> None:
    parts = split_completion(["<think>", "a</think><answer>b", "</answer>"])
    assert (parts.thinking, parts.answer) == (Span(1, 2), Span(2, 2))
    assert (parts.thinking_text, parts.answer_text) == ("a", "b")


def test_incomplete_characters_count_to_the_thought_and_end_tokens_do_not() -> None:
    assert split_completion(["<think>", "", "", "😀", "</think>"]).thinking == Span(1, 4)
    assert split_completion(["<think>", "a", "", ""]).thinking == Span(1, 2)
    assert split_completion(["a", "</think>", "b", ""], R1_TAGS, prefilled=True).answer == Span(2, 3)


@pytest.mark.parametrize(
    ("text", "prefilled", "thinking", "answer"),
    [
        ("a</think><answer>b</answer>", False, None, "b"),
        ("<think>a</think><think>b</think><answer>c</answer>", False, "a", "c"),
        ("<think>a</think><answer>b</answer> and more", False, "a", "b"),
        ("<think>a <answer>b</answer>", False, "a <answer>b</answer>", None),
        ("<think>a</think><answer>b", False, "a", "b"),
        ("<answer>b</answer>", False, None, "b"),
        ("<think>a</think><answer>b</answer>", True, "<think>a", "b"),
        ("<think>a</think>", False, "a", None),
        ("", False, None, None),
        ("", True, "", None),
    ],
)
def test_broken_forms_are_not_well_formed(text: str, prefilled: bool, thinking: str | None, answer: str | None) -> None:
    parts = split_completion([text], prefilled=prefilled)
    assert not parts.well_formed
    assert (parts.thinking_text, parts.answer_text) == (thinking, answer)


def test_prefilled_thought_is_well_formed_without_its_opening_tag() -> None:
    """Silent fault 10: with a pre-filled `<think>` the format reward was always 0."""
    text = "a</think><answer>b</answer>"
    assert split_completion([text], prefilled=True).well_formed
    assert not split_completion([text]).well_formed


def test_unclosed_answer_says_so() -> None:
    parts = split_completion(["<think>", "a", "</think>", "<answer>", "12"])
    assert parts.closed and not parts.answer_closed and parts.answer == Span(4, 5)


def test_phase_follows_the_stream() -> None:
    parser = ThoughtParser()
    seen = []
    for piece in ["<thi", "nk>", "a", "</think>", "<answer>", "b", "</answer>"]:
        parser.feed(piece)
        seen.append(parser.phase)
    assert seen == [
        Phase.BEFORE, Phase.THINKING, Phase.THINKING, Phase.BETWEEN, Phase.ANSWER, Phase.ANSWER, Phase.AFTER,
    ]  # fmt: skip


def test_literal_tag_in_a_plain_answer_is_text() -> None:
    parts = split_completion(["<think>a</think>use <think> here"], R1_TAGS)
    assert parts.answer_text == "use <think> here" and not parts.well_formed


@pytest.mark.parametrize("tags", [("", "b"), ("a", "a"), ("<t", "<t>"), ("<<t", "t>>")])
def test_tags_that_cannot_be_told_apart_are_refused(tags: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="choose tags that differ"):
        Tags(*tags)
