"""The cluster bootstrap: the interval of any statistic that is a function of totals over clusters.

Resampling clusters with replacement means giving cluster g an integer weight, and a mean, a difference, a ratio or a
regression slope are all functions of weighted totals. So one matrix product serves them all, and no statistic needs
a resampling loop of its own. Left out on purpose: bias-corrected (BCa) intervals, which need a jackknife and differ
little with the forty families and more that an evaluation has.

Paper: Cameron, Gelbach & Miller 2008, "Bootstrap-based improvements for inference with clustered errors" (pairs
cluster bootstrap); Efron & Tibshirani 1993, chapter 13 (percentile interval).
"""

# G clusters, N values, K totals kept per cluster, B resamples

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 4000
LEVEL = 0.95
_CHUNK = 500


def cluster_index(clusters: Sequence[Hashable]) -> tuple[NDArray[np.int64], int]:
    """Number the clusters in order of first appearance: (index of each value's cluster [N], number of clusters)."""
    numbers: dict[Hashable, int] = {}
    index_N = np.array([numbers.setdefault(label, len(numbers)) for label in clusters], dtype=np.int64)
    return index_N, len(numbers)


def totals(columns_NK: Floats, index_N: NDArray[np.int64], count: int) -> Floats:
    """Sums of each column over each cluster, [G, K]."""
    sums_GK = np.zeros((count, columns_NK.shape[1]))
    np.add.at(sums_GK, index_N, columns_NK)
    return sums_GK


def percentile_interval(
    totals_GK: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic`, which maps totals [B, K] to values [B].

    Resamples on which the statistic is undefined (nan, a denominator of 0) are left out. With fewer than two
    clusters, or where it is undefined on most resamples, the interval is (nan, nan).
    """
    count = len(totals_GK)
    if count < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    chunks: list[Floats] = []
    for start in range(0, resamples, _CHUNK):  # in chunks: [B, G] weights of a large benchmark would fill memory
        size = min(_CHUNK, resamples - start)
        weights_BG = rng.multinomial(count, np.full(count, 1.0 / count), size=size)
        with np.errstate(divide="ignore", invalid="ignore"):
            chunks.append(statistic(weights_BG @ totals_GK))
    values_B = np.concatenate(chunks)
    values_B = values_B[np.isfinite(values_B)]
    if 2 * len(values_B) < resamples:
        return float("nan"), float("nan")
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values_B, [tail, 1.0 - tail])
    return float(low), float(high)
