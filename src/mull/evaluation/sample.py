"""Stage `sample`: rejection sampling. Ask a model many times, keep what is worth learning, write it as conversations.

Asking is `evaluate`'s, with its files and its resuming, or `teacher`'s where the model is behind an API; choosing is
`rollout.select`, with a `judge` where rules cannot tell. What is kept becomes
`traces.jsonl`, one conversation a line as every trainer reads them, with where it came from. DeepSeek-R1
(arXiv 2501.12948 §2.3.3). Left out on purpose: learning from it (`train.sft`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from mull.core.errors import UserError
from mull.core.files import write_text
from mull.core.run import StageDir
from mull.core.types import Problem
from mull.engine.remote import RemoteConfig
from mull.evaluation.evaluate import AskingConfig
from mull.evaluation.judge import JudgeConfig, Ruling, is_asked
from mull.rollout.select import KeepConfig, Selection, select

ORIGIN = ("problem_id", "task", "family", "level", "language", "verdict", "reward", "tokens", "thinking_tokens")


class JudgedKeepConfig(KeepConfig):
    """What a completion must be to be kept, and who judges where rules cannot tell."""

    judge: JudgeConfig | None = None


class SampleConfig(AskingConfig):
    """Which model is asked what, and what is kept of its answers."""

    kind: Literal["sample"]
    model: str | None = Field(default=None, description="a stage, a model directory, a GGUF file or a hub id")
    remote: RemoteConfig | None = Field(default=None, description="or a model behind an OpenAI-compatible API")
    keep: JudgedKeepConfig = JudgedKeepConfig()

    @model_validator(mode="after")
    def _one(self) -> SampleConfig:
        if (self.model is None) == (self.remote is None):
            raise ValueError("either a model or a remote is sampled; set one of the two")
        if self.remote and (self.reward.models or self.reward.overlong_buffer):
            raise ValueError("reward.models and reward.overlong_buffer read token ids, which a remote does not give")
        return self


def trace(row: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    """A rollout row as a conversation to learn from."""
    messages = [{"role": message.role, "content": message.content} for message in problem.messages]
    return {
        "messages": [*messages, {"role": "assistant", "content": row["text"]}],
        **{key: row[key] for key in (*ORIGIN, "judged") if key in row},
    }


def to_judge(rows: Sequence[Mapping[str, Any]], config: JudgedKeepConfig) -> list[int]:
    """Places of the rows that the judge is asked about: what would be kept but for its verdict."""
    if config.judge is None:
        return []
    # Of equal samples all are ruled: what is kept of them is chosen afterwards.
    all_else = config.model_copy(update={"verdict": "any", "per_problem": 0, "unique": False})
    good = {id(row) for row in select(rows, all_else).kept}
    return [place for place, row in enumerate(rows) if id(row) in good and is_asked(row, config.judge)]


def keep(
    rows: Sequence[Mapping[str, Any]],
    problems: Iterable[Problem],
    config: KeepConfig,
    stage: StageDir,
    rulings: Mapping[int, Ruling] | None = None,
) -> dict[str, Any]:
    """Write what is worth learning; returns how much was kept of how much, and what the rest was dropped for.

    Args:
        rulings: what a judge said of some rows, by their place; a row it did not find right is dropped.

    Raises:
        UserError: nothing was kept.
    """
    ruled = rulings or {}
    dropped = Counter(str(ruling) for ruling in ruled.values() if ruling is not Ruling.CORRECT)
    left = [_ruled(row, ruled.get(i)) for i, row in enumerate(rows) if ruled.get(i) in (None, Ruling.CORRECT)]
    selection = select(left, config)
    selection = Selection(selection.kept, {**selection.dropped, **dropped})
    if not selection.kept:
        raise UserError(f"none of {len(rows)} samples was kept ({_reasons(selection)}); loosen keep, or sample more")
    write_traces(selection.kept, problems, stage)
    solved = {row["problem_id"] for row in selection.kept}
    return {
        "samples": len(rows), "kept": len(selection.kept), "dropped": selection.dropped,
        "problems": len({row["problem_id"] for row in rows}), "problems_kept": len(solved),
    }  # fmt: skip


def _ruled(row: Mapping[str, Any], ruling: Ruling | None) -> Mapping[str, Any]:
    return row if ruling is None else {**row, "verdict": "correct", "judged": True}


def write_traces(rows: Iterable[Mapping[str, Any]], problems: Iterable[Problem], stage: StageDir) -> None:
    """Rollout rows as the stage's conversations; each begins with its problem's own messages."""
    by_id = {problem.id: problem for problem in problems}
    lines = [json.dumps(trace(row, by_id[row["problem_id"]]), ensure_ascii=False) for row in rows]
    write_text(stage.traces, "".join(line + "\n" for line in lines))


def _reasons(selection: Selection) -> str:
    return ", ".join(f"{reason}: {number}" for reason, number in selection.dropped.items())
