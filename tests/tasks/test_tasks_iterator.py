"""The cursor: nothing skipped or repeated, exact resume, weights kept, retirement that never empties a source."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import UserError
from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Verdict, VerdictKind
from mull.tasks.iterator import TaskIterator


def problems(source: str, n: int) -> list[Problem]:
    return [Problem(f"{source}/{i}", (Message("user", str(i)),), "number", {"answer": "1"}) for i in range(n)]


def group(problem: Problem, passed: list[bool | None]) -> Group:
    """A group whose samples were right, wrong or (None) without evidence."""
    kinds = {True: VerdictKind.CORRECT, False: VerdictKind.WRONG, None: VerdictKind.TIMEOUT}
    completion = Completion((1,), (2,), (0.0,), FinishReason.STOP)
    return Group(problem, tuple(Scored(completion, Verdict(kinds[p]), float(p is True)) for p in passed))


def ids(iterator: TaskIterator, n: int) -> list[str]:
    return [draw.problem.id for draw in iterator.next(n)]


sources = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1)


@given(
    sources,
    st.integers(0, 60),
    st.integers(1, 40),
    st.integers(0, 5),
    st.lists(st.integers(1, 7), min_size=4, max_size=4),
)
def test_a_restored_iterator_continues_exactly(
    sizes: dict[str, int], k: int, n: int, seed: int, weights: list[int]
) -> None:
    lists = {name: problems(name, size) for name, size in sizes.items()}
    shares = dict(zip(lists, map(float, weights), strict=False))
    first = TaskIterator(lists, shares, seed, retire_at=0.9, retire_after=2)
    for draw in first.next(k):
        first.note([group(draw.problem, [draw.draw % 3 > 0] * 2)])
    saved = json.loads(json.dumps(first.state()))
    second = TaskIterator(lists, shares, seed, retire_at=0.9, retire_after=2)
    second.restore(saved)
    assert second.state() == first.state()
    for _ in range(n):
        (a,), (b,) = first.next(1), second.next(1)
        assert (a.problem.id, a.draw) == (b.problem.id, b.draw)
        for iterator in (first, second):
            iterator.note([group(a.problem, [True, True])])
    assert second.state() == first.state()


@given(sources, st.integers(0, 9))
def test_an_epoch_holds_every_problem_once(sizes: dict[str, int], seed: int) -> None:
    for name, size in sizes.items():
        iterator = TaskIterator({name: problems(name, size)}, seed=seed)
        epochs = [ids(iterator, size) for _ in range(3)]
        assert all(sorted(epoch) == sorted(f"{name}/{i}" for i in range(size)) for epoch in epochs)


def test_draws_in_one_piece_or_in_many_are_the_same() -> None:
    lists = {"a": problems("a", 7), "b": problems("b", 3)}
    whole, parts = TaskIterator(lists, seed=3), TaskIterator(lists, seed=3)
    assert whole.next(20) == [draw for n in (1, 4, 0, 15) for draw in parts.next(n)]
    assert [draw.draw for draw in whole.next(3)] == [20, 21, 22]


def test_seeds_and_epochs_shuffle_differently() -> None:
    lists = {"a": problems("a", 30)}
    iterator = TaskIterator(lists, seed=0)
    assert len({tuple(ids(iterator, 30)) for _ in range(3)} | {tuple(ids(TaskIterator(lists, seed=1), 30))}) == 4


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=5), st.integers(1, 200))
def test_weights_are_kept(weights: list[float], n: int) -> None:
    lists = {f"s{i}": problems(f"s{i}", 5) for i in range(len(weights))}
    iterator = TaskIterator(lists, {f"s{i}": w for i, w in enumerate(weights)})
    counts = Counter(name.split("/")[0] for name in ids(iterator, n))
    bound = 1.0 if len(weights) == 2 else 1.5
    for i, weight in enumerate(weights):
        assert abs(counts[f"s{i}"] - n * weight / sum(weights)) <= bound + 1e-6


def test_a_mastered_problem_is_retired_after_consecutive_visits() -> None:
    lists = {"a": problems("a", 3)}
    iterator = TaskIterator(lists, retire_at=0.75, retire_after=2)
    target = lists["a"][0]
    iterator.note([group(target, [True] * 4)])
    iterator.note([group(target, [True, False])])
    iterator.note([group(target, [True] * 4)])
    iterator.note([group(target, [None, None])])
    assert not iterator.retired
    iterator.note([group(target, [True, True, True, False])])
    assert iterator.retired == {"a/0"}
    assert set(ids(iterator, 10)) == {"a/1", "a/2"}


def test_the_last_problem_of_a_source_stays() -> None:
    lists = {"a": problems("a", 4)}
    iterator = TaskIterator(lists, retire_at=0.5, retire_after=1)
    iterator.note([group(problem, [True]) for problem in lists["a"]])
    assert len(iterator.retired) == 3
    assert set(ids(iterator, 5)) == {"a/3"}


def test_nothing_is_retired_unless_asked() -> None:
    lists = {"a": problems("a", 2)}
    iterator = TaskIterator(lists)
    iterator.note([group(problem, [True]) for problem in lists["a"]] * 5)
    assert not iterator.retired


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="no tasks"):
        TaskIterator({})
    with pytest.raises(UserError, match="a: no problems"):
        TaskIterator({"a": []})
    with pytest.raises(UserError, match="weight must be above 0"):
        TaskIterator({"a": problems("a", 1)}, {"a": 0.0})
    with pytest.raises(UserError, match="two problems have the id 'x/0'"):
        TaskIterator({"a": problems("x", 1), "b": problems("x", 1)})
    saved = TaskIterator({"a": problems("a", 2)}).state()
    with pytest.raises(UserError, match="task cursor"):
        TaskIterator({"a": problems("a", 3)}).restore(saved)
    with pytest.raises(UserError, match="task cursor"):
        TaskIterator({"a": problems("a", 2)}, seed=1).restore(saved)
