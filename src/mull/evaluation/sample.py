"""Stage `sample`: rejection sampling. Ask a model many times, keep what is worth learning, write it as conversations.

Asking is `evaluate`'s, with its files and its resuming; choosing is `rollout.select`. What is kept becomes
`traces.jsonl`, one conversation a line as every trainer reads them, with where it came from. DeepSeek-R1
(arXiv 2501.12948 §2.3.3). Left out on purpose: learning from it (`train.sft`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from mull.core.errors import UserError
from mull.core.files import write_text
from mull.core.run import StageDir
from mull.core.types import Problem
from mull.evaluation.evaluate import AskConfig
from mull.rollout.select import KeepConfig, Selection, select

ORIGIN = ("problem_id", "task", "family", "level", "language", "verdict", "reward", "tokens", "thinking_tokens")


class SampleConfig(AskConfig):
    """Which model is asked what, and what is kept of its answers."""

    kind: Literal["sample"]
    keep: KeepConfig = KeepConfig()


def trace(row: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    """A rollout row as a conversation to learn from."""
    messages = [{"role": message.role, "content": message.content} for message in problem.messages]
    return {
        "messages": [*messages, {"role": "assistant", "content": row["text"]}],
        **{key: row[key] for key in ORIGIN},
    }


def keep(
    rows: Sequence[Mapping[str, Any]], problems: Iterable[Problem], config: KeepConfig, stage: StageDir
) -> dict[str, Any]:
    """Write what is worth learning; returns how much was kept of how much, and what the rest was dropped for.

    Raises:
        UserError: nothing was kept.
    """
    selection = select(rows, config)
    if not selection.kept:
        raise UserError(f"none of {len(rows)} samples was kept ({_reasons(selection)}); loosen keep, or sample more")
    write_traces(selection.kept, problems, stage)
    solved = {row["problem_id"] for row in selection.kept}
    return {
        "samples": len(rows), "kept": len(selection.kept), "dropped": selection.dropped,
        "problems": len({row["problem_id"] for row in rows}), "problems_kept": len(solved),
    }  # fmt: skip


def write_traces(rows: Iterable[Mapping[str, Any]], problems: Iterable[Problem], stage: StageDir) -> None:
    """Rollout rows as the stage's conversations; each begins with its problem's own messages."""
    by_id = {problem.id: problem for problem in problems}
    lines = [json.dumps(trace(row, by_id[row["problem_id"]]), ensure_ascii=False) for row in rows]
    write_text(stage.traces, "".join(line + "\n" for line in lines))


def _reasons(selection: Selection) -> str:
    return ", ".join(f"{reason}: {number}" for reason, number in selection.dropped.items())
