"""What repeated sampling buys: pass@k (one of k is right) and cons@k (the majority of k is right).

Both are exact expectations over all subsets of k of the n samples at hand, drawn without replacement: no random
numbers, no bias from picking the first k. Where the estimator is undefined (k > n) it is nan. Left out on
purpose: weights on votes (confidence, length), which belong to a policy of thinking and not to a measurement.

pass@k: Chen et al. 2021, "Evaluating large language models trained on code", equation 1:
    1 - C(n-c, k) / C(n, k)
cons@k: Wang et al. 2022, "Self-consistency", with the expectation over subsets in place of one draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb


def pass_at_k(n: int, c: int, k: int) -> float:
    """The probability that at least one of `k` of `n` samples is right, `c` of them being right; nan for k > n.

    Raises:
        ValueError: c outside 0..n, or k < 1.
    """
    if not 0 <= c <= n or k < 1:
        raise ValueError(f"pass@k with n={n}, c={c}, k={k}: need 0 <= c <= n and k >= 1")
    if k > n:
        return float("nan")
    return 1.0 - comb(n - c, k) / comb(n, k)


def cons_at_k(answers: Sequence[Hashable | None], correct: Sequence[bool], k: int) -> float:
    """The probability that the most frequent answer among `k` of the samples is a right one; nan for k > n.

    The vote looks at the answers only; `correct` says afterwards whether the winner is right (an answer is right
    when any sample that gave it was judged right). Tied answers share the win equally. None, no answer, takes
    a seat among the k but can never win.

    Raises:
        ValueError: the two differ in length, or k < 1.
    """
    if len(answers) != len(correct) or k < 1:
        raise ValueError(f"cons@k with {len(answers)} answers, {len(correct)} verdicts, k={k}")
    if k > len(answers):
        return float("nan")
    votes = Counter(answer for answer in answers if answer is not None)
    right = {answer for answer, good in zip(answers, correct, strict=True) if good and answer is not None}
    silent = len(answers) - sum(votes.values())
    chance = Fraction(0)
    for answer in right:
        rivals = tuple(sorted(count for other, count in votes.items() if other != answer))
        chance += _win_chance(votes[answer], rivals, silent, k)
    return float(chance)


@lru_cache(maxsize=4096)
def _win_chance(own: int, rivals: tuple[int, ...], silent: int, k: int) -> Fraction:
    """The probability that an answer with `own` votes wins a draw of k, its share of ties included.

    Sums over the votes j it gets and, by dynamic programming over the rivals, counts the ways in which each rival
    gets at most j, keeping apart the number of rivals that get exactly j.
    """
    won = Fraction(0)
    for j in range(1, min(own, k) + 1):
        # ways[t][s]: choices so far with s seats taken by rivals, t of them level with j
        ways: dict[tuple[int, int], int] = {(0, 0): 1}
        for count in rivals:
            ways = _seat(ways, count, j, k - j)
        for (ties, seats), number in ways.items():
            won += Fraction(comb(own, j) * number * comb(silent, k - j - seats), ties + 1)
    return won / comb(own + sum(rivals) + silent, k)


def _seat(ways: dict[tuple[int, int], int], count: int, most: int, room: int) -> dict[tuple[int, int], int]:
    """Extend each way by one rival with `count` votes, of which up to `most` are drawn into at most `room` seats."""
    extended: dict[tuple[int, int], int] = {}
    for (ties, seats), number in ways.items():
        for drawn in range(min(count, most, room - seats) + 1):
            key = (ties + (drawn == most), seats + drawn)
            extended[key] = extended.get(key, 0) + number * comb(count, drawn)
    return extended
