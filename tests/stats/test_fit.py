"""The log-linear fit against numpy's own least squares and against lines that are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.stats import log_linear_fit


@given(st.lists(st.tuples(st.integers(1, 4096), st.floats(-5, 5)), min_size=3, max_size=30))
def test_the_fit_is_least_squares(points):
    x, y = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    fit = log_linear_fit(x, y)
    if np.ptp(x) == 0:
        assert math.isnan(fit.slope)
        return
    slope, intercept = np.polyfit(np.log2(x), y, 1)
    assert (fit.slope, fit.intercept) == pytest.approx((slope, intercept), abs=1e-6)
    assert fit.predict(8.0) == pytest.approx(intercept + 3 * slope, abs=1e-6)


def test_an_exact_line_has_no_width():
    x = [11, 22, 44, 88] * 3
    fit = log_linear_fit(x, [0.1 + 0.15 * math.log2(v) for v in x], [i // 4 for i in range(12)])
    assert (fit.slope, fit.low, fit.high, fit.r2) == pytest.approx((0.15, 0.15, 0.15, 1.0))
    assert (fit.n, fit.clusters) == (12, 3)


def test_families_that_disagree_widen_the_interval():
    x = [2, 4, 8, 16] * 20
    slopes = np.random.default_rng(0).normal(0.1, 0.05, 20)
    y = [slopes[i // 4] * math.log2(v) for i, v in enumerate(x)]
    fit = log_linear_fit(x, y, [i // 4 for i in range(80)])
    assert fit.slope == pytest.approx(slopes.mean(), abs=1e-9)
    half = 1.96 * slopes.std() / math.sqrt(20)
    assert fit.high - fit.slope == pytest.approx(half, rel=0.3)
    assert fit.low < fit.slope < fit.high


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="positive"):
        log_linear_fit([0, 1], [1, 2])
    with pytest.raises(ValueError, match="lengths"):
        log_linear_fit([1, 2], [1])
