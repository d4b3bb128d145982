"""Money and tokens against sums done by hand; the journal as the purse's memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.engine.journal import Journal
from mull.engine.purse import Most, Prices, Purse, Usage, guess_of, most_of

PRICES = Prices(input=0.5, output=2.0)


def test_what_tokens_cost() -> None:
    purse = Purse(PRICES)
    purse.paid(Usage(1_000, 3_000, 2_500), Most(9_999, 9_999))
    assert purse.spent == pytest.approx(1_000 * 0.5e-6 + 3_000 * 2e-6)
    purse.paid(Usage(None, None), Most(100, 200))  # nobody told: the most it can have been
    purse.lost(Most(1, 0))
    assert purse.spent == pytest.approx(0.0005 + 0.006 + 100 * 0.5e-6 + 200 * 2e-6 + 0.5e-6)
    told = {"prompt_tokens": 1_000, "completion_tokens": 3_000, "reasoning_tokens": 2_500, "untold": 2}
    assert purse.summary() == told | {"cost": pytest.approx(purse.spent, abs=1e-6)}


def test_unknown_is_null_and_not_nought() -> None:
    purse = Purse()
    purse.paid(Usage(), Most(10, 10))
    assert purse.summary() == {
        "prompt_tokens": None, "completion_tokens": None, "reasoning_tokens": None, "untold": 1, "cost": None,
    }  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=30), st.integers(0, 20_000))
def test_a_budget_is_never_exceeded(attempts: list[tuple[int, int]], budget: int) -> None:
    """Whatever is asked for, in flight or told, as long as nobody bills more than the bound."""
    purse = Purse(Prices(input=1, output=2), budget / 1e6)
    flying: list[Most] = []
    for prompt, completion in attempts:
        most = Most(prompt, completion)
        if purse.allows(most):
            purse.hold(most)
            flying.append(most)
        elif flying:
            back = flying.pop(0)
            purse.release(back)
            purse.paid(Usage(back.prompt, back.completion // 2), back)
    for back in flying:
        purse.release(back)
        purse.lost(back)
    assert purse.spent <= budget / 1e6 + 1e-12


def test_bounds_and_guesses() -> None:
    messages = [{"role": "user", "content": "é" * 50}]
    assert most_of(messages, 7).prompt >= 100 and most_of(messages, 7).completion == 7
    assert guess_of(messages) == 25 + 16


def test_the_journal_forgets_nothing_that_was_paid(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Journal(path, Purse(PRICES)) as journal:
        journal.sent("a", Most(10, 10))
        journal.answered("a", {"reply": "un \ud800 é"}, Usage(4, 6), Most(10, 10))
        journal.sent("b", Most(10, 10))
        journal.refused("b", "429", Most(10, 10))
        journal.sent("b", Most(10, 10))
        journal.lost("b", "cut", Most(10, 10))
        journal.sent("c", Most(1_000, 0))  # killed before it came back
        before = journal.purse.spent
        assert journal.purse.held == pytest.approx(1_000 * 0.5e-6)
    torn = path.read_bytes() + json.dumps({"answered": "c", "most": {}}).encode()[:20]
    path.write_bytes(torn)
    with Journal(path, Purse(PRICES)) as again:
        assert "a" in again and "b" not in again and "c" not in again
        assert again["a"] == {"reply": "un \ud800 é"} and again.whys["b"] == "cut"
        assert again.purse.spent == pytest.approx(before + 1_000 * 0.5e-6) and again.purse.held == 0
        assert (again.attempts, again.retries) == (4, 1)
        again.sent("c", Most(1, 1))
        again.answered("c", {"reply": "x"}, Usage(1, 1), Most(1, 1))
    with Journal(path, Purse(PRICES)) as once_more:
        assert once_more["c"] == {"reply": "x"} and once_more["a"]["reply"] == "un \ud800 é"
