"""Open-ended problems, greedy decoding and memory: each claim holding, failing and open."""

import pytest


def domains(bench, general, math):
    """Six families of each domain with so many of four samples right."""
    return bench.grid(lambda f: general if f < 6 else math, domain=lambda f, s: "general" if f < 6 else "math")


def test_open_ended_problems_gain_less(zero):
    zero.measure("base", domains(zero, 1, 0))
    zero.measure("zero", domains(zero, 2, 3))
    claim = zero.claim("open_ended_gains_smaller")
    assert (claim.holds, claim.before, claim.after, claim.change) == (True, 0.25, 0.75, 0.5)
    assert (claim.n, claim.effect) == (12, "difference of gains")


def test_open_ended_problems_that_gain_more_refute_it(zero):
    zero.measure("base", domains(zero, 0, 1))
    zero.measure("zero", domains(zero, 3, 2))
    assert zero.claim("open_ended_gains_smaller").holds is False


@pytest.mark.parametrize(
    ("columns", "why"),
    [({}, "name no domains"), ({"domain": "math"}, 'no problem of domain "general" was asked on both sides')],
)
def test_without_open_ended_problems_it_is_open(zero, columns, why):
    zero.measure("base", zero.grid(1, **columns))
    zero.measure("zero", zero.grid(3, **columns))
    assert why in zero.claim("open_ended_gains_smaller").reason


def test_greedy_decoding_is_held_against_sampling(zero):
    zero.measure("zero", zero.grid(3), temperature=0.6)
    loop = "<think> " + "1 2 3 4 5 6 7 8 " * 3 + "</think>"
    zero.measure("zero", zero.grid(lambda f: f % 4 == 0, samples=1, text=loop), temperature=0.0)
    claim = zero.claim("greedy_hurts")
    assert (claim.holds, claim.before, claim.after, claim.change) == (True, 0.75, 0.25, -0.5)
    # 24 words hold 17 runs of 8, of which 8 differ
    assert "at temperature 0.6" in claim.statement and "53% of its 8-word runs" in claim.statement


def test_greedy_decoding_may_help(zero):
    zero.measure("zero", zero.grid(2), temperature=1.0)
    zero.measure("zero", zero.grid(1, samples=1), temperature=0.0)
    claim = zero.claim("greedy_hurts")
    assert (claim.holds, claim.change) == (False, 0.5)


def test_greedy_alone_measures_nothing_and_is_not_the_model_s_measurement(zero):
    zero.measure("base", zero.grid(1))
    zero.measure("zero", zero.grid(4, samples=1), temperature=0.0)
    found = zero.claims()
    assert "both at temperature 0 and above" in found["greedy_hurts"].reason
    assert found["zero_improves"].reason == "no evaluate stage has model = 'zero'"


def spend(bench, rl, ppo, **more):
    """Peaks in MB a step."""
    for name, kind, peaks in (("groups", "rl", rl), ("critic", "ppo", ppo)):
        config = {"init": "base", "prompts": 8, "group_size": 8, **(more if kind == "ppo" else {})}
        rows = [{"step": t, **({"peak_memory": int(p * 1e6)} if p else {})} for t, p in enumerate(peaks)]
        bench.stage(name, kind, config, metrics=rows)
    return bench.claim("grpo_saves_memory")


def test_a_critic_takes_memory(bench):
    claim = spend(bench, [100, 110, 120], [200, 210, 230, 900])
    assert (claim.holds, claim.n, claim.before, claim.after) == (True, 3, 110e6, pytest.approx(640e6 / 3))
    assert claim.change == pytest.approx(640 / 330)
    assert claim.statement.endswith("(110 MB with groups, 213 MB with a critic, over 3 steps).")


def test_a_critic_that_takes_none_refutes_it(bench):
    assert spend(bench, [100, 110, 120], [100, 110, 118]).holds is False


@pytest.mark.parametrize(
    ("rl", "more", "why"),
    [
        ([0, 0], {}, "hold no peak_memory"),
        ([1, 1], {"prompts": 9}, "no rl and ppo stage share init, prompts, group_size and"),
    ],
)
def test_memory_that_was_not_told_is_not_measured(bench, rl, more, why):
    assert why in spend(bench, rl, [5, 5], **more).reason


def test_other_claims_leave_open_ended_problems_out(zero):
    zero.measure("base", domains(zero, 4, 0))
    zero.measure("zero", domains(zero, 0, 3))
    claim = zero.claim("zero_improves")
    assert (claim.before, claim.after, claim.n) == (0.0, 0.75, 6)


def test_where_nothing_else_was_asked_they_count(zero):
    zero.measure("base", zero.grid(0, domain="general"))
    zero.measure("zero", zero.grid(3, domain="general"))
    assert (zero.claim("zero_improves").after, zero.claim("zero_improves").n) == (0.75, 12)
