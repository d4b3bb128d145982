"""Stage `prm`: a process reward model, how likely each step of a chain leads to the right answer.

    labelled chains ─ token ids, the places where steps end ─► scores there ─ point-wise ─► weights

    loss = Σ ℓ(s_j, y_j) / number of labelled steps of the batch       over all steps j of all its chains

The score of a step is that of its last token, σ(score) its probability. Labels may be soft (Math-Shepherd, arXiv
2312.08935 eq. 1 and 4) or a person's (PRM800K, 2305.20050). Some prompts are held out whole; on their steps the model
is measured beside the base rate, which knows no more than how often steps are right. Left out on purpose: other heads
(a token of the vocabulary for "good"), and any reward made of the scores (`train.process`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field

from mull.algo.preference import pointwise
from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.stats import Estimate, auc, cluster_mean, cluster_share
from mull.tasks.steps import Chain, Neutral
from mull.train.loop import Loop
from mull.train.reward import ScoreConfig, train_scores
from mull.train.scalar import Asked, GroupLoss, ScalarLearner


class PRMConfig(ScoreConfig):
    """How good each step of a chain is, as a score."""

    kind: Literal["prm"]
    data: tuple[str, ...] = Field(min_length=1, description="stages that label steps, and files of labelled steps")
    neutral: Neutral = Field(default="good", description="what PRM800K's rating 0 is: good (usual), bad, or left out")
    thought: bool = Field(
        default=True, description="steps given as text stand in a thought; false: right after the prompt"
    )


@dataclass(frozen=True)
class Item:
    """A chain as token ids with the places of its labelled steps, and one label a place."""

    asked: Asked
    labels: tuple[float, ...]
    prompt: str


def items_of(chat: Chat, chains: Sequence[Chain], thought: bool, longest: int, where: str) -> list[Item]:
    """Chains as token ids; those over `longest` tokens are left out.

    Raises:
        UserError: token ids of another model, a word that this model does not have, or nothing short enough.
    """
    found = []
    for number, chain in enumerate(chains, 1):
        there = f"{where}: chain {number}"
        tokens, ends = _sampled(chat, chain, there) if chain.ids else _written(chat, chain, thought, there)
        if longest and len(tokens) > longest:
            continue
        judged = [(end, label) for end, label in zip(ends, chain.labels, strict=True) if label is not None]
        if judged:
            asked = Asked(tokens, tuple(end for end, _ in judged))
            found.append(Item(asked, tuple(label for _, label in judged), "\0".join(m.content for m in chain.prompt)))
    if not found:
        raise UserError(f"{where}: nothing to learn from is within {longest} tokens; raise max_tokens")
    return found


def _sampled(chat: Chat, chain: Chain, where: str) -> tuple[tuple[int, ...], list[int]]:
    """The ids that a model sampled, once sure that they are words of this one."""
    ids = chain.ids
    assert ids is not None
    known = max((*ids.prompt, *ids.said)) < len(chat.tokenizer)
    said = "".join("".join(chat.decode_pieces(ids.said)).split()) if known else ""
    if chat.encode(chain.prompt) != ids.prompt or "".join("".join(chain.steps).split()) not in said:
        raise UserError(
            f"{where}: its token ids are not this model's; label steps with a model of the same tokenizer and "
            "template, or remove token_ids"
        )
    return ids.prompt + ids.said, [len(ids.prompt) + end for end in ids.ends]


def _written(chat: Chat, chain: Chain, thought: bool, where: str) -> tuple[tuple[int, ...], list[int]]:
    """Steps one a line; each is encoded by itself, so that no token lies across an end."""
    try:
        ids = chat.encode(chain.prompt)
        ids += chat.encode_reply(f"{chat.tags.think_open}\n")[:-1] if thought else ()
        ends = []
        for step in chain.steps:
            ids += chat.encode_reply(f"{step.strip()}\n")[:-1]
            ends.append(len(ids) - 1)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return ids, ends


def train_prm(
    learner: ScalarLearner, items: Sequence[Item], steps: Sequence[Sequence[int]], loop: Loop
) -> dict[str, float]:
    """Train in place; returns the last step's metrics. Raises as `train_scores`."""
    return train_scores(learner, items, [(item.asked,) for item in items], steps, batch_loss, loop)


def batch_loss(batch: Sequence[Item]) -> GroupLoss:
    """The loss of each chain of a batch; their mean is the mean over all labelled steps of the batch."""
    share = len(batch) / sum(len(item.labels) for item in batch)

    def loss(g: int, rows: list[torch.Tensor]) -> torch.Tensor:
        labels = torch.tensor(batch[g].labels, dtype=torch.float32, device=rows[0].device)
        return pointwise(rows[0], labels).sum() * share

    return loss


def base_rate(items: Sequence[Item]) -> float:
    """The mean label; nan without any."""
    labels = [label for item in items for label in item.labels]
    return math.fsum(labels) / len(labels) if labels else math.nan


def measure(learner: ScalarLearner, items: Sequence[Item], base: float) -> dict[str, Any]:
    """How the model does on steps of prompts that it has not seen, beside the constant `base`; {} without any.

    `accuracy` takes labels and probabilities above ½ as right. `brier` is the mean squared error of the probability,
    `brier_gain` how much less it is than that of `base`. Intervals (95%) cluster by prompt; None for one prompt alone.
    """
    if not items:
        return {}
    rows = learner.score([(item.asked,) for item in items])
    found = [torch.sigmoid(row[0].double()).tolist() for row in rows]
    prompts = [item.prompt for item in items for _ in item.labels]
    labels = [label for item in items for label in item.labels]
    said = [p for row in found for p in row]
    truths = [label > 0.5 for label in labels]
    errors = [(p - y) ** 2 for p, y in zip(said, labels, strict=True)]
    blind = [(base - y) ** 2 for y in labels]
    gains = [b - e for b, e in zip(blind, errors, strict=True)]
    return {
        "steps": len(labels), "prompts": len(set(prompts)), "base_rate": base,
        "accuracy": _plain(cluster_share([float((p > 0.5) == t) for p, t in zip(said, truths, strict=True)], prompts)),
        "base_accuracy": _plain(cluster_share([float((base > 0.5) == t) for t in truths], prompts)),
        "brier": _plain(cluster_mean(errors, prompts)),
        "base_brier": math.fsum(blind) / len(blind),
        "brier_gain": _plain(cluster_mean(gains, prompts)),
        "auc": _plain(auc(said, truths, prompts)),
    }  # fmt: skip


def _plain(estimate: Estimate) -> dict[str, Any]:
    finite = {key: getattr(estimate, key) for key in ("mean", "low", "high")}
    return {key: v if math.isfinite(v) else None for key, v in finite.items()} | {"n": estimate.n}
