"""Packed attention against transformers' own eager attention, sequence by sequence, and against plain SDPA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from mull.core.errors import UserError
from mull.model.attention import ATTENTION, PackedLayout

torch.set_num_threads(1)
VOCABULARY = 29
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "qwen2": ("Qwen2", {}),
    "qwen2-mixed-windows": ("Qwen2", {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "mistral-window": ("Mistral", {"head_dim": 8, "sliding_window": 4}),
    "gemma2-no-cap": (
        "Gemma2",
        {"head_dim": 8, "sliding_window": 5, "attn_logit_softcapping": None, "query_pre_attn_scalar": 5},
    ),
    "granite": ("Granite", {"attention_multiplier": 0.3}),
    "gpt-neox": ("GPTNeoX", {"num_key_value_heads": None}),
}
LENGTHS = [7, 1, 12, 3, 7]


def build(kind: str, attention: str, **extra: Any) -> Any:
    name, options = KINDS.get(kind, (kind, {}))
    values = {key: value for key, value in (SHAPE | options | extra).items() if value is not None or key in options}
    if values["num_key_value_heads"] is None:
        del values["num_key_value_heads"]
    config = getattr(transformers, f"{name}Config")(**values)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{name}ForCausalLM")(config)
        for weight in model.parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    model.set_attn_implementation(attention)
    return model.eval()


def segments(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCABULARY, (length,), generator=generator) for length in LENGTHS]


def packed(model: Any, parts: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Logits `[T, V]` of every segment by one packed pass."""
    lengths = [len(part) for part in parts]
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    layout = PackedLayout.from_lengths(lengths)
    out = model(input_ids=torch.cat(parts)[None], position_ids=positions, mull=layout, use_cache=False)
    return out.logits[0].split(lengths)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_forward_and_gradients_equal_eager_one_by_one(kind: str) -> None:
    ours, theirs = build(kind, ATTENTION), build(kind, "eager")
    parts = segments()
    logits = packed(ours, parts)
    expected = [theirs(input_ids=part[None], use_cache=False).logits[0] for part in parts]
    for got, want in zip(logits, expected, strict=True):
        torch.testing.assert_close(got, want, atol=2e-5, rtol=1e-5)
    target = torch.randn(sum(LENGTHS), VOCABULARY, generator=torch.Generator().manual_seed(1))
    (torch.cat(logits) * target).sum().backward()
    (torch.cat(expected) * target).sum().backward()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        scale = max(1.0, float(b.grad.abs().max()))
        torch.testing.assert_close(a.grad / scale, b.grad / scale, atol=2e-5, rtol=0, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("kind", ["llama", "mistral-window"])
def test_neighbours_change_nothing_bitwise(kind: str) -> None:
    model = build(kind, ATTENTION)
    parts, others = segments(0), segments(1)
    for kept in range(len(parts)):
        mixed = [part if i == kept else other for i, (part, other) in enumerate(zip(parts, others, strict=True))]
        found = []
        for stream in (parts, mixed):
            model.zero_grad()
            logits = packed(model, stream)[kept]
            logits.square().sum().backward()
            found.append((logits.detach(), model.model.layers[0].self_attn.q_proj.weight.grad.clone()))
        assert torch.equal(found[0][0], found[1][0])
        torch.testing.assert_close(found[0][1], found[1][1], atol=0, rtol=0)


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 24), min_size=1, max_size=9),
    waste=st.sampled_from([0.0, 0.25, 0.9]),
    window=st.sampled_from([None, 1, 3, 10]),
    shared=st.sampled_from([1, 2, 4]),
)
def test_any_layout_equals_a_loop_of_plain_calls(
    lengths: list[int], waste: float, window: int | None, shared: int
) -> None:
    total, width = sum(lengths), 6
    generator = torch.Generator().manual_seed(total)
    query, key, value = (
        torch.randn(1, heads, total, width, generator=generator, dtype=torch.float64, requires_grad=True)
        for heads in (4, 4 // shared, 4 // shared)
    )
    out = PackedLayout.from_lengths(lengths, waste=waste).attend(0, query, key, value, 0.4, window)
    parts, start = [], 0
    for length in lengths:
        q, k, v = (x[:, :, start : start + length] for x in (query, key, value))
        k, v = (x.repeat_interleave(shared, 1) for x in (k, v))
        steps = torch.arange(length)
        distance = steps[:, None] - steps
        mask = (distance >= 0) & (distance < (window or length))
        parts.append(scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.4).transpose(1, 2))
        start += length
    expected = torch.cat(parts, 1)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)
    weight = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    ours = torch.autograd.grad((out * weight).sum(), (query, key, value))
    theirs = torch.autograd.grad((expected * weight).sum(), (query, key, value))
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)


@pytest.mark.parametrize("lengths", [[], [0], [3, 0, 2]])
def test_empty_segments_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        PackedLayout.from_lengths(lengths)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: build("Gemma2", ATTENTION, head_dim=8), "softcap"),
        (lambda: build("GptOss", ATTENTION, head_dim=8, num_local_experts=2, num_experts_per_tok=1), "s_aux"),
    ],
)
def test_other_kinds_of_attention_are_refused_by_name(make: Callable[[], Any], word: str) -> None:
    with pytest.raises(UserError, match=word):
        packed(make(), segments())


def test_a_forward_without_a_context_is_a_fault() -> None:
    model = build("llama", ATTENTION)
    with pytest.raises(ValueError, match="mull=PackedLayout"):
        model(input_ids=segments()[0][None], use_cache=False)
