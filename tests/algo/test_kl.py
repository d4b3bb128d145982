"""The estimators of KL: their values, and whose gradient each has, by summing over a whole vocabulary."""

from __future__ import annotations

import pytest
import torch

from mull.algo.kl import kl_loss

Z, REFERENCE = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64), torch.tensor([1.0, 0.0, 0.5, -2.0]).double()


def policy_and_reference() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    z = Z.clone().requires_grad_()
    return z, torch.log_softmax(z, 0), torch.log_softmax(REFERENCE, 0)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_the_expected_value_is_the_kl(estimator: str) -> None:
    _, p, q = policy_and_reference()
    torch.testing.assert_close((p.exp() * kl_loss(p, q, estimator)).sum(), (p.exp() * (p - q)).sum())


def test_k3_and_k2_are_never_negative_and_zero_at_the_reference() -> None:
    _, p, q = policy_and_reference()
    for estimator in ("k2", "k3"):
        assert (kl_loss(p, q, estimator) >= 0).all() and kl_loss(p, p, estimator).abs().max() == 0


@pytest.mark.parametrize(("estimator", "forward"), [("k1", False), ("k2", False), ("k3", True)])
def test_whose_gradient_it_is(estimator: str, forward: bool) -> None:
    """In expectation over the policy's samples: k1 and k2 descend KL(policy, reference), k3 KL(reference, policy)."""
    z, p, q = policy_and_reference()
    [found] = torch.autograd.grad((p.detach().exp() * kl_loss(p, q, estimator)).sum(), [z])
    z, p, q = policy_and_reference()
    [wanted] = torch.autograd.grad((q.exp() * (q - p)).sum() if forward else (p.exp() * (p - q)).sum(), [z])
    torch.testing.assert_close(found, wanted)


def test_k1s_own_gradient_would_do_nothing() -> None:
    """Why `kl_loss` gives k1 another: the plain difference has expectation zero, whatever the distance."""
    z, p, q = policy_and_reference()
    [found] = torch.autograd.grad((p.detach().exp() * (p - q)).sum(), [z])
    assert found.abs().max() < 1e-12


def test_in_the_reward_only_k1_has_the_gradient_of_the_kl() -> None:
    """REINFORCE with −value as the reward: E[value · ∇log π]."""
    z, p, q = policy_and_reference()
    [kl] = torch.autograd.grad((p.exp() * (p - q)).sum(), [z])
    for estimator, right in (("k1", True), ("k2", False), ("k3", False)):
        z, p, q = policy_and_reference()
        value = kl_loss(p, q, estimator).detach()
        [found] = torch.autograd.grad((p.detach().exp() * value * p).sum(), [z])
        assert torch.allclose(found, kl) == right


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_what_is_far_from_the_reference_is_still_pulled_back(estimator: str) -> None:
    far = torch.tensor([-1.0, -40.0], requires_grad=True)
    [slope] = torch.autograd.grad(kl_loss(far, torch.tensor([-40.0, -1.0]), estimator).sum(), [far])
    assert torch.isfinite(slope).all()
    assert slope[0] >= 1 and slope[1] <= -1  # too likely: down; too unlikely: up
