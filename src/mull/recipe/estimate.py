"""How long a recipe's stages will take on this machine, and how much memory: for `mull run --dry-run`.

    seconds   1. what a step of the same stage took here before, in this run directory or a sibling of the same recipe
              2. else Σ tokens · FLOPs / (measured products a second · share reached) + passes · what a pass costs
    bytes     process + weights + gradients + optimizer (+ reference, teacher, critic) + cache of keys and values
              + activations of a micro-batch

The constants below were fitted on the embedded world's models on a CPU, one thread; expect a factor of two either way,
most of it from how long completions turn out (`workload`). Left out on purpose: devices other than the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from mull.core.run import Run
from mull.recipe.earlier import Earlier, earlier
from mull.recipe.graph import Recipe, Stage
from mull.recipe.plan import Planned
from mull.recipe.progress import duration
from mull.recipe.sizes import Sizes, sizes_of
from mull.recipe.workload import Work, work_of

PROCESS = 450e6
"""Bytes of a process that has imported everything and loaded nothing."""
BEGIN = 0.5
"""Seconds to load a model and read the data."""
TRAINING, DECODING = 0.28, 0.4
"""Share of the measured products a second that a pass reaches."""
PASS_LAYER, PASS = 1.6e-3, 4e-3
"""Seconds of a forward and backward pass that no product explains, a layer and as a whole."""
UPDATE_LAYER = {"adamw": 0.3e-3, "muon": 3.0e-3}
"""Seconds of an optimizer step, a layer."""
TURN_LAYER, TURN = 0.35e-3, 1.4e-3
"""Seconds of a pass of decoding."""
COMPLETION = 1.4e-3
"""Seconds to read, check and record a completion."""


@dataclass(frozen=True)
class Estimate:
    """One stage: seconds, bytes with their terms, and how the seconds were found: "measured before" or "counted".

    Example: `Estimate("zero", 190.0, 4.1e8, "counted", {"weights": 1.2e6})`
    """

    name: str
    seconds: float | None
    bytes: float | None
    how: str
    terms: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The row for `mull run --dry-run --json`."""
        return asdict(self)

    @property
    def words(self) -> str:
        """`"about 3 min, 0.4 GB"`"""
        said = [about(self.seconds)] if self.seconds is not None else []
        return ", ".join(said + ([f"{self.bytes / 1e9:.1f} GB"] if self.bytes is not None else []))


