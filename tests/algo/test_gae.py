"""GAE, value clipping and whitening against sums written out, and what γ and λ mean at their ends."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mull.algo.gae import gae, value_loss, whiten

numbers = st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=12)


def double(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(numbers, st.floats(0, 1), st.floats(0, 1))
def test_the_sum_of_discounted_errors(pairs: list[tuple[float, float]], gamma: float, lam: float) -> None:
    rewards, values = [r for r, _ in pairs], [v for _, v in pairs]
    found = gae(double(rewards), double(values), gamma, lam)
    following = [*values[1:], 0.0]
    delta = [r + gamma * n - v for r, v, n in zip(rewards, values, following, strict=True)]
    for t in range(len(pairs)):  # eq. 16, written out
        wanted = sum((gamma * lam) ** i * d for i, d in enumerate(delta[t:]))
        assert float(found.advantages_T[t]) == pytest.approx(wanted, abs=1e-9)
        assert float(found.returns_T[t]) == pytest.approx(wanted + values[t], abs=1e-9)


def test_the_two_ends_of_lambda() -> None:
    rewards, values = double([0, 0, 1]), double([0.2, 0.5, 0.7])
    monte_carlo = gae(rewards, values, 1.0, 1.0)
    torch.testing.assert_close(monte_carlo.returns_T, double([1, 1, 1]))
    one_step = gae(rewards, values, 1.0, 0.0)
    torch.testing.assert_close(one_step.advantages_T, double([0.3, 0.2, 0.3]))


def test_a_perfect_critic_leaves_no_advantage() -> None:
    found = gae(double([0, 0, 1]), double([1, 1, 1]), 1.0, 0.9)
    torch.testing.assert_close(found.advantages_T, double([0, 0, 0]))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="2 rewards but 3 values"):
        gae(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        gae(torch.zeros(2), torch.zeros(2), 1.1)


def test_value_clipping_takes_the_worse() -> None:
    new, old, returns = double([0.9, 0.9, 0.1, 0.5]), double([0.5, 0.5, 0.5, 0.5]), double([1.0, 0.0, 1.0, 0.5])
    wanted = [max((n - r) ** 2, (min(max(n, o - 0.2), o + 0.2) - r) ** 2) / 2
              for n, o, r in zip(new.tolist(), old.tolist(), returns.tolist(), strict=True)]  # fmt: skip
    torch.testing.assert_close(value_loss(new, old, returns, 0.2), double(wanted))
    torch.testing.assert_close(value_loss(new, old, returns, 0), 0.5 * (new - returns) ** 2)
    moved = new.clone().requires_grad_()
    value_loss(moved, old, returns, 0.2).sum().backward()
    assert moved.grad is not None and moved.grad[0] == 0.0  # far enough towards its return already
    assert moved.grad[1] != 0.0


def test_whitening_is_over_all_tokens_at_once() -> None:
    rows = [double([1, 2]), double([3, 4, 5])]
    found = torch.cat(whiten(rows))
    assert float(found.mean()) == pytest.approx(0, abs=1e-9) and float(found.std(correction=0)) == pytest.approx(1)
    assert [len(row) for row in whiten(rows)] == [2, 3] and whiten([]) == []
    assert all(not row.any() for row in whiten([double([2, 2])]))
