"""Rollouts as table rows: one Parquet file a step, the same columns in training and in evaluation.

Left out on purpose: any judgement; whether a thought checks itself is told by the caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.files import write_bytes
from mull.core.thinking import Parts
from mull.core.types import Group, Problem, Scored

COLUMNS = {
    "step": "int32", "group": "int32", "sample": "int32", "draw": "int64", "problem_id": "string", "task": "string",
    "split": "string", "family": "string", "level": "int32", "language": "string", "prompt": "string", "text": "string",
    "prompt_ids": "list<int32>", "token_ids": "list<int32>", "logprobs": "list<float>", "finish": "string",
    "tokens": "int32", "thinking_tokens": "int32", "verdict": "string", "reason": "string", "answer": "string",
    "reward": "float", "parts": "string", "excluded": "string", "checks": "bool", "well_formed": "bool",
    "version": "int32", "trained": "bool", "language_share": "float", "domain": "string", "budget": "int32",
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """What a completion's text shows: its parts, whether its thought checks itself, and how much of the thought's words
    are in the problem's language (None: it has none). Example: `Reading(parts, checks=True, language_share=0.9)`"""

    parts: Parts
    checks: bool
    language_share: float | None = None


Judge = Callable[[Problem, Scored], Reading]


def rollout_rows(step: int, groups: Sequence[Group], judge: Judge, trained: frozenset[int]) -> list[dict[str, Any]]:
    """Rows of a step's groups; `trained` holds the draws of the groups that went into the update."""
    return [
        _row(step, number, group, scored, judge, group.draw in trained)
        for number, group in enumerate(groups)
        for scored in group.samples
    ]


def _row(step: int, number: int, group: Group, scored: Scored, judge: Judge, trained: bool) -> dict[str, Any]:
    problem, completion, verdict = group.problem, scored.completion, scored.verdict
    read = judge(problem, scored)
    return {
        "step": step, "group": number, "sample": completion.sample, "draw": group.draw, "problem_id": problem.id,
        "task": problem.task, "split": problem.split, "family": problem.family, "level": problem.level,
        "language": problem.language, "prompt": problem.messages[-1].content, "text": completion.text,
        "prompt_ids": list(completion.prompt_ids), "token_ids": list(completion.token_ids),
        "logprobs": list(completion.logprobs), "finish": str(completion.finish), "tokens": len(completion.token_ids),
        "thinking_tokens": completion.thinking_tokens, "verdict": str(verdict.kind), "reason": verdict.reason,
        "answer": verdict.answer, "reward": scored.reward, "parts": json.dumps(dict(scored.parts)),
        "excluded": scored.excluded, "checks": read.checks, "well_formed": read.parts.well_formed,
        "version": completion.version, "trained": trained, "language_share": read.language_share,
        "domain": problem.domain, "budget": None,
    }  # fmt: skip


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as one Parquet file, atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "int32": pa.int32(), "int64": pa.int64(), "string": pa.string(), "float": pa.float32(), "bool": pa.bool_(),
        "list<int32>": pa.list_(pa.int32()), "list<float>": pa.list_(pa.float32()),
    }  # fmt: skip
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), sink)
    write_bytes(path, sink.getvalue().to_pybytes())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of one file."""
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()
