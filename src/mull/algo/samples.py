"""From groups of rollouts to what the learner trains on: token ids with a mask, old logprobs and an advantage.

Token in, token out: the ids are the ones the engine sampled; nothing is decoded or encoded here. Prompt and forced
tokens carry no loss. Left out on purpose: order and micro-batches (`packing`), the scale of the loss (`aggregate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.core.types import Completion, Group

Advantage = float | Sequence[float]
"""One number for a whole completion, or one for each of its tokens."""


@dataclass(frozen=True)
class Sample:
    """One completion of one prompt; the per-token fields run over the completion, prompt excluded.

    `loss_mask` is True where the model sampled the token. `old_logprobs` are the sampler's, at its temperature.
    `advantage` is one number for all tokens, or one for each. `group` numbers the prompt within the batch.
    `ref_logprobs` are the reference model's, `proximal_logprobs` the learner's own before the updates of a batch; None
    where they are not needed.

    Example: `Sample((5, 9, 7, 1), 2, (True, True), (-0.1, -2.3), advantage=1.0)`
    """

    tokens: tuple[int, ...]
    prompt_length: int
    loss_mask: tuple[bool, ...]
    old_logprobs: tuple[float, ...]
    advantage: Advantage = 0.0
    group: int = 0
    ref_logprobs: tuple[float, ...] | None = None
    proximal_logprobs: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        length = len(self.tokens) - self.prompt_length
        if self.prompt_length < 1:
            raise ValueError("a sample needs at least one prompt token: nothing predicts its first token otherwise")
        per_token = [self.loss_mask, self.old_logprobs, self.ref_logprobs, self.proximal_logprobs]
        per_token += [] if isinstance(self.advantage, float | int) else [self.advantage]  # type: ignore[list-item]
        if any(values is not None and len(values) != length for values in per_token):
            raise ValueError(f"per-token fields must have {length} entries, one a completion token")

    @property
    def advantages(self) -> tuple[float, ...]:
        """One number a completion token."""
        if isinstance(self.advantage, float | int):
            return (float(self.advantage),) * len(self.loss_mask)
        return tuple(self.advantage)

    @property
    def valid(self) -> int:
        """Number of tokens that carry loss."""
        return sum(self.loss_mask)


@dataclass(frozen=True)
class Example:
    """A token sequence for supervised learning, with a loss weight for every token.

    `weights[0]` is ignored: nothing predicts the first token.

    Example: `Example((0, 5, 9, 1), (0.0, 0.0, 1.0, 1.0))`
    """

    tokens: Sequence[int]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.weights):
            raise ValueError(f"{len(self.tokens)} tokens but {len(self.weights)} weights")


def sample_of(completion: Completion, advantage: Advantage = 0.0, group: int = 0) -> Sample:
    """A completion as a Sample: forced positions are masked out."""
    mask = tuple(i not in completion.forced for i in range(len(completion.token_ids)))
    return Sample(
        completion.prompt_ids + completion.token_ids,
        len(completion.prompt_ids),
        mask,
        tuple(completion.logprobs),
        advantage,
        group,
    )


def live_samples(
    groups: Sequence[Group], weights_PG: Sequence[Sequence[Advantage]], mask_truncated: bool = False
) -> list[Sample]:
    """The samples that count in the loss: of groups with any non-zero weight, those that are not excluded.

    A constant group is left out whole, numerator and denominator and KL alike, exactly as if it had never been
    collected. A sample of a live group whose weight happens to be 0 stays: it counts in the mean over the batch. With
    `mask_truncated`, samples that hit the token limit are left out, of the mean too.

    Raises:
        ValueError: `weights_PG` has not the shape of `groups`, or a row of it not that of its completion.
    """
    if [len(g.samples) for g in groups] != [len(row) for row in weights_PG]:
        raise ValueError("weights must hold one entry for every sample of every group")
    samples = []
    for number, (group, weights) in enumerate(zip(groups, weights_PG, strict=True)):
        if not any(pushes(weight) for weight in weights):
            continue
        for scored, weight in zip(group.samples, weights, strict=True):
            sample = sample_of(scored.completion, weight, number)
            if sample.valid and not scored.excluded and not (mask_truncated and scored.completion.truncated):
                samples.append(sample)
    return samples


def pushes(advantage: Advantage) -> bool:
    """Is any of it not 0?"""
    return bool(advantage) if isinstance(advantage, float | int) else any(advantage)
