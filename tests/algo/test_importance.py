"""Importance weights against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.config import AlgorithmConfig
from mull.algo.importance import importance_weights, spread, sums

ROWS = st.lists(st.lists(st.floats(-2, 2), min_size=1, max_size=5), min_size=1, max_size=4)


@given(ROWS, st.sampled_from(["token", "sequence"]), st.sampled_from(["clip", "mask"]), st.floats(1.1, 4))
def test_weights_are_the_written_ones(rows: list[list[float]], kind: str, rule: str, cap: float) -> None:
    config = AlgorithmConfig(importance=kind, importance_rule=rule, importance_cap=cap)  # type: ignore[arg-type]
    gaps = torch.tensor([g for row in rows for g in row], dtype=torch.float64)
    sampler = torch.full_like(gaps, -3.0)
    found = importance_weights(sampler + gaps, sampler, [len(row) for row in rows], config)
    wanted = []
    for row in rows:
        for gap in row:
            w = math.exp(sum(row) if kind == "sequence" else gap)
            kept = 1 / cap <= w <= cap
            wanted.append(min(w, cap) if rule == "clip" else w if kept else 0.0)
    assert found.tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_no_gradient_passes_and_nothing_overflows() -> None:
    old = torch.tensor([-1.0, 5e3], requires_grad=True)
    config = AlgorithmConfig(importance="sequence", importance_rule="mask")
    weight = importance_weights(old, torch.zeros(2), [2], config)
    assert not weight.requires_grad and weight.tolist() == [0.0, 0.0]


def test_an_output_without_tokens_takes_none() -> None:
    values = torch.tensor([1.0, 2.0, 4.0])
    assert sums(values, [2, 0, 1]).tolist() == [3.0, 0.0, 4.0]
    assert spread(torch.tensor([1.0, 2.0, 3.0]), [2, 0, 1]).tolist() == [1.0, 1.0, 3.0]
