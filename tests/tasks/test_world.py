"""The embedded world: honest splits, solvable problems, a corpus with the habits it claims, readable explanations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.types import Problem
from mull.tasks.world import CHAIN_MOD, COUNTDOWN_MOD
from mull.tasks.world.corpus import Document, Habits, documents
from mull.tasks.world.countdown import expressions, level_of, running_value
from mull.tasks.world.explain import Explanation, explain
from mull.tasks.world.splits import SPLITS, family_name, operand_split, triple_split
from mull.tasks.world.words import BOS, EOS, LANGUAGES, MODULUS, OPERATORS, THINK, apply, vocabulary
from mull.verify.registry import check_gold, verify

TASKS = {"countdown_mod": COUNTDOWN_MOD, "chain_mod": CHAIN_MOD}
MAKE = {language.make for language in LANGUAGES.values()}
COMPUTE = {language.compute for language in LANGUAGES.values()}


def prompt_of(problem: Problem) -> list[str]:
    return problem.messages[0].content.split()


# -- problems


@pytest.mark.parametrize("name", TASKS)
def test_families_and_problems_lie_in_one_split(name: str) -> None:
    found = {split: TASKS[name].problems(split) for split in SPLITS}
    families = {split: {p.family for p in problems} for split, problems in found.items()}
    assert len(families["dev"]) >= 40 and len(families["test"]) >= 40
    assert sum(map(len, families.values())) == len(set.union(*families.values()))
    ids = [p.id for problems in found.values() for p in problems]
    assert len(ids) == len(set(ids))
    for split, problems in found.items():
        assert problems == TASKS[name].problems(split)
        for problem in problems:
            assert problem.split == split and problem.task == name
            numbers = [w for w in prompt_of(problem) if w.isdigit()]
            if name == "countdown_mod":
                numbers = numbers[:-1]
            assert problem.family == family_name(int(n) for n in numbers)


@pytest.mark.parametrize("split", SPLITS)
def test_every_countdown_is_solvable_and_its_level_is_its_share(split: str) -> None:
    languages = Counter()
    for problem in COUNTDOWN_MOD.problems(split):
        check_gold(problem)
        target = problem.data["target"]
        every = expressions(tuple(problem.data["numbers"]))
        right = [words for words, value in every if value == target]
        assert len(every) == 54 and right
        assert verify(problem, " ".join(map(str, right[0]))).correct
        assert problem.level == level_of(len(right) / 54)
        language = LANGUAGES[problem.language]
        assert prompt_of(problem)[3:] == [language.make, str(target)]
        languages[problem.language] += 1
    assert {p.level for p in COUNTDOWN_MOD.problems(split)} == {1, 2, 3}
    assert languages["en"] == languages["fr"]


@pytest.mark.parametrize("split", SPLITS)
def test_every_chains_answer_is_what_the_calculator_says(split: str) -> None:
    levels = Counter()
    for problem in CHAIN_MOD.problems(split):
        check_gold(problem)
        *words, verb = prompt_of(problem)
        expected = running_value(tuple(words))
        assert verify(problem, str(expected)).correct and not verify(problem, str((expected + 1) % MODULUS)).correct
        assert problem.level == (len(words) - 1) // 2 - 2
        assert verb == LANGUAGES[problem.language].compute
        levels[problem.level] += 1
    assert set(levels) == {1, 2, 3, 4} and len(set(levels.values())) == 1


def test_levels_at_their_edges() -> None:
    assert [level_of(share) for share in (0.12, 0.119, 0.06, 0.059)] == [1, 2, 2, 3]


# -- corpus


def split_document(document: Document) -> tuple[list[str], list[str]]:
    """Prompt and response, told apart by what can be predicted."""
    head = document.predictable.index(True)
    return list(document.words[1:head]), list(document.words[head:])


def solutions(count: int, seed: int, habits: Habits | None = None) -> Iterator[tuple[list[str], list[str]]]:
    for document in documents(count, seed, habits or Habits(facts=0)):
        yield split_document(document)


def test_documents_are_fixed_by_their_seed() -> None:
    first = documents(200, 5)
    assert first == documents(200, 5) and first[:50] == documents(50, 5)
    assert first != documents(200, 6)
    known = set(vocabulary())
    for document in first:
        assert set(document.words) <= known and document.words[0] == BOS
        assert len(document.words) == len(document.predictable)


def test_the_corpus_holds_nothing_that_is_held_out() -> None:
    home, sizes = triple_split(), set()
    for prompt, _ in solutions(6000, 0):
        if prompt[-1] in COMPUTE:
            assert operand_split(int(w) for w in prompt[:-1] if w.isdigit()) == "train"
            continue
        assert prompt[-2] in MAKE
        numbers = [int(w) for w in prompt[:-2]]
        sizes.add(len(numbers))
        if len(numbers) == 3:
            assert home[family_name(numbers)] == "train"
    assert sizes == {2, 3, 4}


def test_the_loss_is_taken_on_responses_and_on_results_of_facts() -> None:
    for document in documents(400, 1):
        words, flags = document.words, document.predictable
        if EOS in words:
            head = flags.index(True)
            assert all(flags[head:]) and not any(flags[:head])
            assert words[head - 1] in COMPUTE or words[head - 2] in MAKE  # exactly the prompt is given
        else:  # rows of facts: left, right, operator, result
            rows = [words[i : i + 4] for i in range(1, len(words), 4)]
            assert flags == (False, *(False, False, False, True) * len(rows))
            for left, right, operator, result in rows:
                assert apply(operator, int(left), int(right)) == int(result)


def wrong_share(habits: Habits, seed: int) -> float:
    """Share of wrong values among all that thoughts in the corpus compute; differences of checks not counted."""
    right = total = 0
    for prompt, response in solutions(1500, seed, habits):
        pass_length = 3 * ((len(prompt) - 2) // 2) + 1 if prompt[-1] in COMPUTE else 3 * (len(prompt) - 3) + 1
        body = response[response.index(THINK) + 1 : response.index("</think>")]
        chunk = body[:pass_length]  # the first pass or attempt is computed before anything is checked
        for i in range(1, len(chunk), 3):
            total += 1
            right += apply(chunk[i + 1], int(chunk[i - 1]), int(chunk[i])) == int(chunk[i + 2])
    return 1 - right / total


@pytest.mark.parametrize(("slip", "careless", "chains", "expected"), [
    (0.0, 0.0, 0.5, 0.0),
    (0.2, 0.0, 0.0, 0.2),  # countdowns slip
    (0.0, 0.3, 1.0, 0.3),  # the first pass over a chain is careless
])  # fmt: skip
def test_values_are_wrong_at_the_rate_of_the_habits(
    slip: float, careless: float, chains: float, expected: float
) -> None:
    habits = Habits(facts=0, direct=0, broken=0, slip=slip, careless=careless, chains=chains)
    found = wrong_share(habits, 2)
    # a slip draws any of 11 values, the right one among them
    assert found == pytest.approx(expected * (1 - 1 / MODULUS), abs=0.02)
    assert found == 0 or expected > 0


def test_direct_and_broken_writers_come_at_their_rates() -> None:
    every = [response for _, response in solutions(3000, 4)]
    whole = [r for r in every if all(r.count(tag) == 1 for tag in (THINK, "</think>", "<answer>", "</answer>"))]
    assert len(whole) / len(every) == pytest.approx(1 - Habits().broken, abs=0.03)
    assert sum(r[1] == "</think>" for r in whole) / len(whole) == pytest.approx(Habits().direct, abs=0.03)


# -- explanations


def lines(explanation: Explanation) -> list[tuple[str, str]]:
    return [(line.kind, line.text) for line in explanation.lines]


def test_a_countdown_in_plain_words() -> None:
    text = "<think> 3 5 + 8 8 * 9 4 - 6 no 3 5 * 4 8 - 8 yes so </think> <answer> 3 5 * 8 - </answer>"
    found = explain("countdown_mod", "3 5 8 make 4", text)
    assert found.question == "Use 3, 5 and 8 once each, with two of +, − and ×, to make 4, counting modulo 11."
    assert lines(found) == [
        ("try", "tries (3 + 5) × 8 = 9"),
        ("check", "checks: 9 − 4 = 6 (a slip: it is 5), not the same"),
        ("verdict", "so: no"),
        ("try", "tries (3 × 5) − 8 = 8 (slip: 4 − 8 = 8 (a slip: it is 7))"),
        ("verdict", "so: yes, that is it"),
        ("answer", "answers (3 × 5) − 8"),
    ]


def test_a_chain_with_a_slip_and_a_second_pass() -> None:
    text = "<think> 3 5 + 9 2 * 7 again 3 5 + 8 2 * 5 7 - 9 no so </think> <answer> 5 </answer>"
    found = explain("chain_mod", "3 5 + 2 * calculer", text)
    assert found.question == "Compute (3 + 5) × 2 modulo 11."
    assert lines(found) == [
        ("step", "3 + 5 = 9 (a slip: it is 8)"),
        ("step", "9 × 2 = 7"),
        ("check", "computes it again, to check"),
        ("step", "3 + 5 = 8"),
        ("step", "8 × 2 = 5"),
        ("check", "checks: 5 − 7 = 9, not the same"),
        ("verdict", "so: no"),
        ("answer", "answers 5"),
    ]


def test_only_a_difference_beyond_the_problem_is_a_check() -> None:
    chain = explain("chain_mod", "3 5 + 2 - compute", "<think> 3 5 + 8 2 - 6 no </think> <answer> 6 </answer>")
    assert [kind for kind, _ in lines(chain)] == ["step", "step", "verdict", "answer"]
    text = "<think> 3 5 + 8 8 * 9 7 - 2 no </think> <answer> 3 </answer>"  # 7 is not the target
    assert lines(explain("countdown_mod", "3 5 8 make 4", text))[0] == ("try", "tries ((3 + 5) × 8) − 7 = 2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think> 3 5 + so </think> <answer> 5 </answer>", "loses the thread: 3 5 +"),
        ("<think> 3 5 + 8", "never ends its thought"),
        ("<think> 3 5 + 8 so </think> 8", "gives no marked answer"),
        ("<think> </think> <answer> 8", "never closes its answer"),
        ("<think> </think> <answer> </answer>", "answers nothing"),
        ("<think> </think> 8 <answer> 8 </answer>", "writes outside its thought and answer: 8"),
        ("", "gives no marked answer"),
    ],
)
def test_what_is_broken_is_said(text: str, expected: str) -> None:
    for task, prompt in (("countdown_mod", "3 5 8 make 4"), ("chain_mod", "3 5 + 8 * compute")):
        assert expected in [line.text for line in explain(task, prompt, text).lines]


words = st.sampled_from([*vocabulary(), *OPERATORS, "3", "5", "8", "again", "yes", "no"])


@given(
    st.lists(words, max_size=60), st.sampled_from([("countdown_mod", "3 5 8 make 4"), ("chain_mod", "3 5 + compute")])
)
def test_any_soup_of_tokens_is_explained(soup: list[str], task: tuple[str, str]) -> None:
    found = explain(*task, " ".join(soup))
    assert found.question and all(line.text.strip() for line in found.lines)
    shown = " ".join(line.text for line in found.lines)
    assert "<answer>" in soup or "gives no marked answer" in shown


def test_the_corpus_itself_is_explained_without_a_lost_thread() -> None:
    habits = Habits(facts=0, broken=0)
    for prompt, response in solutions(500, 8, habits):
        task = "chain_mod" if prompt[-1] in COMPUTE else "countdown_mod"
        found = explain(task, " ".join(prompt), " ".join(response[:-1]))
        assert not [line for line in found.lines if line.kind == "broken"], response


def test_other_tasks_are_not_explained() -> None:
    with pytest.raises(ValueError, match="no task of the embedded world"):
        explain("gsm8k", "?", "")
