"""Language claims on rows whose mixed thoughts can be counted."""

import pytest

MIXED, PURE = "<think> 3 5 + 8 no 8 2 + 10 non so </think>", "<think> 3 5 + 8 no 8 2 + 10 no so </think>"


def spoken(bench, mixing, right=2):
    """Of four thoughts a problem, the first `mixing` mix; one thought has a single word and cannot mix."""
    rows = bench.grid(
        right,
        text=lambda f, s: MIXED if s < mixing else PURE,
        language_share=lambda f, s: 2 / 3 if s < mixing else 1.0,
    )
    single = [{**row, "sample": 4, "text": "<think> 3 so </think>", "language_share": 0.0} for row in rows[::4]]
    return rows + single


def test_mixing_is_a_share_of_thoughts_that_can_mix(zero):
    zero.measure("base", spoken(zero, 1))
    zero.measure("zero", spoken(zero, 3))
    claim = zero.claim("mixing_appears")
    assert (claim.holds, claim.before, claim.after, claim.change) == (True, 0.25, 0.75, 0.5)
    assert (claim.n, claim.families, claim.stage) == (12, 12, "zero")


def test_less_mixing_does_not_hold_and_no_thought_is_no_measurement(zero):
    zero.measure("base", spoken(zero, 3))
    zero.measure("zero", spoken(zero, 1))
    assert zero.claim("mixing_appears").holds is False


def test_without_thoughts_mixing_is_open(zero):
    zero.measure("base", zero.grid(1, thinking=0))
    zero.measure("zero", zero.grid(1, thinking=0))
    claim = zero.claim("mixing_appears")
    assert (claim.holds, claim.change) == (None, None)
    assert claim.reason == "no thought has two words of a known language"


def ablation(bench, with_share, without_share, right_with, right_without, **more):
    for name, weight in (("plain", 0.0), ("rewarded", 0.3)):
        config = {
            "init": "base",
            "tasks": ["t"],
            "steps": 5,
            "reward": {"language_weight": weight},
            **more.get(name, {}),
        }
        bench.stage(name, "rl", config, metrics=[])
    bench.measure("plain", bench.grid(right_without, language_share=without_share))
    bench.measure("rewarded", bench.grid(right_with, language_share=with_share))


def test_the_reward_mends_and_costs(bench):
    ablation(bench, 0.95, lambda f, s: 0.5 + 0.1 * (s % 2), 1, 3)
    mends, cost = (bench.claim(f"language_reward_{name}") for name in ("mends", "cost"))
    assert (mends.holds, mends.before, mends.after) == (True, pytest.approx(0.55), pytest.approx(0.95))
    assert (cost.holds, cost.before, cost.after, cost.change) == (True, 0.75, 0.25, -0.5)


def test_a_reward_that_costs_nothing_fails_its_claim(bench):
    ablation(bench, 0.5, 0.9, 3, 1)
    assert bench.claim("language_reward_mends").holds is False
    assert bench.claim("language_reward_cost").holds is False


def test_thoughts_without_words_say_nothing(bench):
    ablation(bench, lambda f, s: None if s else 1.0, lambda f, s: None if s else 0.5, 1, 1)
    mends = bench.claim("language_reward_mends")
    assert (mends.before, mends.after) == (0.5, 1.0)


def test_stages_that_differ_in_more_than_the_reward_are_no_ablation(bench):
    ablation(bench, 1.0, 0.5, 1, 1, rewarded={"steps": 6})
    claim = bench.claim("language_reward_mends")
    assert claim.holds is None
    assert "no two rl stages of one init, tasks and steps" in claim.reason
