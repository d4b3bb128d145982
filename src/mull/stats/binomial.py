"""Intervals of a share of independent trials: Wilson's and the exact one of Clopper and Pearson.

For counts that are independent (one sample a problem, one problem a family). Where trials hang together use
cluster.py. Left out on purpose: other levels than the two-sided 95%, scipy (the exact bounds are found by bisection).

Papers: Wilson 1927; Clopper & Pearson 1934.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A closed interval. Example: `Interval(0.62, 0.81)`"""

    low: float
    high: float


def wilson_interval(successes: int, trials: int, z: float = Z95) -> Interval:
    """Wilson's score interval of `successes` in `trials`; (nan, nan) without trials.

    centre = (p + z^2/2n) / (1 + z^2/n), half = z/(1 + z^2/n) * sqrt(p(1-p)/n + z^2/4n^2)

    Raises:
        ValueError: successes outside 0..trials.
    """
    _check(successes, trials)
    if trials == 0:
        return Interval(math.nan, math.nan)
    share, square = successes / trials, z * z / trials
    centre = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    # Exact at the ends, where rounding would leave 1e-17 beside 0 or 1.
    low = 0.0 if successes == 0 else centre - half
    return Interval(low, 1.0 if successes == trials else centre + half)


def exact_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Clopper and Pearson's: all p under which neither tail at `successes` is rarer than (1 - level)/2.

    Raises:
        ValueError: successes outside 0..trials.
    """
    _check(successes, trials)
    if trials == 0:
        return Interval(math.nan, math.nan)
    tail = (1 - level) / 2
    # P(X >= s) rises with p, P(X <= s) falls with it: each bound is where the tail's probability crosses `tail`.
    low = 0.0 if successes == 0 else _bisect(lambda p: 1 - binomial_cdf(successes - 1, trials, p) - tail)
    high = 1.0 if successes == trials else _bisect(lambda p: tail - binomial_cdf(successes, trials, p))
    return Interval(low, high)


def binomial_cdf(successes: int, trials: int, share: float) -> float:
    """P(X <= successes) of a binomial with `trials` and success probability `share` in (0, 1)."""
    if share <= 0.0 or share >= 1.0:
        return 1.0 if share <= 0.0 or successes >= trials else 0.0
    log_p, log_q = math.log(share), math.log1p(-share)
    log_n = math.lgamma(trials + 1)
    terms = (
        math.exp(log_n - math.lgamma(i + 1) - math.lgamma(trials - i + 1) + i * log_p + (trials - i) * log_q)
        for i in range(successes + 1)
    )
    return min(1.0, math.fsum(terms))


def _bisect(rising) -> float:
    """The root in (0, 1) of a function that rises through 0."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def _check(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials: need 0 <= successes <= trials")
