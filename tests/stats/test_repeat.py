"""pass@k and cons@k against enumeration of every subset of k samples."""

import math
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.stats import cons_at_k, pass_at_k

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=9)


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.integers(1, 10))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(correct, k):
    value = pass_at_k(len(correct), sum(correct), k)
    if k > len(correct):
        assert math.isnan(value)
    else:
        subsets = list(combinations(correct, k))
        assert value == pytest.approx(sum(any(s) for s in subsets) / len(subsets), abs=1e-12)


def vote(subset, right):
    votes = Counter(answer for answer in subset if answer is not None)
    if not votes:
        return 0.0
    top = [answer for answer, count in votes.items() if count == max(votes.values())]
    return sum(answer in right for answer in top) / len(top)


@given(ANSWERS, st.sets(st.sampled_from(["a", "b", "c", "d"]), max_size=2), st.integers(1, 10))
def test_cons_at_k_is_the_mean_vote_over_subsets(answers, right, k):
    value = cons_at_k(answers, [answer in right for answer in answers], k)
    if k > len(answers):
        assert math.isnan(value)
    else:
        wins = [vote(subset, right) for subset in combinations(answers, k)]
        assert value == pytest.approx(sum(wins) / len(wins), abs=1e-12)


@given(ANSWERS, st.sets(st.sampled_from(["a", "b"]), max_size=2), st.randoms(use_true_random=False), st.integers(1, 9))
def test_order_of_the_samples_changes_nothing(answers, right, random, k):
    shuffled = random.sample(answers, len(answers))
    values = [cons_at_k(a, [x in right for x in a], k) for a in (answers, shuffled)]
    assert values[0] == values[1] or all(map(math.isnan, values))


@given(ANSWERS, st.sets(st.sampled_from(["a", "b"]), max_size=2))
def test_a_vote_of_one_is_pass_at_1(answers, right):
    correct = [answer in right for answer in answers]
    assert cons_at_k(answers, correct, 1) == pytest.approx(pass_at_k(len(answers), sum(correct), 1))


def test_no_answer_takes_a_seat_but_never_wins():
    assert cons_at_k([None] * 15 + ["4"], [False] * 15 + [True], 16) == 1.0
    assert cons_at_k([None] * 4, [False] * 4, 4) == 0.0
    assert cons_at_k(["4", "5"], [True, False], 2) == 0.5


def test_large_draws_stay_exact():
    answers = ["a"] * 40 + ["b"] * 24
    assert cons_at_k(answers, [a == "a" for a in answers], 63) == 1.0
    assert cons_at_k(answers, [a == "b" for a in answers], 64) == 0.0
    both = [cons_at_k(answers, [a == x for a in answers], 16) for x in "ab"]
    assert sum(both) == pytest.approx(1.0, abs=1e-12)


def test_wrong_use_is_refused():
    for bad in (lambda: pass_at_k(3, 4, 1), lambda: pass_at_k(3, 1, 0), lambda: cons_at_k(["a"], [], 1)):
        with pytest.raises(ValueError, match="@k with"):
            bad()
