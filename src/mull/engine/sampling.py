"""One token a row from logits, with random numbers that depend on (seed, request, sample, position) and nothing else.

A row's key is hashed once from its identity; the number at a position is SplitMix64 of key and position (Steele et al.,
OOPSLA 2014), vectorised over rows. One uniform number picks a token by inverse CDF, over blocks and then inside one, so
that noise costs one number a row, not one a token, and a token of probability zero is never picked. Truncation (top-k,
then top-p, then min-p) happens on the tempered distribution; the logprob that is returned is from before truncation.
Left out on purpose: penalties.

Legend: B rows, V vocabulary, N blocks of L = `BLOCK` tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mull.core.errors import StageFailed

BLOCK = 256
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
    """One token a row; `logprob = z_token − max − log Σ exp(z − max)`.

    Args:
        tempered: some row has a temperature other than 1 (0 is greedy, its logprobs are at temperature 1).
        truncated: some row has top-k, top-p or min-p on.

    Raises:
        StageFailed: logits that hold nan or +inf, or nothing but -inf: the weights are ruined, or overflow in 16 bits.
    """
    logits_BV = logits_BV.float()
    # Less the maximum first: a tiny temperature would lift a finite logit to infinity, and infinities to nan.
    z_BV = logits_BV - logits_BV.amax(-1, keepdim=True)
    greedy_B = rows.temperature == 0
    if tempered:
        z_BV /= torch.where(greedy_B, 1.0, rows.temperature)[:, None]
    weights_BV = z_BV.exp()
    total_B = weights_BV.sum(-1)
    if not bool(total_B.isfinite().all()):
        raise StageFailed(
            "the model's logits are not finite: its weights hold nan or infinities (was the learning rate too high?) "
            "or overflow in this dtype"
        )
    kept_BV = weights_BV
    if truncated:
        kept_BV = weights_BV * kept(weights_BV / total_B[:, None], rows)
    tokens_B = inverse_cdf(kept_BV, uniform_B)
    if tempered and bool(greedy_B.any()):
        tokens_B = torch.where(greedy_B, first_maximum(logits_BV), tokens_B)
    return Picked(tokens_B, z_BV.gather(1, tokens_B[:, None])[:, 0] - total_B.log())


def inverse_cdf(weights_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """The first token whose cumulated weight exceeds `uniform · total`; weights need not be normalised.

    First the block of `BLOCK` tokens is found, then the token in it, so that float64 sums run over V / BLOCK + BLOCK
    numbers and not over V.
    """
    totals_BN = _blocks(weights_BV, lambda block: block.sum(-1)).to(torch.float64)
    block_B, rest_B = _search(totals_BN, uniform_B * totals_BN.sum(-1))
    at_BL = block_B[:, None] * BLOCK + torch.arange(BLOCK, device=weights_BV.device)
    vocabulary = weights_BV.shape[-1]
    inside_BL = weights_BV.gather(1, at_BL.clamp(max=vocabulary - 1)).to(torch.float64) * (at_BL < vocabulary)
    return block_B * BLOCK + _search(inside_BL, rest_B)[0]


def _search(weights_BN: Tensor, mark_B: Tensor) -> tuple[Tensor, Tensor]:
    """The place where the cumulated weight first exceeds the mark, and how much of the mark is left there."""
    cdf_BN = weights_BN.cumsum(-1)
    total_B = cdf_BN[:, -1]
    # Rounding may lift a mark to the total itself; kept under it, it falls on a place of positive weight.
    mark_B = torch.minimum(mark_B, torch.nextafter(total_B, torch.zeros_like(total_B)))
    place_B1 = torch.searchsorted(cdf_BN, mark_B[:, None], right=True)
    before_B1 = cdf_BN.gather(1, (place_B1 - 1).clamp(min=0)) * (place_B1 > 0)
    return place_B1[:, 0], mark_B - before_B1[:, 0]


def first_maximum(values_BV: Tensor) -> Tensor:
    """The first token of the largest value; several times as fast as `argmax`, which does not vectorise on CPUs."""
    peaks_BN = _blocks(values_BV, lambda block: block.amax(-1))
    block_B1 = peaks_BN.argmax(-1, keepdim=True)
    at_BL = block_B1 * BLOCK + torch.arange(BLOCK, device=values_BV.device)
    # Past the end the last token is seen again, and the first of equal ones wins.
    inside_BL = values_BV.gather(1, at_BL.clamp(max=values_BV.shape[-1] - 1))
    return block_B1[:, 0] * BLOCK + inside_BL.argmax(-1)


def _blocks(values_BV: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """One number for each block of `BLOCK` tokens, `[B, N]`; the last block may be shorter."""
    vocabulary = values_BV.shape[-1]
    whole = vocabulary - vocabulary % BLOCK
    parts = [reduce(values_BV[:, :whole].unflatten(1, (-1, BLOCK)))] if whole else []
    if whole < vocabulary:
        parts.append(reduce(values_BV[:, whole:])[:, None])
    return torch.cat(parts, 1)


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
