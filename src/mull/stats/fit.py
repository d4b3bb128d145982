"""A straight line through y against log2(x), with clustered intervals: what each doubling of x buys.

For accuracy against thinking tokens or samples. Ordinary least squares; the interval of the slope resamples
families. Left out on purpose: saturating curves, and any claim outside the range of x that was measured.
"""

# N points

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mull.stats.bootstrap import Floats, cluster_index, percentile_interval, totals

NAN = float("nan")


@dataclass(frozen=True)
class LogFit:
    """y = intercept + slope * log2(x); the slope is the gain per doubling of x, with its 95% interval.

    Example: `LogFit(intercept=-0.31, slope=0.15, low=0.13, high=0.17, r2=0.98, n=320, clusters=40)`
    """

    intercept: float
    slope: float
    low: float
    high: float
    r2: float
    n: int
    clusters: int

    def predict(self, x: float) -> float:
        """The fitted y at x > 0."""
        return self.intercept + self.slope * math.log2(x)


def log_linear_fit(x: ArrayLike, y: ArrayLike, clusters: Sequence[Hashable] | None = None, *, seed: int = 0) -> LogFit:
    """Fit y [N] on log2 of x [N] > 0. Without `clusters` each point is a family of its own.

    nan slope where all x are equal; nan r2 where all y are; points that are not finite are left out.

    Raises:
        ValueError: lengths differ, or an x that is not positive.
    """
    x_N, y_N = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    labels = list(range(x_N.size)) if clusters is None else list(clusters)
    if x_N.ndim != 1 or x_N.shape != y_N.shape or len(labels) != x_N.size:
        raise ValueError(f"x {x_N.shape}, y {y_N.shape}, {len(labels)} clusters: lengths must be equal")
    if np.any(x_N <= 0):
        raise ValueError("log-linear fit: every x must be positive")
    keep_N = np.isfinite(x_N) & np.isfinite(y_N)
    x_N, y_N = np.log2(x_N[keep_N]), y_N[keep_N]
    index_N, count = cluster_index([label for label, keep in zip(labels, keep_N, strict=True) if keep])
    if len(x_N) == 0 or np.ptp(x_N) == 0:
        return LogFit(NAN, NAN, NAN, NAN, NAN, len(x_N), count)
    middle = x_N.mean()  # centred: the normal equations of raw logs lose half the digits
    z_N = x_N - middle
    sums_G5 = totals(np.stack([np.ones_like(z_N), z_N, y_N, z_N * z_N, z_N * y_N], 1), index_N, count)
    slope = float(_slope(sums_G5.sum(0, keepdims=True))[0])
    intercept = float(y_N.mean() - slope * middle)
    low, high = percentile_interval(sums_G5, _slope, seed=seed)
    spread = float(np.sum((y_N - y_N.mean()) ** 2))
    r2 = 1 - float(np.sum((y_N - intercept - slope * x_N) ** 2)) / spread if spread > 0 else NAN
    return LogFit(intercept, slope, low, high, r2, len(x_N), count)


def _slope(sums_B5: Floats) -> Floats:
    """Least-squares slopes from (count, sum z, sum y, sum zz, sum zy), nan where z does not vary."""
    n, z, y, zz, zy = sums_B5.T
    spread = n * zz - z * z
    flat = spread <= 1e-12 * n * np.maximum(zz, 1e-300)
    return np.where(flat, NAN, (n * zy - z * y) / np.where(flat, 1.0, spread))
