"""GSPO, CISPO and the dual clip against plain loops, and what sets each apart."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.config import AlgorithmConfig
from mull.algo.surrogate import SURROGATES

GSPO = AlgorithmConfig(name="gspo", clip_low=0.1, clip_high=0.2)
CISPO = AlgorithmConfig(name="cispo")
DUAL = AlgorithmConfig(dual_clip=3.0)
OUTPUTS = st.lists(
    st.tuples(st.lists(st.floats(-3, 3), min_size=1, max_size=6), st.sampled_from([-1.0, 0.5, 0.0])),
    min_size=1,
    max_size=4,
)


def run(
    config: AlgorithmConfig, outputs: list[tuple[list[float], float]]
) -> tuple[list[float], list[float], list[bool]]:
    """Losses, gradients and clipped flags; each output is its log ratios and its advantage."""
    gaps = torch.tensor([g for row, _ in outputs for g in row], dtype=torch.float64)
    advantage = torch.tensor([a for row, a in outputs for _ in row], dtype=torch.float64)
    old = torch.full_like(gaps, -2.0)
    new = (old + gaps).requires_grad_()
    out = SURROGATES[config.surrogate](new, old, advantage, [len(row) for row, _ in outputs], config)
    [slope] = torch.autograd.grad(out.loss_N.sum(), [new])
    return out.loss_N.tolist(), slope.tolist(), out.clipped_N.tolist()


@given(OUTPUTS)
def test_gspo_has_one_ratio_an_output(outputs: list[tuple[list[float], float]]) -> None:
    losses, slopes, _ = run(GSPO, outputs)
    wanted, steep = [], []
    for row, a in outputs:
        s = math.exp(sum(row) / len(row))
        held = (a > 0 and s > 1.2) or (a < 0 and s < 0.9)
        wanted += [-min(s * a, min(max(s, 0.9), 1.2) * a)] * len(row)
        # n tokens each lose −sA, and each of them has 1/n of the mean's slope
        steep += [0.0 if held else -s * a] * len(row)
    assert losses == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert slopes == pytest.approx(steep, rel=1e-9, abs=1e-12)


@given(OUTPUTS)
def test_cispo_bounds_the_weight_and_silences_no_token(outputs: list[tuple[list[float], float]]) -> None:
    _, slopes, clipped = run(CISPO, outputs)
    wanted = [-min(math.exp(g), 5.0) * a for row, a in outputs for g in row]
    assert slopes == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert clipped == [math.exp(g) > 5.0 for row, _ in outputs for g in row]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [(2.0, -1.0, 2.0, 2.0), (3.5, -1.0, 3.0, 0.0), (3.5, 1.0, -1.2, 0.0), (0.5, -1.0, 0.8, 0.0)],
)
def test_the_dual_clip_bounds_what_a_bad_token_can_cost(ratio, advantage, loss, slope) -> None:
    losses, slopes, _ = run(DUAL, [([math.log(ratio)], advantage)])
    assert losses == pytest.approx([loss]) and slopes == pytest.approx([slope * 1.0])


@pytest.mark.parametrize("config", [GSPO, CISPO, DUAL, AlgorithmConfig(name="dapo")])
def test_before_the_first_move_all_have_the_plain_policy_gradient(config: AlgorithmConfig) -> None:
    _, slopes, clipped = run(config, [([0.0, 0.0, 0.0], 0.5), ([0.0], -1.0)])
    assert slopes == pytest.approx([-0.5, -0.5, -0.5, 1.0]) and not any(clipped)
