"""The sampler: against exact probabilities, a plain reference of truncation, and the edges of uniform numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mull.core.errors import StageFailed, UserError
from mull.engine.base import Sampling
from mull.engine.sampling import BLOCK, RowSettings, first_maximum, inverse_cdf, kept, pick, stream_key, uniforms

LAST = 1 - 2.0**-53


def rows(count: int, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, min_p: float = 0.0) -> RowSettings:
    return RowSettings(
        torch.full((count,), temperature), torch.full((count,), top_p), torch.full((count,), top_k),
        torch.full((count,), min_p),
    )  # fmt: skip


def many_uniforms(count: int, seed: int = 0) -> torch.Tensor:
    return uniforms(torch.full((count,), stream_key(seed, "r", 0)), torch.arange(count))


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k", "min_p"),
    [(1.0, 1.0, 0, 0.0), (0.7, 1.0, 0, 0.0), (1.8, 1.0, 3, 0.0), (1.0, 0.8, 0, 0.0), (1.3, 0.9, 5, 0.1)],
)
def test_frequencies_match_the_exact_distribution(temperature: float, top_p: float, top_k: int, min_p: float) -> None:
    count = 40_000
    logits = torch.tensor([2.0, 1.5, 0.3, -0.2, 1.0, -1.0, -4.0, float("-inf")])
    settings_B = rows(count, temperature, top_p, top_k, min_p)
    picked = pick(logits.expand(count, -1), many_uniforms(count), settings_B, True, True)
    exact = (logits.double() / temperature).softmax(0)
    truncated = torch.zeros_like(exact)
    keep = sorted(reference_kept(exact.tolist(), top_p, top_k, min_p))
    truncated[keep] = exact[keep]
    truncated /= truncated.sum()
    seen = torch.bincount(picked.tokens, minlength=len(logits)).double()
    assert seen[truncated == 0].sum() == 0
    alive = truncated > 0
    chi2 = ((seen - count * truncated)[alive] ** 2 / (count * truncated[alive])).sum().item()
    freedom = int(alive.sum()) - 1
    # Wilson–Hilferty: z of a chi-square; 4 sigma, with a fixed seed.
    z = ((chi2 / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    assert z < 4
    torch.testing.assert_close(picked.logprobs.double(), exact.log()[picked.tokens], atol=1e-6, rtol=0)


def reference_kept(probs: list[float], top_p: float, top_k: int, min_p: float) -> set[int]:
    """Plain and slow: rank, cut, renormalise, add up."""
    order = sorted(range(len(probs)), key=lambda i: (-probs[i], i))
    left = order
    if 0 < top_k < len(order):
        left = [i for i in order if probs[i] >= probs[order[top_k - 1]]]
    if top_p < 1:
        total, mass, nucleus = math.fsum(probs[i] for i in left), 0.0, []
        for i in left:
            nucleus.append(i)
            mass += probs[i]
            if mass >= top_p * total:
                break
        left = nucleus
    return {i for i in left if probs[i] >= min_p * probs[order[0]]} | {order[0]}


@settings(max_examples=150, deadline=None)
@given(
    weights=st.lists(st.integers(0, 16), min_size=1, max_size=12).filter(any),
    top_p=st.integers(1, 64),
    top_k=st.integers(0, 14),
    min_p=st.integers(0, 63),
)
def test_truncation_keeps_what_the_reference_keeps(weights: list[int], top_p: int, top_k: int, min_p: int) -> None:
    # Whole weights and 64ths make every sum and product exact, so that borders are decided alike.
    got = kept(torch.tensor([weights]).float(), rows(1, 1.0, top_p / 64, top_k, min_p / 64))
    expected = reference_kept([float(w) for w in weights], top_p / 64, top_k, min_p / 64)
    assert set(got[0].nonzero().flatten().tolist()) == expected


def test_rows_are_truncated_by_their_own_settings() -> None:
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05]).expand(4, -1)
    top_p, top_k, min_p = torch.tensor([1.0, 0.7, 1.0, 1.0]), torch.tensor([0, 0, 1, 0]), torch.tensor([0, 0, 0, 0.2])
    mixed = RowSettings(torch.ones(4), top_p, top_k, min_p)
    assert kept(probs, mixed).sum(-1).tolist() == [4, 2, 1, 3]


@settings(max_examples=150, deadline=None)
@given(
    weights=st.lists(st.one_of(st.just(0.0), st.floats(1e-30, 1e6)), min_size=1, max_size=20).filter(any),
    uniform=st.one_of(st.sampled_from([0.0, LAST, 0.5, 2.0**-53]), st.floats(0, LAST)),
)
def test_a_token_of_probability_zero_is_never_picked(weights: list[float], uniform: float) -> None:
    token = int(inverse_cdf(torch.tensor([weights]), torch.tensor([uniform], dtype=torch.float64)))
    assert weights[token] > 0


SIZES = st.one_of(st.integers(1, 12), st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7]))


@settings(max_examples=150, deadline=None)
@given(
    size=SIZES, seed=st.integers(0, 999), share=st.sampled_from([0.01, 0.3, 1.0]), spread=st.sampled_from([0, 4, 30])
)
def test_blocks_pick_what_one_exact_sum_picks(size: int, seed: int, share: float, spread: int) -> None:
    """Up to rounding at a border, and never a token of weight zero, though most are, and magnitudes lie far apart."""
    generator = torch.Generator().manual_seed(seed)
    weights = (torch.randn(size, generator=generator) * spread).clamp(-60, 60).exp()
    weights *= torch.rand(size, generator=generator) < share
    weights[torch.randint(size, (1,), generator=generator)] = 1.0
    uniform = torch.cat([torch.rand(40, generator=generator, dtype=torch.float64), torch.tensor([0.0, LAST])])
    tokens = inverse_cdf(weights.expand(len(uniform), -1), uniform)
    assert weights[tokens].min() > 0
    cdf = weights.double().cumsum(0) / weights.double().sum()
    above, below = cdf[tokens], torch.where(tokens > 0, cdf[(tokens - 1).clamp(min=0)], 0.0)
    assert (above - uniform).min() > -1e-6 and (uniform - below).min() > -1e-6


@settings(max_examples=100, deadline=None)
@given(size=SIZES, seed=st.integers(0, 999), levels=st.sampled_from([1, 2, 50]))
def test_the_first_maximum_is_the_first(size: int, seed: int, levels: int) -> None:
    values = torch.randint(levels, (3, size), generator=torch.Generator().manual_seed(seed)).float() - 25
    values[0, values[0] < 0] = float("-inf")
    expected = [row.index(max(row)) for row in values.tolist()]
    assert first_maximum(values).tolist() == expected


@settings(max_examples=100, deadline=None)
@given(
    logits=st.lists(st.one_of(st.just(float("-inf")), st.floats(-200, 200, width=32)), min_size=2, max_size=12).filter(
        lambda row: max(row) > float("-inf")
    ),
    uniform=st.sampled_from([0.0, LAST, 0.3]),
    temperature=st.sampled_from([0.0, 1e-37, 0.01, 1.0, 50.0]),
    top_p=st.sampled_from([0.01, 0.5, 1.0]),
    top_k=st.integers(0, 3),
)
def test_whatever_the_settings_the_pick_is_possible(
    logits: list[float], uniform: float, temperature: float, top_p: float, top_k: int
) -> None:
    uniform_B = torch.tensor([uniform], dtype=torch.float64)
    got = pick(torch.tensor([logits]), uniform_B, rows(1, temperature, top_p, top_k), True, True)
    token = int(got.tokens)
    assert logits[token] > float("-inf") and math.isfinite(float(got.logprobs))
    if temperature == 0:
        assert logits[token] == max(logits)


def test_greedy_logprobs_are_at_temperature_one() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    got = pick(logits, torch.tensor([0.99], dtype=torch.float64), rows(1, temperature=0.0), True, False)
    assert int(got.tokens) == 1
    torch.testing.assert_close(got.logprobs, logits.log_softmax(-1)[:, 1])


def test_uniforms_are_uniform_and_reproducible() -> None:
    count = 20_000
    drawn = many_uniforms(count).sort().values
    assert torch.equal(drawn, many_uniforms(count).sort().values)
    assert drawn.min() >= 0 and drawn.max() < 1
    grid = torch.arange(1, count + 1, dtype=torch.float64) / count
    distance = torch.maximum((grid - drawn).abs(), (drawn - grid + 1 / count).abs()).max().item()
    assert distance < 1.95 / math.sqrt(count)  # Kolmogorov–Smirnov at 0.001
    assert len(drawn.unique()) == count


def test_neighbouring_samples_are_uniform_too_and_uncorrelated() -> None:
    keys = torch.tensor([stream_key(0, "r", sample) for sample in range(4000)])
    first, second = uniforms(keys, torch.zeros_like(keys)), uniforms(keys, torch.ones_like(keys))
    assert abs(first.mean() - 0.5) < 4 * math.sqrt(1 / 12 / 4000)
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 4 / math.sqrt(4000)


@settings(max_examples=100, deadline=None)
@given(
    a=st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "1/a", "a/1"]), st.integers(0, 12), st.integers(0, 500)),
    b=st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "1/a", "a/1"]), st.integers(0, 12), st.integers(0, 500)),
)
def test_uniforms_differ_with_seed_request_sample_and_position(
    a: tuple[int, str, int, int], b: tuple[int, str, int, int]
) -> None:
    def draw(identity: tuple[int, str, int, int]) -> float:
        seed, request, sample, position = identity
        return float(uniforms(torch.tensor([stream_key(seed, request, sample)]), torch.tensor([position])))

    assert (draw(a) == draw(b)) == (a == b)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 1.0}, "min_p"),
        ({"min_p": -0.1}, "min_p"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float], word: str) -> None:
    with pytest.raises(UserError, match=word):
        Sampling(**{"max_tokens": 8, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [[0.0, float("nan"), 1.0], [0.0, float("inf"), 1.0], [float("-inf")] * 3])
def test_logits_that_are_not_finite_stop_the_stage(bad: list[float]) -> None:
    logits_BV = torch.tensor([[0.0, 1.0, 2.0], bad])
    with pytest.raises(StageFailed, match="not finite"):
        pick(logits_BV, many_uniforms(2), rows(2), False, False)
