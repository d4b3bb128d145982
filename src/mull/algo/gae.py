"""Generalised advantage estimation, for the critic of PPO.

    δ_t = r_t + γ V_{t+1} − V_t,   A_t = δ_t + γ λ A_{t+1},   R_t = A_t + V_t,   V after the last token is 0

Schulman et al. 1506.02438, eq. 16; returns for the value loss as in PPO (1707.06347). A completion that was cut off
ends like any other: nothing is paid after it. Left out on purpose: bootstrapping from an unfinished completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Estimate(NamedTuple):
    """`advantages_T` and `returns_T` of one completion."""

    advantages_T: Tensor
    returns_T: Tensor


def gae(rewards_T: Tensor, values_T: Tensor, gamma: float = 1.0, lam: float = 0.95) -> Estimate:
    """Advantages and returns of one completion from its rewards and the critic's values before each token.

    Raises:
        ValueError: the two differ in length, or γ or λ is not in [0, 1].
    """
    if rewards_T.shape != values_T.shape:
        raise ValueError(f"{len(rewards_T)} rewards but {len(values_T)} values")
    if not (0 <= gamma <= 1 and 0 <= lam <= 1):
        raise ValueError(f"gamma and lambda must be in [0, 1], not {gamma} and {lam}")
    following_T = torch.cat([values_T[1:], values_T.new_zeros(1)])[: len(values_T)]
    delta_T = rewards_T + gamma * following_T - values_T
    advantages_T = torch.empty_like(delta_T)
    running = delta_T.new_zeros(())
    for t in reversed(range(len(delta_T))):
        running = delta_T[t] + gamma * lam * running
        advantages_T[t] = running
    return Estimate(advantages_T, advantages_T + values_T)


def value_loss(values_N: Tensor, old_values_N: Tensor, returns_N: Tensor, clip: float) -> Tensor:
    """Half the squared error, the worse of the new value and of one moved by at most `clip` from the old; `[N]`.

    PPO's value clipping; 0 clips nothing.
    """
    error_N = (values_N - returns_N) ** 2
    if clip > 0:
        near_N = old_values_N + torch.clamp(values_N - old_values_N, -clip, clip)
        error_N = torch.maximum(error_N, (near_N - returns_N) ** 2)
    return 0.5 * error_N


def whiten(rows: Sequence[Tensor], eps: float = 1e-8) -> list[Tensor]:
    """Rows of advantages with the mean of all their tokens taken off and their deviation made 1."""
    if not rows or not sum(map(len, rows)):
        return list(rows)
    every = torch.cat(list(rows))
    mean, deviation = every.mean(), every.std(correction=0)
    return [(row - mean) / (deviation + eps) for row in rows]
