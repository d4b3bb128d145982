"""The area under the curve against counting all pairs; its interval on clusters that are copies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.stats import auc


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=20))
def test_it_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    scores, right = [float(score) for score, _ in rows], [truth for _, truth in rows]
    found = auc(scores, right, range(len(rows)), resamples=10)
    pairs = [(a > b) + (a == b) / 2 for a, t in rows for b, u in rows if t and not u]
    assert found.n == found.clusters == len(rows)
    if pairs:
        assert found.mean == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert math.isnan(found.mean)


def test_copies_in_one_family_add_no_certainty() -> None:
    scores, right = [0.1, 0.4, 0.35, 0.8, 0.7, 0.2] * 5, [False, False, True, True, False, True] * 5
    apart = auc(scores, right, range(30))
    together = auc(scores, right, list(range(6)) * 5)
    assert apart.mean == pytest.approx(together.mean) and together.clusters == 6
    assert together.high - together.low > apart.high - apart.low > 0
    assert math.isnan(auc(scores, right, ["one"] * 30).low)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="one each"):
        auc([0.1], [True, False], ["a", "b"])
