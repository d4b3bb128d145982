"""Stage `reward_model`: a score for replies, learned from what people preferred.

    pairs ─ the part that is judged ─► score of its last token ─ Bradley–Terry ─► weights
    labelled replies ─ the same ─ point-wise ─► weights

DeepSeek-R1 (arXiv 2501.12948 §2.3.4) judges helpfulness on the answer alone, safety on the whole output: `judged`. Some
prompts are held out whole; on them the share of pairs put in the right order is reported with its interval, beside what
"the longer one" would have got, and apart for pairs whose better reply is the shorter one: a model that only learned
length fails there. Left out on purpose: judges that write, and ensembles.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from mull.algo.preference import bradley_terry, pointwise
from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.rewards.judge import asked_of
from mull.rewards.learned import Judged, part_of
from mull.stats import wilson_interval
from mull.tasks.preferences import Pair, Preference
from mull.train.loop import Checkpointing, Loop
from mull.train.optim import OptimConfig
from mull.train.scalar import Asked, Group, GroupLoss, ScalarLearner
from mull.train.schedule import ScheduleConfig


class ScoreConfig(Checkpointing):
    """What every kind of learning a score needs to know."""

    init: str = Field(description="a stage, a model directory, a GGUF file or a hub id")
    held_out: float = Field(default=0.1, ge=0, lt=1, description="share of the prompts that only measures")
    epochs: int = Field(default=1, ge=1)
    batch: int = Field(default=64, ge=1, description="pairs, replies or chains a step")
    max_tokens: int = Field(default=0, ge=0, description="longer ones are left out; 0: those the model cannot hold")
    optim: OptimConfig = OptimConfig(lr=6e-6, schedule=ScheduleConfig(warmup=5, decay="linear", final=0.1))
    micro_batch_tokens: int = Field(default=4096, ge=1, description="most tokens of one forward and backward pass")
    template: Literal["auto", "r1-zero"] = Field(default="auto", description="auto: the model's own, if it has one")
    dtype: Literal["float32", "bfloat16"] = "float32"


class RewardModelConfig(ScoreConfig):
    """Which replies are better, as a score."""

    kind: Literal["reward_model"]
    data: tuple[str, ...] = Field(
        min_length=1, description='files of pairs or labelled replies, or "requests/helpful" of the embedded world'
    )
    test: tuple[str, ...] = Field(default=(), description="more of the same, which only measures")
    judged: Judged = Field(default="answer", description="what of a reply is read: its answer, its thought, all of it")
    skip_unusable: bool = Field(default=False, description="leave out rows that cannot be read instead of stopping")


class OfPrompt(Protocol):
    """What is told apart by its prompt."""

    @property
    def prompt(self) -> str: ...


One = TypeVar("One", bound=OfPrompt)


@dataclass(frozen=True)
class Item:
    """One term of the loss: a pair (label None) or one labelled reply, as token ids. `prompt` tells prompts apart."""

    asked: tuple[Asked, ...]
    label: float | None
    prompt: str


def items_of(chat: Chat, preferences: Sequence[Preference], judged: Judged, longest: int, where: str) -> list[Item]:
    """Preferences as token ids; those over `longest` tokens are left out.

    Raises:
        UserError: a reply without the part that is judged, a pair whose parts are the same, or nothing short enough.
    """
    found = []
    for number, preference in enumerate(preferences, 1):
        replies = (preference.chosen, preference.rejected) if isinstance(preference, Pair) else (preference.reply,)
        read = [part_of(chat, reply, judged, f"{where}: preference {number}") for reply in replies]
        if len(set(read)) < len(read):
            continue  # they differ only in what is not judged
        asked = tuple(asked_of(chat, preference.prompt, text) for text in read)
        if not longest or max(len(a.tokens) for a in asked) <= longest:
            label = None if isinstance(preference, Pair) else preference.label
            found.append(Item(asked, label, "\0".join(m.content for m in preference.prompt)))
    if not found:
        raise UserError(f"{where}: nothing to learn from is within {longest} tokens; raise max_tokens")
    return found


def split(items: Sequence[One], share: float) -> tuple[list[One], list[One]]:
    """(to learn from, held out): whole prompts, picked by a fixed hash, so that no prompt is on both sides."""

    def held(item: One) -> bool:
        return int(hashlib.sha256(item.prompt.encode()).hexdigest()[:8], 16) / 16**8 < share

    return [item for item in items if not held(item)], [item for item in items if held(item)]


def steps_of(count: int, config: ScoreConfig, seed: int) -> list[list[int]]:
    """The items of every step of every epoch."""
    steps = []
    for epoch in range(config.epochs):
        order = list(range(count))
        random.Random(f"reward {seed} {epoch}").shuffle(order)
        steps += [order[i : i + config.batch] for i in range(0, count, config.batch)]
    return steps


def train_reward_model(
    learner: ScalarLearner, items: Sequence[Item], steps: Sequence[Sequence[int]], loop: Loop
) -> dict[str, float]:
    """Train in place; returns the last step's metrics. Raises as `train_scores`."""

    def loss_of(batch: Sequence[Item]) -> GroupLoss:
        return lambda g, rows: item_loss(batch[g], rows)

    return train_scores(learner, items, [item.asked for item in items], steps, loss_of, loop)


