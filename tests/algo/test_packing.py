"""Packing loses nothing, crosses no boundary, and keeps to its limit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mull.algo.packing import pack, pack_examples, split_by_length
from mull.algo.samples import Example, Sample


@st.composite
def samples(draw) -> list[Sample]:
    result = []
    for number in range(draw(st.integers(1, 9))):
        prompt, length = draw(st.integers(1, 5)), draw(st.integers(0, 12))
        mask = tuple(draw(st.lists(st.booleans(), min_size=length, max_size=length)))
        tokens = tuple(100 * number + i for i in range(prompt + length))
        result.append(Sample(tokens, prompt, mask, tuple(-float(t) for t in tokens[prompt:]), float(number), number))
    return result


@given(samples(), st.integers(1, 40))
def test_every_token_that_carries_loss_appears_once_with_its_own_numbers(batch: list[Sample], limit: int) -> None:
    seen = []
    for micro in pack(batch, [10.0 + s.group for s in batch], limit):
        assert sum(micro.lengths) == len(micro.tokens_T)
        assert sum(micro.lengths) <= limit or len(micro.lengths) == 1
        owner = torch.repeat_interleave(torch.arange(len(micro.lengths)), torch.tensor(micro.lengths))
        for n in range(len(micro.targets_N)):
            at, token = int(micro.predictors_N[n]), int(micro.targets_N[n])
            sample = batch[micro.members[int(owner[at])]]
            assert owner[at] == owner[at + 1] and int(micro.tokens_T[at + 1]) == token
            assert sample.tokens[int(micro.positions_T[at])] == int(micro.tokens_T[at]) == token - 1
            assert token // 100 == sample.group == micro.advantage_N[n] == micro.weight_N[n] - 10
            assert micro.old_logprobs_N[n] == -token
            seen.append(token)
    wanted = [t for s in batch for t, on in zip(s.tokens[s.prompt_length :], s.loss_mask, strict=True) if on]
    assert sorted(seen) == wanted


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 60))
def test_longest_first_and_neighbours_in_length_together(lengths: list[int], limit: int) -> None:
    bins = split_by_length(lengths, limit)
    flat = [lengths[i] for members in bins for i in members]
    assert flat == sorted(lengths, reverse=True)
    assert sorted(i for members in bins for i in members) == list(range(len(lengths)))
    assert bins == split_by_length(lengths, limit)


def test_examples_keep_their_weights_and_the_first_token_is_never_predicted() -> None:
    [batch] = pack_examples([Example((7, 8, 9), (1.0, 0.0, 0.5)), Example((3, 4), (9.0, 2.0))], 0.1, 100)
    assert batch.targets_N.tolist() == [9, 4]
    assert batch.predictors_N.tolist() == [1, 3]
    torch.testing.assert_close(batch.weight_N, torch.tensor([0.05, 0.2]))


def test_half_given_reference_logprobs_are_refused() -> None:
    plain = Sample((1, 2), 1, (True,), (0.0,))
    with pytest.raises(ValueError, match="reference"):
        pack([plain, Sample((1, 2), 1, (True,), (0.0,), ref_logprobs=(0.0,))], [1.0, 1.0], 9)
