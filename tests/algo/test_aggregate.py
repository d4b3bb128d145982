"""Aggregations against means written out, and what may not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.aggregate import sample_scales
from mull.algo.config import AlgorithmConfig
from mull.algo.samples import Sample

MASKS = st.lists(st.lists(st.booleans(), min_size=1, max_size=9).filter(any), min_size=1, max_size=12)


def samples_of(masks: list[list[bool]]) -> list[Sample]:
    return [Sample((0,) * (len(m) + 2), 2, tuple(m), (0.0,) * len(m), 1.0, group=i // 3) for i, m in enumerate(masks)]


def mean(kind: str, losses: list[np.ndarray], groups: list[int]) -> float:
    """The aggregations as sentences: lists of the valid tokens' losses of each output."""
    if kind == "sequence":
        return float(np.mean([row.mean() for row in losses]))
    if kind == "token":
        return float(np.concatenate(losses).mean())
    if kind == "constant":
        return float(np.mean([row.sum() / 20 for row in losses]))
    prompts = [np.concatenate([r for r, g in zip(losses, groups, strict=True) if g == p]) for p in sorted(set(groups))]
    return float(np.mean([row.mean() for row in prompts]))


@pytest.mark.parametrize("kind", ["sequence", "token", "constant", "prompt"])
@given(masks=MASKS, seed=st.integers(0, 9))
def test_scales_are_the_mean_they_are_named_after(kind: str, masks: list[list[bool]], seed: int) -> None:
    samples = samples_of(masks)
    losses = [np.random.default_rng((seed, i)).normal(size=s.valid) for i, s in enumerate(samples)]
    scales = sample_scales(samples, AlgorithmConfig(aggregation=kind, constant_tokens=20))  # type: ignore[arg-type]
    total = sum(scale * row.sum() for scale, row in zip(scales, losses, strict=True))
    assert total == pytest.approx(mean(kind, losses, [s.group for s in samples]), abs=1e-9)


def test_masked_tokens_count_in_neither_numerator_nor_denominator() -> None:
    with_masked, without = samples_of([[True, False, True], [True]]), samples_of([[True, True], [True]])
    for kind in ("sequence", "token", "prompt"):
        config = AlgorithmConfig(aggregation=kind)  # type: ignore[arg-type]
        assert sample_scales(with_masked, config) == sample_scales(without, config)


def test_what_cannot_be_averaged_is_refused() -> None:
    with pytest.raises(ValueError, match="constant_tokens"):
        sample_scales(samples_of([[True]]), AlgorithmConfig(name="dr_grpo"))
    with pytest.raises(ValueError, match="no mean"):
        sample_scales(samples_of([[False]]), AlgorithmConfig())
    for kind in ("sequence", "token", "constant", "prompt"):
        assert sample_scales([], AlgorithmConfig(aggregation=kind, constant_tokens=3)) == []  # type: ignore[arg-type]
