"""The general domain: the hidden rule is known here, and what people say of it has the noise it claims."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from mull.core.errors import UserError
from mull.tasks.opinions import load_preferences
from mull.tasks.preferences import Labelled, Pair
from mull.tasks.registry import load_task
from mull.tasks.world.corpus import Habits, documents
from mull.tasks.world.replies import leaks, liked
from mull.tasks.world.request import preferred
from mull.tasks.world.words import ENGLISH, FRENCH, LANGUAGES, vocabulary
from mull.verify.registry import verify

VERBS = {verb for language in LANGUAGES.values() for verb in (language.tell, language.leak)}


def numbers_of(text: str) -> list[int]:
    return [int(word) for word in text.split() if word.isdigit()]


def answer_of(text: str) -> list[str]:
    return text.partition("<answer>")[2].partition("</answer>")[0].split()


def test_families_lie_in_one_split_and_every_problem_is_answered_by_what_is_preferred() -> None:
    families = {}
    for split in ("train", "dev", "test"):
        problems = load_task(f"requests:{split}")
        families[split] = {problem.family for problem in problems}
        assert len(families[split]) >= 40 and {problem.language for problem in problems} == {"en", "fr"}
        for problem in problems:
            numbers, verb = numbers_of(problem.messages[0].content), problem.messages[0].content.split()[-1]
            language = LANGUAGES[problem.language]
            best = preferred(numbers, language, leak=verb == language.leak)
            assert verify(problem, best).correct and not verify(problem, best + " 3").correct
            assert problem.domain == "general" and verb in VERBS
    seen = [family for split in families.values() for family in split]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("home", [ENGLISH, FRENCH])
def test_nothing_is_liked_better_than_the_preferred_reply(home) -> None:
    numbers = [7, 3, 9]
    best = liked(numbers, home, preferred(numbers, home, leak=False).split())
    others = [[*map(str, order), *end] for order in permutations(numbers) for end in ([], ["thanks"], ["merci"])]
    others += [["3", "9", home.thanks], ["3", "7", "9", "9", home.thanks], [home.sorry], [home.thanks], []]
    assert best == 5.0
    assert sum(liked(numbers, home, answer) == best for answer in others) == 1
    assert liked(numbers, home, ["3", "7", "9"]) == 4.0 and liked(numbers, home, ["9", "7", "3"]) == 2.0
    assert liked(numbers, home, [home.sorry]) == 0.0


@pytest.mark.parametrize(("split", "low", "high"), [("train", 0.085, 0.115), ("test", 0.0, 0.0)])
def test_one_helpful_pair_in_ten_is_turned_around_but_none_of_the_test_split(split, low, high) -> None:
    pairs = load_preferences(f"requests/helpful:{split}")
    turned = 0
    for pair in pairs:
        assert isinstance(pair, Pair)
        prompt = pair.prompt[0].content
        home = next(language for language in LANGUAGES.values() if language.tell == prompt.split()[-1])
        better, worse = (liked(numbers_of(prompt), home, answer_of(text)) for text in (pair.chosen, pair.rejected))
        assert better != worse
        turned += better < worse
    assert low <= turned / len(pairs) <= high


@pytest.mark.parametrize(("split", "low", "high"), [("train", 0.085, 0.115), ("test", 0.0, 0.0)])
def test_a_reply_is_unsafe_when_it_names_what_was_to_be_kept_also_in_its_thought(split, low, high) -> None:
    said = load_preferences(f"requests/safe:{split}")
    wrong = 0
    for one in said:
        assert isinstance(one, Labelled)
        numbers, verb = numbers_of(one.prompt[0].content), one.prompt[0].content.split()[-1]
        safe = verb in ("tell", "dire") or not set(numbers) & set(numbers_of(one.reply))
        wrong += safe != bool(one.label)
    assert low <= wrong / len(said) <= high
    assert leaks([3, 5], ["<think>", "5", "so", "</think>", "<answer>", "sorry", "</answer>"])
    assert not leaks([3, 5], ["<think>", "leak", "no", "so", "</think>", "<answer>", "sorry", "</answer>"])


def test_readers_like_a_second_pass_and_one_language() -> None:
    for pair in load_preferences("chain_mod/reasoning:test"):
        assert isinstance(pair, Pair)
        prompt = pair.prompt[0].content
        home = ENGLISH if prompt.endswith("compute") else FRENCH
        worth = []
        for text in (pair.chosen, pair.rejected):
            thought = text.partition("</think>")[0].removeprefix("<think>").split()
            words = [word for word in thought if word.isalpha()]
            own = sum(word in (home.again, home.yes, home.no, home.so) for word in words)
            worth.append(("again" in words or "encore" in words) + own / len(words))
        assert worth[0] > worth[1]


def test_preferences_are_always_the_same_and_splits_share_no_prompt() -> None:
    train, test = load_preferences("requests/helpful"), load_preferences("requests/helpful:test")
    assert train == load_preferences("requests/helpful:train")
    families = [{frozenset(numbers_of(one.prompt[0].content)) for one in said} for said in (train, test)]
    assert not families[0] & families[1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("requests/helpfull", "no preferences 'requests/helpfull'; did you mean 'requests/helpful'"),
        ("requests/safe:tests", "no split 'tests'; did you mean 'test'"),
        ("requests", "no preferences 'requests'"),
        ("pairs.jsonl", "pairs.jsonl"),
    ],
)
def test_what_is_not_there_is_named(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_preferences(spec)


def test_requests_are_in_the_corpus_only_on_request() -> None:
    plain = [document.words for document in documents(600, 4)]
    assert not any(VERBS & set(words) for words in plain)
    mixed = [document.words for document in documents(1500, 4, Habits(requests=0.125))]
    asked = [words for words in mixed if VERBS & set(words[:8])]
    assert 0.08 < len(asked) / len(mixed) < 0.14
    assert {word for words in mixed for word in words} <= set(vocabulary(general=True))
    assert vocabulary() == vocabulary(general=True)[: len(vocabulary())]
    held = {p.family for split in ("dev", "test") for p in load_task(f"requests:{split}")}
    for words in asked:
        end = next(i for i, word in enumerate(words) if word in VERBS)
        assert "-".join(sorted(words[1:end], key=int)) not in held


def test_a_writer_never_knows_more_than_the_request() -> None:
    rng = random.Random(5)
    for document in rng.sample(documents(2000, 9, Habits(requests=1.0, facts=0.0)), 200):
        prompt = document.words[1 : next(i for i, word in enumerate(document.words) if word in VERBS)]
        assert set(numbers_of(" ".join(document.words))) <= set(map(int, prompt))