def train_scores(
    learner: ScalarLearner,
    items: Sequence[Any],
    groups: Sequence[Group],
    steps: Sequence[Sequence[int]],
    loss_of: Callable[[list[Any]], GroupLoss],
    loop: Loop,
) -> dict[str, float]:
    """Train in place; `groups` are the items' sequences, `loss_of` makes a batch's loss; returns the last metrics.

    Raises:
        StageFailed: a loss that is not finite.
        Stopped: somebody asked to stop; the state is saved.
    """
    loop.resume(learner)
    metrics = loop.last_metrics()
    for step in loop.steps(learner, len(steps)):
        metrics = learner.fit([groups[i] for i in steps[step]], loss_of([items[i] for i in steps[step]]))
        loop.log(step, metrics)
    return metrics


def item_loss(item: Item, rows: Sequence[Tensor]) -> Tensor:
    """Bradley–Terry for a pair, point-wise for a labelled reply."""
    if item.label is None:
        return bradley_terry(rows[0], rows[1]).sum()
    return pointwise(rows[0], torch.tensor([item.label], device=rows[0].device)).sum()


def measure(learner: ScalarLearner, items: Sequence[Item]) -> dict[str, Any]:
    """How the model does on items that it has not seen; {} without any."""
    if not items:
        return {}
    scored = [[float(row[0]) for row in rows] for rows in learner.score([item.asked for item in items])]
    pairs = [(item, rows) for item, rows in zip(items, scored, strict=True) if item.label is None]
    found: dict[str, Any] = {}
    if pairs:
        right = [rows[0] > rows[1] for _, rows in pairs]
        longer = [len(item.asked[0].tokens) - len(item.asked[1].tokens) for item, _ in pairs]
        found["pairs"] = _share(right)
        found["longer_wins"] = _share([gap > 0 for gap in longer])
        found["where_the_shorter_is_better"] = _share([r for r, gap in zip(right, longer, strict=True) if gap < 0])
    labelled = [(item.label, rows[0]) for item, rows in zip(items, scored, strict=True) if item.label is not None]
    if labelled:
        found["labels"] = _share([(label > 0.5) == (score > 0) for label, score in labelled])
    return found


def _share(right: Sequence[bool]) -> dict[str, Any]:
    interval = wilson_interval(sum(right), len(right))
    if not right:
        return {"share": None, "n": 0}
    return {"share": sum(right) / len(right), "low": interval.low, "high": interval.high, "n": len(right)}
