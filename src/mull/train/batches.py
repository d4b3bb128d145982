"""Which sequences make which step of supervised training.

A pure function of lengths and seed, so a resumed run needs only the number of the next step. Left out on purpose:
micro-batches (`algo.packing`), which may not change what a step computes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence


def plan(lengths: Sequence[int], batch_tokens: int, seed: int | str, window: int = 2000) -> list[list[int]]:
    """Indices of the documents of every step: each document once, similar lengths together within a shuffled window."""
    rng = random.Random(f"plan {seed}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    steps: list[list[int]] = []
    for start in range(0, len(order), window):
        batch: list[int] = []
        batches = [batch]
        room = batch_tokens
        for i in sorted(order[start : start + window], key=lambda i: lengths[i]):
            if room <= 0:
                batch = []
                batches.append(batch)
                room = batch_tokens
            batch.append(i)
            room -= lengths[i]
        rng.shuffle(batches)
        steps += batches
    return steps
