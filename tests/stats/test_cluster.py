"""Clustered estimates against plain loops, and the bootstrap against every resample there is."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull.stats import cluster_mean, cluster_share, paired_difference, paired_ratio, share_difference
from mull.stats.bootstrap import percentile_interval, totals

ROWS = st.lists(st.tuples(st.floats(0, 10), st.floats(0.5, 10), st.sampled_from("abcdef")), min_size=2, max_size=20)


def sandwich(residuals, clusters, n):
    """CR1 by its definition: a double loop over all pairs that share a cluster."""
    total = 0.0
    for e, g in zip(residuals, clusters, strict=True):
        for f, h in zip(residuals, clusters, strict=True):
            total += e * f if g == h else 0.0
    groups = len(set(clusters))
    return math.sqrt(max(total, 0.0) * groups / (groups - 1)) / n if groups > 1 else math.nan


@settings(max_examples=40)
@given(ROWS)
def test_standard_errors_equal_the_double_loop(rows):
    before, after, clusters = (list(column) for column in zip(*rows, strict=True))
    n = len(rows)
    mean = sum(before) / n
    difference = sum(after) / n - mean
    cases = [(cluster_mean(before, clusters).se, [b - mean for b in before])]
    cases.append(
        (
            paired_difference(before, after, clusters).se,
            [a - b - difference for b, a in zip(before, after, strict=True)],
        )
    )
    ratio = mean / (sum(after) / n)
    residuals = [(b - ratio * a) / (sum(after) / n) for b, a in zip(before, after, strict=True)]
    cases.append((paired_ratio(after, before, clusters).se, residuals))
    for value, expected in cases:
        assert value == pytest.approx(sandwich(expected, clusters, n), abs=1e-6, nan_ok=True)


def test_the_bootstrap_agrees_with_all_resamples():
    """Four clusters have 4^4 equally likely resamples: the seeded interval is that distribution's 95% range."""
    values, clusters = [1.0, 2.0, 4.0, 4.5, 8.0, 3.0, 7.5], list("aabbccd")
    groups = {g: [v for v, c in zip(values, clusters, strict=True) if c == g] for g in "abcd"}
    means = [np.mean([v for g in draw for v in groups[g]]) for draw in product("abcd", repeat=4)]
    low, high = np.quantile(means, [0.025, 0.975])
    estimate = cluster_mean(values, clusters)
    assert estimate.low == pytest.approx(low, abs=0.25)
    assert estimate.high == pytest.approx(high, abs=0.25)
    assert estimate.mean == pytest.approx(np.mean(values))
    assert (estimate.n, estimate.clusters) == (7, 4)


def test_weights_equal_a_loop_that_draws_clusters():
    """The matrix product is the same thing as copying whole clusters."""
    rng = np.random.default_rng(7)
    sums = totals(rng.normal(size=(30, 2)), rng.integers(0, 6, 30), 6)
    seen = []
    percentile_interval(sums, lambda t: (seen.append(t), t[:, 0])[1], seed=3, resamples=50)
    weights = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), size=50)
    assert (weights.sum(1) == 6).all()
    for row, weight in zip(seen[0], weights, strict=True):
        copies = [sums[g] for g in range(6) for _ in range(weight[g])]
        assert row == pytest.approx(np.sum(copies, axis=0))


def test_copies_of_a_problem_in_its_family_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    values, families = rng.random(40), list(range(40))
    one = cluster_mean(values, families)
    ten = cluster_mean(np.repeat(values, 10), [f for f in families for _ in range(10)])
    assert (ten.low, ten.high, ten.se) == pytest.approx((one.low, one.high, one.se))
    assert (ten.n, ten.clusters) == (400, 40)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(5)
    families = [g for g in range(40) for _ in range(5)]
    hits = 0
    for _ in range(200):
        values = np.repeat(rng.normal(0, 1, 40), 5) + rng.normal(0, 1, 200)
        estimate = cluster_mean(values, families)
        hits += estimate.low <= 0 <= estimate.high
    assert 178 <= hits <= 199


@given(ROWS)
def test_difference_is_antisymmetric_and_ratio_is_reciprocal(rows):
    before, after, clusters = (list(column) for column in zip(*rows, strict=True))
    forth, back = paired_difference(before, after, clusters), paired_difference(after, before, clusters)
    assert forth.value == pytest.approx(-back.value, abs=1e-9)
    assert forth.low == pytest.approx(-back.high, abs=1e-9, nan_ok=True)
    doubled = paired_ratio(after, [2 * a for a in after], clusters)
    assert doubled.value == pytest.approx(2.0)
    if doubled.clusters > 1:
        assert (doubled.low, doubled.high) == pytest.approx((2.0, 2.0))


def test_what_is_missing_is_left_out_in_pairs():
    change = paired_difference([0.0, math.nan, 1.0, 0.0], [1.0, 1.0, math.nan, 0.5], list("abcd"))
    assert (change.n, change.clusters, change.before, change.after) == (2, 2, 0.0, 0.75)


def test_what_is_undefined_is_nan():
    assert math.isnan(cluster_mean([], []).mean)
    single = cluster_mean([1.0, 2.0], ["a", "a"])
    assert single.mean == 1.5
    assert all(math.isnan(x) for x in (single.low, single.high, single.se))
    assert math.isnan(paired_ratio([0.0, 0.0], [1.0, 2.0], list("ab")).value)
    assert math.isnan(share_difference(([0, 0], [0, 0]), ([1, 1], [1, 1]), list("ab")).value)
    with pytest.raises(ValueError, match="one cluster a value"):
        cluster_mean([1.0], [])


def test_shares_at_the_ends_do_not_claim_certainty():
    nothing = cluster_share([0.0] * 80, [i // 2 for i in range(80)])
    assert nothing.low == 0.0
    assert 0.05 < nothing.high < 0.12  # Wilson of 0 in 40 families
    assert cluster_share([1.0] * 40, list(range(40))).low == pytest.approx(1 - nothing.high)
    assert cluster_share([0.0, 1.0, 1.0], list("abc")) == cluster_mean([0.0, 1.0, 1.0], list("abc"))


def test_a_share_of_thoughts_weighs_each_thought_once():
    """Hand-made: 1 of 10 thoughts before; 6 of 8 after, though the per-problem means would say otherwise."""
    change = share_difference(([0, 1, 0], [1, 1, 8]), ([2, 4, 0], [2, 4, 2]), list("abc"))
    assert (change.before, change.after) == pytest.approx((0.1, 0.75))
    assert change.value == pytest.approx(0.65)
    everyone = share_difference(([1, 0, 1, 0], [1, 1, 1, 1]), ([1, 1, 1, 0], [1, 1, 1, 1]), list("abcd"))
    plain = paired_difference([1, 0, 1, 0], [1, 1, 1, 0], list("abcd"))
    assert everyone.se == pytest.approx(plain.se)
    assert (everyone.low, everyone.high) == pytest.approx((plain.low, plain.high))


def test_the_same_seed_gives_the_same_interval():
    values, families = np.random.default_rng(1).random(60), [i // 3 for i in range(60)]
    assert cluster_mean(values, families) == cluster_mean(values, families)
    assert cluster_mean(values, families, seed=1).low != cluster_mean(values, families).low
