"""The claims on R1's stages: readable cold starts, kept accuracy, the whole, and prompting."""

import pytest

LOOP = "<think> " + "3 5 + 8 8 * 9 no " * 6 + "</think>"


@pytest.fixture
def pipeline(zero):
    """base → zero → chains → cold; cold → reasoning → more chains → tuned from the base → final."""
    rl = {"tasks": ["countdown_mod:train"], "steps": 3}
    zero.stage("chains", "sample", {"model": "zero"})
    zero.stage("cold", "sft", {"init": "base", "data": [{"source": "chains", "weight": 1.0}]})
    zero.stage("reasoning", "rl", {"init": "cold", **rl}, metrics=[])
    zero.stage("more", "sample", {"model": "reasoning"})
    zero.stage("tuned", "sft", {"init": "base", "data": ["more", "other.jsonl"]})
    zero.stage("final", "rl", {"init": "tuned", **rl}, metrics=[])
    return zero


def test_readable_is_form_one_language_and_no_loops(pipeline):
    """Of four samples one is in bad form, one speaks two languages, one loops: one is readable; after, all are."""
    before = pipeline.grid(
        2,
        well_formed=lambda f, s: s != 0,
        language_share=lambda f, s: 0.9 if s == 1 else None,
        text=lambda f, s: LOOP if s == 2 else "<think> 3 5 + 8 </think>",
    )
    pipeline.measure("zero", before)
    pipeline.measure("cold", pipeline.grid(2))
    claim = pipeline.claim("cold_start_readable")
    assert (claim.holds, claim.before, claim.after, claim.stage) == (True, 0.25, 1.0, "cold")


def test_a_cold_start_that_reads_worse_fails(pipeline):
    pipeline.measure("zero", pipeline.grid(2))
    pipeline.measure("cold", pipeline.grid(2, well_formed=lambda f, s: s > 1))
    assert pipeline.claim("cold_start_readable").holds is False


def test_rejection_sft_is_the_last_one_and_may_lose_less_than_five_points(pipeline):
    """1 of 40 right answers fewer in every family is 2.5 points; 4 of 40 are 10."""
    pipeline.measure("reasoning", pipeline.grid(30, samples=40))
    pipeline.measure("tuned", pipeline.grid(lambda f: 29 + f % 2, samples=40))
    claim = pipeline.claim("rejection_sft_keeps")
    assert (claim.holds, claim.stage) == (True, "tuned")
    assert claim.change == pytest.approx(-0.0125)
    assert -0.05 < claim.ci_low < claim.ci_high < 0


def test_a_loss_beyond_the_margin_is_none_kept(pipeline):
    pipeline.measure("reasoning", pipeline.grid(30, samples=40))
    pipeline.measure("tuned", pipeline.grid(lambda f: 26 + f % 2, samples=40))
    assert pipeline.claim("rejection_sft_keeps").holds is False


def test_the_last_rl_stage_is_held_against_the_first(pipeline):
    pipeline.measure("zero", pipeline.grid(1))
    pipeline.measure("final", pipeline.grid(3))
    claim = pipeline.claim("r1_improves_on_zero")
    assert (claim.holds, claim.before, claim.after, claim.stage) == (True, 0.25, 0.75, "final")


def test_one_rl_stage_is_no_pipeline(zero):
    for name, why in (
        ("r1_improves_on_zero", "no rl stage builds on another"),
        ("cold_start_readable", "no sft stage learns from samples of an rl stage that has its init"),
        ("rejection_sft_keeps", "no sft stage learns from samples"),
    ):
        claim = zero.claim(name)
        assert claim.holds is None
        assert why in claim.reason


def test_what_lacks_its_measurement_names_it(pipeline):
    pipeline.measure("zero", pipeline.grid(1))
    assert pipeline.claim("r1_improves_on_zero").reason == "no evaluate stage has model = 'final'"


def test_prompting_is_the_base_where_it_thought(zero):
    """The base thinks in two of four samples and is right in one of those; two problems it never thought on."""
    before = [
        row
        for f in range(12)
        for row in (
            zero.row(f"p{f}", s, s in (0, 2, 3), family=f"f{f}", thinking=9 if s < 2 and f > 1 else 0) for s in range(4)
        )
    ]
    zero.measure("base", before)
    zero.measure("zero", zero.grid(3))
    claim = zero.claim("rl_beats_cot_prompting")
    assert (claim.holds, claim.before, claim.after, claim.n) == (True, 0.5, 0.75, 10)


def test_another_template_is_the_prompt_where_there_is_one(zero):
    zero.measure("base", zero.grid(0), template="auto")
    zero.measure("base", zero.grid(4), template="r1-zero")
    zero.measure("zero", zero.grid(3), template="auto")
    claim = zero.claim("rl_beats_cot_prompting")
    assert (claim.holds, claim.before, claim.after) == (False, 1.0, 0.75)
    assert zero.claim("zero_improves").before == 0.0  # and it is not the measurement of the base


def test_a_base_that_never_thinks_is_no_rival(zero):
    zero.measure("base", zero.grid(1, thinking=0))
    zero.measure("zero", zero.grid(3))
    assert zero.claim("rl_beats_cot_prompting").reason == "the base never thought"
