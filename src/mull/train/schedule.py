"""The learning rate as a pure function of the step: a resumed run needs no scheduler state.

Left out on purpose: restarts, and schedules that look at the loss.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from mull.core.config import Config


class ScheduleConfig(Config):
    """Warm-up, then decay.

    Example: `ScheduleConfig(warmup=30, decay="linear", final=0.03)`
    """

    warmup: int = Field(default=0, ge=0, description="steps of linear warm-up; the first one already has rate 1/warmup")
    decay: Literal["constant", "linear", "cosine"] = "constant"
    final: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description='rate that the last step approaches, as a share of the peak; without effect on "constant"',
    )


def rate(step: int, total: int, config: ScheduleConfig) -> float:
    """The learning rate of 0-based `step` of `total`, as a share of the peak, in (0, 1].

    >>> [rate(step, 6, ScheduleConfig(warmup=2, decay="linear")) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = min(1.0, (step - config.warmup) / max(1, total - config.warmup))
    match config.decay:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - (1.0 - config.final) * progress
        case "cosine":
            return config.final + (1.0 - config.final) * 0.5 * (1.0 + math.cos(math.pi * progress))
