"""Statistics of evaluations: pure functions on numpy arrays, no files, no torch.

Problems of one family are not independent, so every interval here resamples or sums whole families ("clusters").
Left out on purpose: tests of significance (an interval says more), and any correction for many comparisons.
"""

from mull.stats.binomial import Interval, exact_interval, wilson_interval
from mull.stats.cluster import (
    Change,
    Estimate,
    cluster_mean,
    cluster_share,
    paired_difference,
    paired_ratio,
    share_difference,
)
from mull.stats.fit import LogFit, log_linear_fit
from mull.stats.ranking import auc
from mull.stats.repeat import cons_at_k, pass_at_k

__all__ = [
    "Change",
    "Estimate",
    "Interval",
    "LogFit",
    "auc",
    "cluster_mean",
    "cluster_share",
    "cons_at_k",
    "exact_interval",
    "log_linear_fit",
    "paired_difference",
    "paired_ratio",
    "pass_at_k",
    "share_difference",
    "wilson_interval",
]
