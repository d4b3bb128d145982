"""Packed attention with shared prefixes against a plain loop, whatever the layout and the window."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from mull.model.packed import PackedLayout

torch.set_num_threads(1)


@st.composite
def forests(draw) -> tuple[list[int], list[int]]:
    """(lengths, parents) in any order of stream: a parent may come after its children."""
    roots = draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(1, 24), min_size=roots, max_size=roots + 7))
    parents = [-1] * roots + [draw(st.integers(-1, roots - 1)) for _ in lengths[roots:]]
    place = draw(st.permutations(range(len(lengths))))
    moved = {old: new for new, old in enumerate(place)}
    return [lengths[old] for old in place], [moved.get(parents[old], -1) for old in place]


def one_by_one(query, key, value, lengths, parents, window) -> torch.Tensor:
    """`[1, T, H, D]`: every segment's rows under an explicit mask over its parent's tokens and its own."""
    starts = torch.cumsum(torch.tensor([0, *lengths]), 0).tolist()
    parts = []
    for s, parent in enumerate(parents):
        own = torch.arange(starts[s], starts[s + 1])
        before = torch.arange(starts[parent], starts[parent + 1]) if parent >= 0 else torch.arange(0)
        at = torch.cat([before, own])
        distance = torch.arange(len(before), len(at))[:, None] - torch.arange(len(at))
        mask = (distance >= 0) & (distance < (window or len(at)))
        k, v = (x[:, :, at].repeat_interleave(query.shape[1] // key.shape[1], 1) for x in (key, value))
        parts.append(scaled_dot_product_attention(query[:, :, own], k, v, attn_mask=mask, scale=0.4).transpose(1, 2))
    return torch.cat(parts, 1)


@settings(max_examples=150, deadline=None)
@given(
    forest=forests(),
    waste=st.sampled_from([0.0, 0.25, 0.9]),
    window=st.sampled_from([None, 1, 3, 10]),
    kv_heads=st.sampled_from([1, 2, 4]),
)
def test_any_forest_equals_a_loop_of_plain_calls(forest, waste, window, kv_heads) -> None:
    lengths, parents = forest
    total, width = sum(lengths), 6
    generator = torch.Generator().manual_seed(total)
    inputs = tuple(
        torch.randn(1, heads, total, width, generator=generator, dtype=torch.float64, requires_grad=True)
        for heads in (4, kv_heads, kv_heads)
    )
    layout = PackedLayout.from_lengths(lengths, waste=waste, parents=parents)
    query, key, value = inputs
    out = layout.attend(0, query, key, value, 0.4, window)
    expected = one_by_one(query, key, value, lengths, parents, window)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)
    weight = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    ours = torch.autograd.grad((out * weight).sum(), inputs)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs)
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)


def test_the_work_is_never_more_than_about_twice_what_is_needed() -> None:
    """Long prompts take the masked way, short ones the causal one; nothing is T × T."""
    for prompt, own in [(400, 20), (20, 400), (200, 200)]:
        lengths, parents = [prompt] + [own] * 16, [-1] + [0] * 16
        layout = PackedLayout.from_lengths(lengths, parents=parents)
        # What the causal kernel skips counts as half, as it does in time.
        done = sum(b.rows * b.queries * b.keys * (0.5 if b.causal else 1.0) for b in layout.blocks)
        needed = prompt**2 / 2 + 16 * (own * prompt + own**2 / 2)
        assert done <= 2.1 * needed


def test_parents_of_parents_are_refused() -> None:
    with pytest.raises(ValueError, match="parent itself"):
        PackedLayout.from_lengths([2, 2, 2], parents=[-1, 0, 1])
