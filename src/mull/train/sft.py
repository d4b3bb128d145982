"""Stage `sft`: supervised fine-tuning on conversations, thoughts and all.

    conversations ─ mark ─► token ids with marks ─ plan ─► steps ─ fit ─► weights

Cold start, fine-tuning after rejection sampling, and distillation are this stage with other data. The loss of a step
is the mean over its marked tokens. Every epoch goes over each source as often as its weight says; batches are a pure
function of the seed, so that a resumed run needs only the number of the next step. DeepSeek-R1 (2501.12948 §2.3.1,
§2.3.3, §2.4): 2 to 3 epochs, cosine to a tenth. Left out on purpose: preference losses.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from mull.algo.samples import Example
from mull.core.chat import Chat
from mull.core.conversation import mark
from mull.core.errors import UserError
from mull.model.lora import LoraConfig
from mull.tasks.conversations import Conversation, TraceSpec
from mull.train.batches import plan
from mull.train.learner import Learner
from mull.train.loop import Checkpointing, Loop
from mull.train.optim import OptimConfig
from mull.train.schedule import ScheduleConfig


class SFTConfig(Checkpointing):
    """Learn to say what these conversations say."""

    kind: Literal["sft"]
    init: str = Field(description="a stage, a model directory, a GGUF file or a hub id")
    data: tuple[TraceSpec, ...] = Field(min_length=1, description="stages that sample, and files of conversations")
    epochs: int = Field(default=2, ge=1)
    batch_tokens: int = Field(default=8192, ge=16, description="tokens a step, about")
    max_tokens: int = Field(
        default=0, ge=0, description="longer sequences are left out; 0: those the model cannot hold"
    )
    optim: OptimConfig = OptimConfig(lr=5e-5, schedule=ScheduleConfig(warmup=10, decay="cosine", final=0.1))
    micro_batch_tokens: int = Field(default=2048, ge=1, description="most tokens of one forward and backward pass")
    template: Literal["auto", "r1-zero"] = Field(default="auto", description="auto: the model's own, if it has one")
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora: LoraConfig | None = Field(
        default=None, description="train low-rank adapters beside frozen weights; merged when the stage is done"
    )


@dataclass(frozen=True)
class Source:
    """Token sequences of one source, and how often an epoch goes over them. Example: `Source(examples, weight=0.5)`"""

    examples: list[Example]
    weight: float = 1.0


@dataclass(frozen=True)
class Encoded:
    """Sequences of a source, and how many were left out as too long. Example: `encode(chat, rows, 512, "a")`"""

    examples: list[Example]
    too_long: int


def encode(chat: Chat, conversations: Sequence[Conversation], longest: int, where: str) -> Encoded:
    """Conversations as token ids with a weight of 1 on what is learned; those over `longest` tokens are left out.

    Raises:
        UserError: a conversation that cannot be written in this model's tokens, or none that is short enough.
    """
    examples: list[Example] = []
    too_long = 0
    for number, turns in enumerate(conversations, 1):
        try:
            marked = mark(chat, turns)
        except UserError as error:
            raise UserError(f"{where}: conversation {number}: {error}") from None
        for sequence in marked:
            if longest and len(sequence.token_ids) > longest:
                too_long += 1
            else:
                examples.append(Example(sequence.token_ids, tuple(map(float, sequence.marks))))
    if not examples:
        raise UserError(f"{where}: every conversation is longer than {longest} tokens; raise max_tokens")
    return Encoded(examples, too_long)


def epoch_of(sources: Sequence[Source], seed: int, epoch: int) -> list[Example]:
    """What one epoch goes over: each source's whole weight, and a part of it drawn anew for the rest."""
    found: list[Example] = []
    for number, source in enumerate(sources):
        whole, part = divmod(source.weight, 1.0)
        found += source.examples * int(whole)
        rng = random.Random(f"epoch {seed} {epoch} {number}")
        found += rng.sample(source.examples, round(part * len(source.examples)))
    return found


def steps_of(sources: Sequence[Source], epochs: int, batch_tokens: int, seed: int) -> list[list[Example]]:
    """The examples of every step of every epoch."""
    steps = []
    for epoch in range(epochs):
        examples = epoch_of(sources, seed, epoch)
        batches = plan([len(e.tokens) for e in examples], batch_tokens, f"{seed} {epoch}")
        steps += [[examples[i] for i in batch] for batch in batches]
    return steps


def train_sft(
    learner_of: Callable[[int], Learner],
    sources: Sequence[Source],
    config: SFTConfig,
    seed: int,
    loop: Loop,
    begin: Callable[[int], None] = lambda steps: None,
) -> dict[str, Any]:
    """Train in place; `learner_of` makes the learner for a number of steps, `begin` is told that number.

    Raises:
        StageFailed: a loss that is not finite.
        Stopped: somebody asked to stop; the state is saved.
    """
    steps = steps_of(sources, config.epochs, config.batch_tokens, seed)
    learner = learner_of(len(steps))
    begin(len(steps))
    loop.resume(learner)
    metrics = loop.last_metrics()
    for step in loop.steps(learner, len(steps)):
        metrics = learner.fit(steps[step])
        loop.log(step, metrics)
    trained = sum(sum(example.weights[1:]) for step in steps for example in step)
    return {
        "steps": len(steps),
        "sequences": sum(map(len, steps)),
        "trained_tokens": int(trained),
        "loss": metrics.get("loss"),
    }
