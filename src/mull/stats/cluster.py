"""Means, differences and ratios with 95% intervals clustered by family.

An interval is the percentile cluster bootstrap's (see bootstrap.py), seeded, so that a report says the same numbers
each time; `se` is the CR1 cluster-robust standard error, which needs no random numbers, as a second opinion. Values
that are not finite are left out and not counted. What is undefined is nan, never 0: the mean of nothing, and
an interval from fewer than two clusters.

CR1 of a mean (Liang & Zeger 1986; one regressor, so (N-1)/(N-K) = 1), with residuals e = y - mean:
    se^2 = G/(G-1) * sum_g (sum_{i in g} e_i)^2 / N^2
"""

# N values, G clusters

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from mull.stats.binomial import wilson_interval
from mull.stats.bootstrap import Floats, cluster_index, percentile_interval, totals

NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval, from `n` values in `clusters` families.

    Example: `Estimate(mean=0.81, low=0.77, high=0.85, n=259, clusters=41, se=0.02)`
    """

    mean: float
    low: float
    high: float
    n: int
    clusters: int
    se: float = NAN


@dataclass(frozen=True)
class Change:
    """Two values of one quantity and how far apart they are: `value` is after - before, or after / before.

    `low` and `high` bound `value` at 95%; `n` pairs in `clusters` families were used.

    Example: `Change(before=0.18, after=0.81, value=0.63, low=0.57, high=0.69, n=259, clusters=41, se=0.03)`
    """

    before: float
    after: float
    value: float
    low: float
    high: float
    n: int
    clusters: int
    se: float = NAN


def cluster_mean(values: ArrayLike, clusters: Sequence[Hashable], *, seed: int = 0) -> Estimate:
    """The mean of `values` [N], each belonging to the family in `clusters` [N].

    Raises:
        ValueError: the two differ in length.
    """
    (values_N,), index_N, count = _clean(clusters, values)
    n = len(values_N)
    if n == 0:
        return Estimate(NAN, NAN, NAN, 0, 0)
    mean = float(values_N.mean())
    sums_G2 = totals(np.stack([values_N, np.ones(n)], 1), index_N, count)
    low, high = percentile_interval(sums_G2, lambda t: t[:, 0] / t[:, 1], seed=seed)
    return Estimate(mean, low, high, n, count, _cr1(values_N - mean, index_N, count))


def cluster_share(values: ArrayLike, clusters: Sequence[Hashable], *, seed: int = 0) -> Estimate:
    """`cluster_mean` of shares (values in [0, 1]), honest at the ends.

    Where every value is 0, or every value 1, each resample is the same and the bootstrap would claim certainty;
    there the interval is Wilson's, with the families as the independent trials.
    """
    estimate = cluster_mean(values, clusters, seed=seed)
    if estimate.clusters < 2 or estimate.mean not in (0.0, 1.0):
        return estimate
    wilson = wilson_interval(int(estimate.mean) * estimate.clusters, estimate.clusters)
    return replace(estimate, low=wilson.low, high=wilson.high)


def paired_difference(before: ArrayLike, after: ArrayLike, clusters: Sequence[Hashable], *, seed: int = 0) -> Change:
    """The mean of after - before over the same problems [N]; a pair with a missing half is left out.

    Raises:
        ValueError: the three differ in length.
    """
    (before_N, after_N), index_N, count = _clean(clusters, before, after)
    n = len(before_N)
    if n == 0:
        return Change(NAN, NAN, NAN, NAN, NAN, 0, 0)
    difference = cluster_mean(after_N - before_N, index_N.tolist(), seed=seed)
    return Change(
        float(before_N.mean()), float(after_N.mean()), difference.mean, difference.low, difference.high,
        n, count, difference.se,
    )  # fmt: skip


def paired_ratio(before: ArrayLike, after: ArrayLike, clusters: Sequence[Hashable], *, seed: int = 0) -> Change:
    """mean(after) / mean(before) over the same problems [N]; nan where mean(before) is 0.

    `se` is the delta method's: CR1 of the residuals (after - ratio * before) / mean(before).
    """
    (before_N, after_N), index_N, count = _clean(clusters, before, after)
    n = len(before_N)
    if n == 0:
        return Change(NAN, NAN, NAN, NAN, NAN, 0, 0)
    first, second = float(before_N.mean()), float(after_N.mean())
    if first == 0.0:
        return Change(first, second, NAN, NAN, NAN, n, count)
    sums_G2 = totals(np.stack([before_N, after_N], 1), index_N, count)
    low, high = percentile_interval(sums_G2, lambda t: t[:, 1] / t[:, 0], seed=seed)
    ratio = second / first
    return Change(first, second, ratio, low, high, n, count, _cr1((after_N - ratio * before_N) / first, index_N, count))


def share_difference(
    before: tuple[ArrayLike, ArrayLike],
    after: tuple[ArrayLike, ArrayLike],
    clusters: Sequence[Hashable],
    *,
    seed: int = 0,
) -> Change:
    """The difference of two shares whose denominators vary, from (hits [N], trials [N]) of each problem.

    For "the share of thoughts that check": a problem's samples do not all hold a thought, and not equally many
    before and after, so a mean of per-problem shares would weigh rare thoughts too much. The share is
    sum(hits) / sum(trials); families are resampled with both sides together.
    """
    (hit_b, all_b, hit_a, all_a), index_N, count = _clean(clusters, *before, *after)
    n = len(hit_b)
    first, second = _share(hit_b, all_b), _share(hit_a, all_a)
    if math.isnan(first) or math.isnan(second):
        return Change(first, second, NAN, NAN, NAN, n, count)
    sums_G4 = totals(np.stack([hit_b, all_b, hit_a, all_a], 1), index_N, count)
    low, high = percentile_interval(sums_G4, lambda t: t[:, 2] / t[:, 3] - t[:, 0] / t[:, 1], seed=seed)
    residual_N = (hit_a - second * all_a) / all_a.mean() - (hit_b - first * all_b) / all_b.mean()
    return Change(first, second, second - first, low, high, n, count, _cr1(residual_N, index_N, count))


def _share(hits: Floats, trials: Floats) -> float:
    return float(hits.sum() / trials.sum()) if trials.sum() > 0 else NAN


def _clean(clusters: Sequence[Hashable], *columns: ArrayLike):
    """The columns as float arrays without the rows that are not finite in all of them, and their cluster numbers."""
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(array.shape != (len(clusters),) for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"values {shapes} and {len(clusters)} clusters: give one cluster a value")
    keep_N = np.all([np.isfinite(array) for array in arrays], axis=0)
    kept = [label for label, keep in zip(clusters, keep_N, strict=True) if keep]
    index_N, count = cluster_index(kept)
    return [array[keep_N] for array in arrays], index_N, count


def _cr1(residual_N: Floats, index_N, count: int) -> float:
    """The CR1 standard error of a mean whose residuals these are; nan with fewer than two clusters."""
    if count < 2:
        return NAN
    sums_G = np.bincount(index_N, weights=residual_N, minlength=count)
    return float(np.sqrt(count / (count - 1) * np.sum(sums_G**2)) / len(residual_N))
