"""The step-1 check: do the engine and the learner give the same tokens the same probability?

The learner's logprobs are compared with the engine's, never with themselves. In fp32 every token must agree within the
tolerance; in 16 bits full and cached forward differ by .008–.08, so there the mean and the 99th percentile must.
A run whose engine and learner disagree trains on the wrong ratios and often still "sort of works": hence it stops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mull.core.errors import StageFailed
from mull.core.types import Completion

FP32_TOLERANCE = 1e-3
HALF_MEAN, HALF_P99 = 0.03, 0.25
CAUSES = (
    "Usual causes: another temperature, top-p or top-k in sampling than in training; other weights (a sync that did "
    "not happen); text encoded again between engine and learner; positions or masks that differ"
)


@dataclass(frozen=True)
class Parity:
    """Absolute differences of logprobs over the sampled tokens of a batch, in nats.

    Example: `Parity(tokens=812, mean=2e-7, p99=1e-6, worst=4e-6)`
    """

    tokens: int
    mean: float
    p99: float
    worst: float


def check_parity(
    completions: Sequence[Completion],
    learner_logprobs: Sequence[Tensor],
    dtype: torch.dtype = torch.float32,
    tolerance: float | None = None,
) -> Parity:
    """Compare `Completion.logprobs` with the learner's for the same tokens; forced tokens are left out.

    `tolerance` replaces the bound on every token (fp32, fp64) or on the 99th percentile (16 bits).

    Raises:
        StageFailed: they differ; the message names the worst token, both values and what usually causes it.
        ValueError: the lengths do not match.
    """
    where: list[tuple[int, int]] = []
    engine: list[float] = []
    learner: list[float] = []
    for i, (completion, row) in enumerate(zip(completions, learner_logprobs, strict=True)):
        values = row.tolist()
        if not len(values) == len(completion.logprobs) == len(completion.token_ids):
            raise ValueError(f"completion {i} has {len(completion.token_ids)} tokens but {len(values)} logprobs")
        sampled = [t for t in range(len(values)) if t not in completion.forced]
        where += [(i, t) for t in sampled]
        engine += [completion.logprobs[t] for t in sampled]
        learner += [values[t] for t in sampled]
    if not where:
        return Parity(0, 0.0, 0.0, 0.0)
    difference = (torch.tensor(engine, dtype=torch.float64) - torch.tensor(learner, dtype=torch.float64)).abs()
    difference = torch.nan_to_num(difference, nan=float("inf"))
    worst = int(difference.argmax())
    p99 = float(difference.kthvalue(math.ceil(0.99 * len(where))).values)
    parity = Parity(len(where), float(difference.mean()), p99, float(difference[worst]))
    if not _agree(parity, dtype, tolerance):
        sample, position = where[worst]
        raise StageFailed(
            f"engine and learner disagree: sample {sample}, token {position} (id "
            f"{completions[sample].token_ids[position]}): engine {engine[worst]:.6f}, learner {learner[worst]:.6f} "
            f"(mean difference {parity.mean:.2e}, p99 {parity.p99:.2e}, {parity.tokens} tokens). {CAUSES}"
        )
    return parity


def _agree(parity: Parity, dtype: torch.dtype, tolerance: float | None) -> bool:
    if dtype in (torch.float32, torch.float64):
        return parity.worst <= (FP32_TOLERANCE if tolerance is None else tolerance)
    return parity.mean <= HALF_MEAN and parity.p99 <= (HALF_P99 if tolerance is None else tolerance)
