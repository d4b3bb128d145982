"""How well a score ranks: the area under the ROC curve, with an interval that resamples whole families.

    AUC = P(score of a right one > score of a wrong one) + ½ P(equal)

Mann & Whitney 1947; Hanley & McNeil 1982. Weights of the bootstrap count every value of a cluster as often as its
cluster was drawn. Left out on purpose: partial areas and curves.
"""

# N values, T different scores

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from mull.stats.bootstrap import LEVEL, Floats, cluster_index
from mull.stats.cluster import Estimate


def auc(
    scores: Sequence[float],
    right: Sequence[bool],
    clusters: Sequence[Hashable],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Estimate:
    """The area under the ROC curve of `scores` [N] for `right` [N], each in the family of `clusters` [N].

    nan where all are right or none is; the interval is (nan, nan) with one family, or where most resamples are so.

    Raises:
        ValueError: the three differ in length.
    """
    if not len(scores) == len(right) == len(clusters):
        raise ValueError(f"{len(scores)} scores, {len(right)} truths and {len(clusters)} clusters: one each is needed")
    index_N, count = cluster_index(clusters)
    right_N = np.array(right, dtype=np.float64)
    _, place_N = np.unique(np.array(scores, dtype=np.float64), return_inverse=True)
    area = _area(np.ones(len(right_N)), right_N, place_N)
    low = high = float("nan")
    if count > 1:
        rng = np.random.default_rng(seed)
        weights_BG = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples)
        found = np.array([_area(weights_G[index_N].astype(np.float64), right_N, place_N) for weights_G in weights_BG])
        found = found[np.isfinite(found)]
        if 2 * len(found) >= resamples:
            tail = (1.0 - LEVEL) / 2.0
            low, high = (float(q) for q in np.quantile(found, [tail, 1.0 - tail]))
    return Estimate(area, low, high, len(right_N), count)


def _area(weights_N: Floats, right_N: Floats, place_N: np.ndarray) -> float:
    good_T = np.bincount(place_N, weights_N * right_N)
    bad_T = np.bincount(place_N, weights_N * (1.0 - right_N))
    pairs = good_T.sum() * bad_T.sum()
    below_T = np.cumsum(bad_T) - bad_T / 2
    return float((good_T * below_T).sum() / pairs) if pairs else float("nan")
