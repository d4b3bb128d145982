"""Stage `label_steps`: how often a chain comes out right from each of its steps, told by going on from there.

    problem ─ samples ─► chains ─ split (analysis.steps) ─► beginnings ─ completions from each ─► share that is right

Math-Shepherd (arXiv 2312.08935 §3.2): `soft` labels are that share (eq. 4), `hard` ones 1 where any is right (eq. 3).
A beginning is the very token ids that were sampled, up to the step's last token; the stage's scorer says what is right.
A chunk of problems is a file; one that is there is not asked again. Left out on purpose: learning from the labels
(`train.prm`), and a binary search for the first bad step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from mull.analysis.steps import split_steps
from mull.core.chat import Chat
from mull.core.types import Completion, Problem
from mull.engine.base import Engine, Request
from mull.evaluation.evaluate import AskConfig
from mull.rewards.score import Scorer


class LabelStepsConfig(AskConfig):
    """Which model's chains are labelled, and with how much work."""

    kind: Literal["label_steps"]
    samples: int = Field(default=4, ge=1, description="chains a problem")
    completions: int = Field(default=8, ge=1, description="continuations a step")
    labels: Literal["soft", "hard"] = Field(default="soft", description="share that is right, or whether any is")
    steps_per_chain: int = Field(
        default=0, ge=0, description="label at most so many steps of a chain, picked by a fixed hash; 0: all"
    )


@dataclass(frozen=True)
class Beginning:
    """A chain up to the end of one of its steps. Example: `Beginning(row=0, step=2, end=17)`"""

    row: int
    step: int
    end: int


def label_rows(
    engine: Engine,
    chat: Chat,
    rows: Sequence[Mapping[str, Any]],
    problems: Mapping[str, Problem],
    score: Scorer,
    config: LabelStepsConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """Rollout rows as labelled chains (`tasks.steps`); rows without a step that can be gone on from are left out."""
    splits = [split_steps(chat, row["task"], row["token_ids"]) for row in rows]
    chosen = [b for number, row in enumerate(rows) for b in _chosen(number, row, splits[number].ends, config)]
    requests = [_request(rows[b.row], b.end, chat, config, seed) for b in chosen]
    labels: dict[tuple[int, int], float | None] = {}
    for beginning, request, found in zip(chosen, requests, engine.generate(requests), strict=True):
        row = rows[beginning.row]
        said = tuple(row["token_ids"][: beginning.end + 1])
        scored = score([(problems[row["problem_id"]], _whole(row, said, completion)) for completion in found])
        right = [s.verdict.correct for s in scored if not s.excluded]
        assert len(request.prompt_ids) == len(row["prompt_ids"]) + len(said)
        labels[beginning.row, beginning.step] = _label(right, config.labels)
    made = []
    for number, (row, split) in enumerate(zip(rows, splits, strict=True)):
        given = [labels.get((number, step)) for step in range(len(split.ends))]
        if any(label is not None for label in given):
            made.append(_labelled(row, problems[row["problem_id"]], split.ends, split.texts, given))
    return made


def _chosen(number: int, row: Mapping[str, Any], ends: Sequence[int], config: LabelStepsConfig) -> list[Beginning]:
    """The steps of a chain that are labelled: after the others the token limit leaves no room to go on."""

    def rank(beginning: Beginning) -> str:
        return hashlib.sha256(f"{row['problem_id']}\0{row['text']}\0{beginning.end}".encode()).hexdigest()

    open_ends = [Beginning(number, step, end) for step, end in enumerate(ends) if end + 1 < config.max_tokens]
    if not config.steps_per_chain:
        return open_ends
    return sorted(sorted(open_ends, key=rank)[: config.steps_per_chain], key=lambda beginning: beginning.step)


def _request(row: Mapping[str, Any], end: int, chat: Chat, config: LabelStepsConfig, seed: int) -> Request:
    prompt = (*row["prompt_ids"], *row["token_ids"][: end + 1])
    sampling = replace(config.sampling(), max_tokens=config.max_tokens - (end + 1))
    name = f"{row['problem_id']}#{row['draw']}/{row['sample']}@{end}"
    return Request(name, prompt, sampling, config.completions, seed, chat.stop_ids)


def _whole(row: Mapping[str, Any], said: tuple[int, ...], completion: Completion) -> Completion:
    """What was said and how it went on, as one completion of the problem's prompt."""
    return replace(
        completion,
        prompt_ids=tuple(row["prompt_ids"]),
        token_ids=said + completion.token_ids,
        logprobs=(0.0,) * len(said) + completion.logprobs,
        forced=frozenset(range(len(said))),
    )


def _label(right: Sequence[bool], kind: str) -> float | None:
    """None where no check came to an end."""
    if not right:
        return None
    return float(any(right)) if kind == "hard" else sum(right) / len(right)


def _labelled(
    row: Mapping[str, Any],
    problem: Problem,
    ends: Sequence[int],
    texts: Sequence[str],
    labels: Sequence[float | None],
) -> dict[str, Any]:
    return {
        "messages": [{"role": message.role, "content": message.content} for message in problem.messages],
        "steps": list(texts), "labels": list(labels),
        "prompt_ids": list(row["prompt_ids"]), "token_ids": list(row["token_ids"][: ends[-1] + 1]), "ends": list(ends),
        **{key: row[key] for key in ("problem_id", "task", "family", "level", "language", "verdict")},
    }  # fmt: skip


def as_lines(chains: Sequence[Mapping[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(chain, ensure_ascii=False) + "\n" for chain in chains)
