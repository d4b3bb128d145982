"""Binomial intervals against their defining properties, checked with exact rational arithmetic."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.stats import exact_interval, wilson_interval
from mull.stats.binomial import Z95, binomial_cdf

COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.fractions(Fraction(1, 100), Fraction(99, 100)))
def test_the_distribution_function_equals_the_rational_sum(counts, share):
    s, n = counts
    exact = sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(s + 1))
    assert binomial_cdf(s, n, float(share)) == pytest.approx(float(exact), abs=1e-10)


@given(COUNTS)
def test_each_exact_bound_leaves_a_tail_of_one_fortieth(counts):
    s, n = counts
    interval = exact_interval(s, n)
    assert interval.low <= s / n <= interval.high
    if s > 0:
        assert 1 - binomial_cdf(s - 1, n, interval.low) == pytest.approx(0.025, abs=1e-9)
    if s < n:
        assert binomial_cdf(s, n, interval.high) == pytest.approx(0.025, abs=1e-9)


@given(COUNTS)
def test_wilson_bounds_solve_the_score_equation(counts):
    """A bound p of Wilson's interval is where |s/n - p| = z sqrt(p(1-p)/n)."""
    s, n = counts
    interval = wilson_interval(s, n)
    for p in (interval.low, interval.high):
        assert (s / n - p) ** 2 == pytest.approx(Z95**2 * p * (1 - p) / n, abs=1e-12)


@given(COUNTS)
def test_both_mirror_when_right_and_wrong_swap(counts):
    s, n = counts
    for interval in (wilson_interval, exact_interval):
        assert interval(n - s, n).low == pytest.approx(1 - interval(s, n).high, abs=1e-9)


def test_no_trials_and_bad_counts():
    assert math.isnan(wilson_interval(0, 0).low)
    assert math.isnan(exact_interval(0, 0).high)
    with pytest.raises(ValueError, match="4 successes in 3 trials"):
        wilson_interval(4, 3)
