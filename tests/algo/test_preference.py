"""Reward models' losses against the formulas in plain Python, and where they are at their ends."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.preference import bradley_terry, pointwise

scores = st.floats(-30, 30)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@given(scores, scores, st.floats(0, 2))
def test_bradley_terry(chosen: float, rejected: float, margin: float) -> None:
    c, r = (torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (chosen, rejected))
    loss = bradley_terry(c, r, margin)
    gap = chosen - rejected - margin
    assert loss.item() == pytest.approx(math.log1p(math.exp(-gap)), rel=1e-9, abs=1e-12)
    loss.sum().backward()
    assert c.grad is not None and r.grad is not None
    assert c.grad.item() == pytest.approx(-sigmoid(-gap), rel=1e-9, abs=1e-12) and c.grad == -r.grad


@given(scores, st.floats(0, 1))
def test_pointwise(score: float, label: float) -> None:
    s, y = (torch.tensor([x], dtype=torch.float64) for x in (score, label))
    s.requires_grad_()
    loss = pointwise(s, y)
    wanted = label * math.log1p(math.exp(-score)) + (1 - label) * math.log1p(math.exp(score))
    assert loss.item() == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    loss.sum().backward()
    assert s.grad is not None and s.grad.item() == pytest.approx(sigmoid(score) - label, abs=1e-9)


def test_far_scores_in_16_bits_stay_finite() -> None:
    far = torch.tensor([300.0, -300.0], dtype=torch.bfloat16)
    assert bradley_terry(far, far.flip(0)).tolist() == [0.0, 600.0]
    assert bradley_terry(far, far.flip(0)).dtype == torch.float32


def test_labels_are_probabilities() -> None:
    with pytest.raises(ValueError, match="probabilities"):
        pointwise(torch.zeros(1), torch.tensor([1.5]))
