"""Which tokens and which samples may train at all."""

from __future__ import annotations

import pytest

from mull.algo.samples import Example, Sample, live_samples, sample_of
from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Verdict, VerdictKind

PROBLEM = Problem("p", (Message("user", "?"),), "number", {})


def scored(tokens: tuple[int, ...], excluded: str = "", forced: frozenset[int] = frozenset()) -> Scored:
    completion = Completion((1, 2), tokens, (-0.5,) * len(tokens), FinishReason.STOP, forced=forced)
    return Scored(completion, Verdict(VerdictKind.WRONG), 0.0, excluded=excluded)


def test_tokens_are_the_engines_and_forced_ones_carry_no_loss() -> None:
    sample = sample_of(scored((5, 6, 7), forced=frozenset({1})).completion, 0.5, 3)
    assert sample == Sample((1, 2, 5, 6, 7), 2, (True, False, True), (-0.5,) * 3, 0.5, 3)
    assert sample.valid == 2


def test_constant_groups_leave_whole_and_excluded_samples_alone() -> None:
    groups = [
        Group(PROBLEM, (scored((5,)), scored((6,)))),
        Group(PROBLEM, (scored((7,)), scored((8,), excluded="timeout"), scored((9,)), scored(()))),
    ]
    live = live_samples(groups, [[0.0, 0.0], [1.0, 0.0, 0.0, -1.0]])
    assert [(s.tokens[-1], s.advantage, s.group) for s in live] == [(7, 1.0, 1), (9, 0.0, 1)]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one entry for every sample"):
        live_samples([Group(PROBLEM, (scored((5,)),))], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="prompt token"):
        Sample((1, 2), 0, (True, True), (0.0, 0.0))
    with pytest.raises(ValueError, match="1 entries"):
        Sample((1, 2), 1, (True,), ())
    with pytest.raises(ValueError, match="weights"):
        Example((1, 2), (1.0,))
