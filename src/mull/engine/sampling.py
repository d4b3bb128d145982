"""One token a row from logits, with random numbers that depend on (seed, request, sample, position) and nothing else.

A row's key is hashed once from its identity; the number at a position is SplitMix64 of key and position (Steele et al.,
OOPSLA 2014), vectorised over rows. One uniform number picks a token by inverse CDF in float64, so that a token of
probability zero is never picked. Truncation (top-k, then top-p, then min-p) happens on the tempered distribution;
the logprob that is returned is from before truncation. Left out on purpose: penalties.

Legend: B rows, V vocabulary.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # as int64, whose arithmetic wraps like unsigned
_MIX1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX2 = 0x94D049BB133111EB - (1 << 64)


def stream_key(seed: int, request: str, sample: int) -> int:
    """A 64-bit key (as a signed integer) for one sample's random numbers."""
    digest = hashlib.blake2b(f"{seed}/{sample}/{request}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def uniforms(keys_B: Tensor, positions_B: Tensor) -> Tensor:
    """Float64 numbers in [0, 1), one a row, a pure function of key and position."""
    x = keys_B + (positions_B + 1) * _GOLDEN
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    x = x ^ _shift(x, 31)
    return _shift(x, 11).to(torch.float64) * 2.0**-53


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; int64's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


@dataclass
class RowSettings:
    """Sampling settings of the live rows as tensors `[B]`.

    Example: `RowSettings(temperature, top_p, top_k, min_p)`
    """

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    min_p: Tensor


@dataclass(frozen=True)
class Picked:
    """Tokens and their logprobs at the row's temperature, both `[B]`. Example: `pick(logits, u, rows, True, False)`"""

    tokens: Tensor
    logprobs: Tensor


def pick(logits_BV: Tensor, uniform_B: Tensor, rows: RowSettings, tempered: bool, truncated: bool) -> Picked:
    """One token a row.

    Args:
        tempered: some row has a temperature other than 1 (0 is greedy, its logprobs are at temperature 1).
        truncated: some row has top-k, top-p or min-p on.
    """
    logits_BV = logits_BV.float()
    greedy_B = rows.temperature == 0
    if tempered:
        # Less the maximum first: a tiny temperature would lift a finite logit to infinity, and infinities to nan.
        divisor_B = torch.where(greedy_B, 1.0, rows.temperature)
        logits_BV = (logits_BV - logits_BV.amax(-1, keepdim=True)) / divisor_B[:, None]
    logprobs_BV = torch.log_softmax(logits_BV, -1)
    probs_BV = logprobs_BV.exp()
    if truncated:
        probs_BV = probs_BV * kept(probs_BV, rows)
    tokens = inverse_cdf(probs_BV, uniform_B)
    if tempered:
        tokens = torch.where(greedy_B, logits_BV.argmax(-1), tokens)
    return Picked(tokens, logprobs_BV.gather(1, tokens[:, None])[:, 0])


def inverse_cdf(weights_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """The first token whose cumulated weight exceeds `uniform · total`; weights need not be normalised."""
    cdf_BV = weights_BV.to(torch.float64).cumsum(-1)
    total_B = cdf_BV[:, -1]
    # Rounding may lift u·total to total itself; the step below keeps the mark under it, on a token of positive weight.
    mark_B = torch.minimum(uniform_B * total_B, torch.nextafter(total_B, torch.zeros_like(total_B)))
    return torch.searchsorted(cdf_BV, mark_B[:, None], right=True)[:, 0]


def kept(probs_BV: Tensor, rows: RowSettings) -> Tensor:
    """Which tokens survive truncation, `[B, V]` bool; the likeliest always does.

    Top-k keeps the k likeliest (ties at the border all stay); top-p keeps, of those and renormalised, the smallest set
    whose mass reaches p; min-p drops what is less likely than `min_p` times the likeliest.
    """
    sorted_BV, order_BV = probs_BV.sort(stable=True, dim=-1, descending=True)
    vocabulary = probs_BV.shape[-1]
    k_B = torch.where(rows.top_k > 0, rows.top_k.clamp(max=vocabulary), vocabulary)
    border_B1 = sorted_BV.gather(1, (k_B - 1)[:, None])
    keep_BV = sorted_BV >= border_B1
    mass_BV = (sorted_BV * keep_BV).to(torch.float64)
    before_BV = mass_BV.cumsum(-1) - mass_BV
    keep_BV &= (before_BV < rows.top_p[:, None] * mass_BV.sum(-1, keepdim=True)) | (rows.top_p >= 1)[:, None]
    keep_BV &= sorted_BV >= rows.min_p[:, None] * sorted_BV[:, :1]
    keep_BV[:, 0] = True
    return torch.zeros_like(keep_BV).scatter(1, order_BV, keep_BV)
