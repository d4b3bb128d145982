"""Packing loses nothing, crosses no boundary, lays a prompt once for its completions, and keeps to its limit."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.packing import Batch, pack, pack_examples, split_units, units_of
from mull.algo.samples import Example, Sample


@st.composite
def samples(draw) -> list[Sample]:
    """Samples of up to four prompts; sample k's own tokens are 1000k + its place, a prompt's −1, −2 … of its group."""
    result = []
    prompts = [tuple(-10 * g - i - 1 for i in range(draw(st.integers(1, 5)))) for g in range(4)]
    for number in range(draw(st.integers(1, 9))):
        group, length = draw(st.integers(0, 3)), draw(st.integers(0, 12))
        mask = tuple(draw(st.lists(st.booleans(), min_size=length, max_size=length)))
        own = tuple(1000 * number + i for i in range(length))
        old = tuple(-float(t) for t in own)
        result.append(Sample(prompts[group] + own, len(prompts[group]), mask, old, float(number), group))
    return result


def seen_by(batch: Batch, place: int) -> list[int]:
    """The tokens that the token at `place` of the stream may look at, by the layout's own words."""
    start, segment = 0, 0
    while start + batch.lengths[segment] <= place:
        start, segment = start + batch.lengths[segment], segment + 1
    parent, before = batch.parents[segment], []
    if parent >= 0:
        begin = sum(batch.lengths[:parent])
        before = batch.tokens_T[begin : begin + batch.lengths[parent]].tolist()
    return before + batch.tokens_T[start : place + 1].tolist()


@given(samples(), st.integers(1, 60))
def test_every_token_that_carries_loss_is_predicted_once_from_all_that_came_before(batch, limit) -> None:
    seen = []
    for micro in pack(batch, [10.0 + i for i in range(len(batch))], limit):
        assert sum(micro.lengths) == len(micro.tokens_T) and sum(micro.counts) == len(micro.targets_N)
        assert sum(micro.lengths) <= limit or len(micro.members) == 1
        owners = [member for member, count in zip(micro.members, micro.counts, strict=True) for _ in range(count)]
        for n, member in enumerate(owners):
            at, token = int(micro.predictors_N[n]), int(micro.targets_N[n])
            place = batch[member].tokens.index(token)
            assert seen_by(micro, at) == list(batch[member].tokens[:place])
            assert int(micro.positions_T[at]) == place - 1
            assert (token // 1000, micro.advantage_N[n], micro.weight_N[n]) == (member, member, member + 10)
            assert micro.old_logprobs_N[n] == -token
            seen.append(token)
    wanted = [t for s in batch for t, on in zip(s.tokens[s.prompt_length :], s.loss_mask, strict=True) if on]
    assert sorted(seen) == sorted(wanted)


def test_a_prompt_lies_once_in_a_micro_batch_and_again_in_the_next() -> None:
    prompt, length = tuple(range(10)), 20
    group = [Sample(prompt + tuple(range(100 * k, 100 * k + length)), 10, (True,) * length, (0.0,) * length)
             for k in range(1, 5)]  # fmt: skip
    [whole] = pack(group, [1.0] * 4, 90)
    assert whole.lengths == (10, 20, 20, 20, 20) and whole.parents == (-1, 0, 0, 0, 0)
    assert whole.predictors_N.tolist().count(9) == 4
    assert [len(b.tokens_T) for b in pack(group, [1.0] * 4, 50)] == [50, 50]
    assert [b.parents for b in pack(group, [1.0] * 4, 30)] == [(-1,)] * 4


@given(samples(), st.integers(0, 70))
def test_a_filled_stream_is_longer_and_says_the_same(batch, total) -> None:
    for micro in pack(batch, [1.0] * len(batch), 60):
        filled, size = micro.filled(total), len(micro.tokens_T)
        assert sum(filled.lengths) == len(filled.tokens_T) == len(filled.positions_T) == max(size, total)
        assert torch.equal(filled.tokens_T[:size], micro.tokens_T) and not filled.tokens_T[size:].any()
        for at in micro.predictors_N.tolist():
            assert seen_by(filled, at) == seen_by(micro, at)


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 60), st.randoms())
def test_units_are_longest_first_and_fit_and_do_not_depend_on_order(lengths, limit, rng: random.Random) -> None:
    prefixes = [(n % 3,) if n > 5 else () for n in lengths]

    def split(lengths: list[int], prefixes: list[tuple[int, ...]]) -> list[list[tuple[int, list[int]]]]:
        bins = split_units(units_of(lengths, prefixes, limit), lengths, limit)
        return [sorted((unit.shared, [lengths[i] for i in unit.members]) for unit in units) for units in bins]

    bins = split(lengths, prefixes)
    assert sorted(n for units in bins for _, members in units for n in members) == sorted(lengths)
    assert all(members == sorted(members, reverse=True) for units in bins for _, members in units)
    for units in bins:
        size = sum(shared + sum(n - shared for n in members) for shared, members in units)
        assert size <= limit or [len(members) for _, members in units] == [1]
    order = list(range(len(lengths)))
    rng.shuffle(order)
    assert sorted(split([lengths[i] for i in order], [prefixes[i] for i in order])) == sorted(bins)


def test_examples_keep_their_weights_and_the_first_token_is_never_predicted() -> None:
    [batch] = pack_examples([Example((7, 8, 9), (1.0, 0.0, 0.5)), Example((3, 4), (9.0, 2.0))], 0.1, 100)
    assert batch.targets_N.tolist() == [9, 4]
    assert batch.predictors_N.tolist() == [1, 3]
    assert batch.parents == (-1, -1)
    torch.testing.assert_close(batch.weight_N, torch.tensor([0.05, 0.2]))


def test_half_given_reference_logprobs_are_refused() -> None:
    plain = Sample((1, 2), 1, (True,), (0.0,))
    with pytest.raises(ValueError, match="reference"):
        pack([plain, Sample((1, 2), 1, (True,), (0.0,), ref_logprobs=(0.0,))], [1.0, 1.0], 9)
