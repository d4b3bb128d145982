"""The per-token policy loss: clipping on both sides, a KL that is minimised, gradients by finite differences."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from mull.algo.config import AlgorithmConfig
from mull.algo.losses import cross_entropy, policy_loss, weighted_sum
from mull.algo.packing import Batch, pack
from mull.algo.samples import Sample

DAPO = AlgorithmConfig(name="dapo")


def batch_of(old: list[float], advantage: float, reference: list[float] | None = None) -> Batch:
    n = len(old)
    ref = tuple(reference) if reference is not None else None
    [batch] = pack([Sample((0,) * (n + 1), 1, (True,) * n, tuple(old), advantage, ref_logprobs=ref)], [1 / n], 99)
    return batch


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope", "clipped"),
    [
        (1.0, 2.0, -2.0, -2.0, 0.0),
        (1.27, 1.0, -1.27, -1.27, 0.0),  # clip-higher leaves room up to 1.28
        (1.5, 1.0, -1.28, 0.0, 1.0),  # a good token already raised enough: no more
        (0.5, 1.0, -0.5, -0.5, 0.0),  # a good token that fell is always raised
        (0.5, -1.0, 0.8, 0.0, 1.0),  # a bad token already lowered enough: no more
        (1.5, -1.0, 1.5, 1.5, 0.0),  # a bad token that rose is always lowered
        (0.81, -1.0, 0.81, 0.81, 0.0),
    ],
)
def test_clipping_stops_only_what_went_far_enough(ratio, advantage, loss, slope, clipped) -> None:
    new = torch.tensor([-1.0], dtype=torch.float64, requires_grad=True)
    out = policy_loss(new, batch_of([-1.0 - math.log(ratio)], advantage), DAPO, False)
    out.loss_N.sum().backward()
    assert out.loss_N.item() == pytest.approx(loss, rel=1e-6)
    assert new.grad is not None and new.grad.item() == pytest.approx(slope, rel=1e-6)
    assert out.stats["clip_fraction"].item() == clipped


def test_on_policy_the_ratio_is_one_whatever_the_sampler_said() -> None:
    new = torch.tensor([-1.0, -2.0], requires_grad=True)
    out = policy_loss(new, batch_of([-3.0, -0.1], 0.5), DAPO, True)
    out.loss_N.sum().backward()
    assert out.loss_N.tolist() == [-0.5, -0.5] and new.grad.tolist() == [-0.5, -0.5]  # type: ignore[union-attr]
    torch.testing.assert_close(out.stats["ratio"], torch.exp(torch.tensor([2.0, -1.9])))


def test_a_reference_is_looked_at_only_with_a_coefficient() -> None:
    new = torch.tensor([-1.0], requires_grad=True)
    batch = batch_of([-1.0], 0.5, reference=[-2.0])
    assert "kl" not in policy_loss(new, batch, DAPO, True).stats
    assert "kl" in policy_loss(new, batch, DAPO.model_copy(update={"kl_coefficient": 0.1}), True).stats


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_descending_the_loss_brings_the_policy_back_to_the_reference(estimator: str) -> None:
    """Fault 3: a KL that is maximised. Expected loss over the policy's own samples, advantage 0, exact KL measured."""
    reference = torch.log_softmax(torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64), 0)
    logits = torch.tensor([-2.0, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    config = DAPO.model_copy(update={"kl_coefficient": 1.0, "kl_estimator": estimator})
    distances = []
    for _ in range(200):
        policy = torch.log_softmax(logits, 0)
        distances.append(float((policy.exp() * (policy - reference)).sum().detach()))
        batch = replace(batch_of([0.0] * 3, 0.0), ref_logprobs_N=reference, old_logprobs_N=policy.detach())
        loss = (policy.detach().exp() * policy_loss(policy, batch, config, True).loss_N).sum()
        (slope,) = torch.autograd.grad(loss, [logits])
        logits = (logits - 0.5 * slope).detach().requires_grad_()
    assert distances[0] > 0.5 and distances[-1] < 1e-3
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(distances))


@pytest.mark.parametrize(
    "more",
    [{}, {"kl_estimator": "k2"}, {"dual_clip": 1.5, "kl_coefficient": 0.0}, {"surrogate": "gspo", "clip_high": 9.0}],
)
@pytest.mark.parametrize("advantage", [-0.7, 0.7])
def test_gradient_by_finite_differences(more: dict, advantage: float) -> None:
    new = torch.linspace(-3, -0.2, 9, dtype=torch.float64).requires_grad_()
    batch = batch_of([-1.51] * 9, advantage, reference=[-1.0] * 9)
    config = DAPO.model_copy(update={"kl_coefficient": 0.3, **more})
    assert torch.autograd.gradcheck(lambda x: policy_loss(x, batch, config, False).loss_N, (new,))


def test_absurd_ratios_stay_finite() -> None:
    for advantage in (1.0, -1.0):
        new = torch.tensor([-500.0, -1e-3], requires_grad=True)
        batch = batch_of([-0.1, -800.0], advantage, reference=[-0.1, -900.0])
        out = policy_loss(new, batch, DAPO.model_copy(update={"kl_coefficient": 0.1}), False)
        out.loss_N.sum().backward()
        assert torch.isfinite(out.loss_N).all() and torch.isfinite(new.grad).all()  # type: ignore[arg-type]


def test_the_ratio_is_against_the_proximal_policy_where_there_is_one() -> None:
    """Sampler off by a factor 1/2 (weight 2, then capped), learner moved by 1.1 since the batch began."""
    new = torch.tensor([-1.0], dtype=torch.float64, requires_grad=True)
    before = -1.0 - math.log(1.1)
    sampler = before - math.log(2.0)
    batch = replace(batch_of([sampler], 1.0), proximal_logprobs_N=torch.tensor([before], dtype=torch.float64))
    for cap, weight in ((3.0, 2.0), (1.5, 1.5)):
        config = DAPO.model_copy(update={"importance": "token", "importance_cap": cap})
        out = policy_loss(new, batch, config, False)
        assert out.loss_N.item() == pytest.approx(-1.1 * weight, rel=1e-6)
        assert out.stats["importance"].item() == pytest.approx(weight, rel=1e-6)
    assert policy_loss(new, batch, config, True).loss_N.item() == pytest.approx(-1.5)  # on policy: 2.2, capped


def test_cross_entropy_shares_the_kernel() -> None:
    logprobs = torch.tensor([-1.0, -3.0], dtype=torch.float64)
    loss = cross_entropy(logprobs, batch_of([0.0, 0.0], 0.0), DAPO, True).loss_N
    assert weighted_sum(loss, torch.tensor([0.5, 0.25])).item() == 1.25
