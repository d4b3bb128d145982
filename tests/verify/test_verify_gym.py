"""reasoning-gym: which scorers are taken, that hostile answers are not paid, and its own answers against themselves."""

import time
from pathlib import Path

import pytest

from mull.core.errors import UserError
from mull.core.types import Message, Problem, VerdictKind
from mull.tasks.gym import gym_problems
from mull.tasks.registry import load_task
from mull.verify import check_gold, verify
from mull.verify.gym import ALLOWED, EXECUTES, REFUSED

HOSTILE = [
    "9" * 1500,
    "[[" * 700,
    "9**9**9",
    "(" * 700,
    "nan",
    "inf",
    "1e999999999",
    "0",
    "True",
    "[]",
    "!",
    "1 " * 700,
]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_scorers_that_cannot_be_trusted_are_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match=f"reasoning-gym's '{name}' is refused: "):
        check_gold(Problem("p", (), "reasoning_gym", {"dataset": name, "answer": "1", "metadata": {}}))
    verdict = verify(Problem("p", (), "reasoning_gym", {"dataset": name, "answer": "1", "metadata": {}}), "1")
    assert verdict.kind is VerdictKind.ERROR and "refused" in verdict.reason


def test_no_name_is_both_allowed_and_refused() -> None:
    assert not ALLOWED & set(REFUSED) and len(EXECUTES) == 9 and set(EXECUTES) <= ALLOWED
    assert set(REFUSED) == {
        "number_sorting", "bitwise_arithmetic", "game_of_life_halting", "coin_flip", "complex_arithmetic", "boxnet",
        "codeio", "composite",
    }  # fmt: skip
    with pytest.raises(UserError, match="unknown reasoning-gym data set 'chain_sums'; did you mean 'chain_sum'"):
        load_task("reasoning_gym/chain_sums")


class TestWithTheLibrary:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install 'mull[gym]'")

    def test_every_name_it_has_is_allowed_or_refused(self) -> None:
        from reasoning_gym.factory import DATASETS

        assert set(DATASETS) == ALLOWED | set(REFUSED)

    @pytest.mark.parametrize("name", ["chain_sum", "prime_factorization", "tower_of_hanoi", "word_ladder", "gcd"])
    def test_its_own_answers_are_right_and_hostile_ones_are_not(
        self, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        problem = load_task(f"reasoning_gym/{name}:test?limit=2")[0]
        gold = problem.data["answer"]
        assert verify(problem, gold).correct and verify(problem, f"<answer>{gold}</answer>").correct
        for text in HOSTILE:
            started = time.process_time()
            verdict = verify(problem, text)
            assert verdict.kind in (VerdictKind.WRONG, VerdictKind.INVALID) or text == gold, (text[:20], verdict)
            assert time.process_time() - started < 1.0
        assert capsys.readouterr().out == ""

    def test_an_answer_is_never_executed(self, tmp_path: Path) -> None:
        problem = load_task("reasoning_gym/gcd:train?limit=1")[0]
        target = tmp_path / "made"
        for text in (f"open({str(target)!r}, 'w')", f"[open({str(target)!r}, 'w')]"):
            assert not verify(problem, text).correct
        assert not target.exists()

    def test_problems_are_the_same_every_time_and_splits_share_no_question(self) -> None:
        gym_problems.cache_clear()
        train = gym_problems("reasoning_gym/gcd", "train", 40)
        gym_problems.cache_clear()
        assert train == gym_problems("reasoning_gym/gcd", "train", 40)
        dev, test = gym_problems("reasoning_gym/gcd", "dev", 20), gym_problems("reasoning_gym/gcd", "test", 20)
        assert (len(train), len(dev), len(test)) == (40, 20, 20)
        families = [{problem.family for problem in split} for split in (train, dev, test)]
        assert not families[0] & families[1] and not (families[0] | families[1]) & families[2]
        assert (
            isinstance(train[0].messages[0], Message)
            and train[0].id == f"reasoning_gym/gcd/{train[0].id.split('/')[-1]}"
        )

    def test_a_reference_that_its_scorer_does_not_accept_is_named(self) -> None:
        problem = load_task("reasoning_gym/prime_factorization:train?limit=1")[0]
        with pytest.raises(UserError, match="row 7: prime_factorization does not give full marks to its own answer"):
            check_gold(Problem("row 7", (), "reasoning_gym", {**problem.data, "answer": "x"}))
        with pytest.raises(UserError, match="'metadata' is missing"):
            check_gold(Problem("row 7", (), "reasoning_gym", {"dataset": "gcd", "answer": "x"}))

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("reasoning_gym/gcd:trian", "no split 'trian'"),
            ("reasoning_gym/gcd?preset=gsm8k", "makes its own problems"),
            ("reasoning_gym/codeio", "executing code"),
        ],
    )
    def test_mistakes_in_specs(self, spec: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            load_task(spec)