def about(seconds: float) -> str:
    """`"about 3 min"`: as exact as an estimate is."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {duration(round(seconds / 60) * 60).removesuffix(' 0 s')}"


def estimate(recipe: Recipe, run: Run, planned: Iterable[Planned]) -> list[Estimate]:
    """An estimate for every stage that would run, in order; nothing is written."""
    rate: float | None = None
    found = []
    for each in planned:
        if each.outlook not in ("runs", "runs again", "goes on"):
            continue
        stage = recipe.stages[each.name]
        work, sizes = work_of(recipe, stage), sizes_of(recipe, stage.name)
        before = earlier(recipe, run, stage)
        if before is None and sizes and rate is None:
            rate = measured_rate(sizes.hidden, recipe.threads)
        found.append(_one(stage, work, sizes, before, rate, each.at or 0))
    return found


def total_words(estimates: list[Estimate]) -> str:
    """`"in all about 12 min, at most 0.5 GB"`; what is not known is said."""
    known = [one.seconds for one in estimates if one.seconds is not None]
    most = max((one.bytes for one in estimates if one.bytes is not None), default=None)
    parts = [about(sum(known))] if known else []
    parts += [f"at most {most / 1e9:.1f} GB"] if most is not None else []
    unknown = [one.name for one in estimates if one.seconds is None]
    parts += [f"without {', '.join(unknown)}, of which nothing is known"] if unknown else []
    return f"in all {', '.join(parts)}"


def _one(
    stage: Stage, work: Work | None, sizes: Sizes | None, before: Earlier | None, rate: float | None, done: int
) -> Estimate:
    terms = memory(stage, work, sizes) if work and sizes else {}
    size = (before and before.bytes) or sum(terms.values()) or None
    if work and before:
        return Estimate(stage.name, before.seconds_a_step * max(0, work.steps - done), size, "measured before", terms)
    if not (work and sizes and rate):
        return Estimate(stage.name, None, size, "unknown", terms)
    left = max(0, work.steps - done) / work.steps
    return Estimate(stage.name, BEGIN + left * seconds(stage, work, sizes, rate), size, "counted", terms)


def seconds(stage: Stage, work: Work, sizes: Sizes, rate: float) -> float:
    """What the work takes at `rate` products (FLOP) a second; learning and sampling apart."""
    token = sizes.flops(work.context)
    passes = max(work.updates, work.trained / work.micro_batch) if work.trained else 0.0
    optim = getattr(stage.config, "optim", None)
    update = UPDATE_LAYER[optim.name] if optim else 0.0
    learning = (3 * work.trained + work.read) * token / (rate * TRAINING)
    learning += passes * (PASS + PASS_LAYER * sizes.layers) + work.updates * update * sizes.layers
    sampling = work.written * token / (rate * DECODING)
    sampling += work.turns * (TURN + TURN_LAYER * sizes.layers) + work.completions * COMPLETION
    return learning + sampling


def memory(stage: Stage, work: Work, sizes: Sizes) -> dict[str, float]:
    """Bytes by what they are for. `activations`: what a micro-batch keeps for its backward pass."""
    config: Any = stage.config
    width = 4 if getattr(config, "dtype", "float32") == "float32" else 2
    weights = float(sizes.parameters * width)
    terms = {"process": PROCESS, "weights": weights}
    if work.trained:
        terms |= _learning(config, work, sizes, width)
    if work.written:
        terms["cache"] = float(work.slots * work.longest * sizes.layers * 2 * sizes.keys * width)
        terms["decoding copies"] = min(float(2 << 30), sizes.body * 4.0)
    return terms


def _learning(config: Any, work: Work, sizes: Sizes, width: int) -> dict[str, float]:
    lora, optim = getattr(config, "lora", None), config.optim
    trained = float(sizes.parameters)
    if lora:  # A and B beside each of the seven matrices of a layer
        ends = 4 * sizes.hidden + 2 * sizes.queries + 2 * sizes.keys + 3 * (sizes.hidden + sizes.feed_forward)
        trained = float(lora.rank * sizes.layers * ends)
    one_state = sizes.body if optim.name == "muon" and not lora else 0  # Muon keeps one moment, AdamW two
    terms = {"gradients": trained * (4 if lora else width), "optimizer": 4.0 * (2 * trained - one_state)}
    if width == 2 and not lora:
        terms["masters"] = 8.0 * trained  # float32 copies and their gradients
    if lora:
        terms["adapters"] = 4.0 * trained
    algorithm = getattr(config, "algorithm", None)
    if algorithm is not None and algorithm.kl_coefficient and not lora:
        terms["reference"] = float(sizes.parameters * width)
    if getattr(config, "teacher", None):
        terms["teacher"] = float(sizes.parameters * width)  # taken to be of the student's size
    if hasattr(config, "critic"):
        terms["critic"] = sizes.parameters * (2.0 * width + 8 + (8 if width == 2 else 0))
    tokens = min(work.micro_batch, work.trained / max(1.0, work.updates))
    kept = sizes.layers * (9 * sizes.hidden + 3 * sizes.keys + 4 * sizes.feed_forward)
    terms["activations"] = tokens * (kept * width + min(2 * sizes.vocabulary, (1 << 26) / max(1.0, tokens)) * 4.0)
    return terms


def measured_rate(hidden: int, threads: int, budget: float = 0.3) -> float:
    """Products (FLOP) a second of this machine on matrices of a layer's shape; the best of some tries in `budget` s."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left, right = torch.ones(256, hidden), torch.ones(hidden, 3 * hidden)
        repeats = max(1, int(2e7 / (2 * left.numel() * right.shape[1])))
        best, end = 0.0, time.perf_counter() + budget
        while time.perf_counter() < end or not best:
            start = time.perf_counter()
            for _ in range(repeats):
                torch.matmul(left, right)
            best = max(best, 2 * left.numel() * right.shape[1] * repeats / (time.perf_counter() - start))
        return best
    finally:
        torch.set_num_threads(before)
