"""The thoughts of a stage, read from its rollouts with what each one does; a stage too large is read in part.

Only the columns that are needed are read, one file at a time. What is kept of a chain is small, so that a run of
hundreds of thousands fits in memory. Above `MOST_CHAINS` chains or `MOST_BYTES` of text, whole groups (a problem at a
step, with all its samples) are drawn by a hash of their names with a fixed seed: the same run always gives the same
numbers. Left out on purpose: any statistics (behaviours.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mull.analysis.behaviours import Behaviour, behaviours
from mull.core.errors import UserError
from mull.core.thinking import THINK_CLOSE, split_completion

MOST_CHAINS = 150_000
MOST_BYTES = 16_000_000
SEED = 0
NEEDED = ("problem_id", "text", "verdict")
WANTED = (*NEEDED, "step", "task", "family", "language", "prompt", "thinking_tokens")
# Verdicts that say nothing about the model.
OURS = ("timeout", "error")


@dataclass(frozen=True, slots=True)
class Chain:
    """What is kept of a chain with a thought. `right` is None where its verdict is no evidence; `shows` lacks nothing.

    Example: `Chain("countdown_mod/3-5-8/4/en", "countdown_mod", "3-5-8", 0, True, 24, {Behaviour.RESTART: None})`
    """

    problem: str
    task: str
    family: str
    step: int
    right: bool | None
    length: int
    shows: Mapping[Behaviour, bool | None]


@dataclass(frozen=True)
class Thoughts:
    """The chains of a stage that hold a thought, of those that were drawn; `total` chains are in its files,
    and `sampled` says whether only a part of them was drawn.

    Example: `read_thoughts(Path("runs/zero-tiny/stages/after"), "after").chains[0].length`
    """

    chains: tuple[Chain, ...]
    total: int
    sampled: bool = False


def read_thoughts(directory: Path, stage: str) -> Thoughts:
    """The thoughts in the rollouts of the stage in `directory`.

    Raises:
        UserError: a rollout file cannot be read or lacks a column that is needed.
    """
    files = sorted((directory / "rollouts").glob("*.parquet"))
    total, size = 0, 0
    for file in files:
        rows, characters = _weight(file, stage)
        total += rows
        size += characters
    share = min(1.0, MOST_CHAINS / max(total, 1), MOST_BYTES / max(size, 1))
    return Thoughts(tuple(chain for file in files for chain in _chains(file, stage, share)), total, share < 1)


def _weight(file: Path, stage: str) -> tuple[int, int]:
    """(rows of a file, about how many bytes of text they hold), from its footer alone."""
    try:
        footer = pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(file, stage, error) from None
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    columns = [g.column(i) for g in groups for i in range(g.num_columns)]
    return footer.num_rows, sum(c.total_uncompressed_size for c in columns if c.path_in_schema == "text")


def _unreadable(file: Path, stage: str, error: Exception) -> UserError:
    return UserError(f"{file}: cannot be read ({error}); run stage {stage!r} again")


def _chains(file: Path, stage: str, share: float) -> Iterator[Chain]:
    try:
        names = pq.read_schema(file).names
        missing = [name for name in NEEDED if name not in names]
        if missing:
            raise UserError(f"{file}: column {missing[0]!r} is missing; run stage {stage!r} again")
        table = pq.read_table(file, columns=[name for name in WANTED if name in names])
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(file, stage, error) from None
    if share < 1.0:
        steps = table["step"].to_pylist() if "step" in names else [0] * len(table)
        table = table.filter(
            pa.array([_drawn(stage, *key, share) for key in zip(steps, table["problem_id"].to_pylist(), strict=True)])
        )
    for batch in table.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            chain = _chain(row)
            if chain is not None:
                yield chain


def _drawn(stage: str, step: Any, problem: Any, share: float) -> bool:
    return zlib.crc32(f"{SEED} {stage} {step} {problem}".encode()) < share * 2**32


def _chain(row: Mapping[str, Any]) -> Chain | None:
    tokens = row.get("thinking_tokens")
    thought = thought_of(str(row["text"] or ""), tokens)
    if not thought.strip():
        return None
    task = str(row.get("task") or "").partition(":")[0]
    read = behaviours(task, str(row.get("prompt") or ""), thought, str(row.get("language") or ""))
    verdict, problem = row["verdict"], str(row["problem_id"])
    return Chain(
        problem, task, str(row.get("family") or problem), int(row.get("step") or 0),
        None if verdict is None or verdict in OURS else verdict == "correct",
        int(tokens) if tokens else len(thought), {b: read.shows(b) for b in Behaviour},
    )  # fmt: skip


def thought_of(text: str, thinking_tokens: int | None = None) -> str:
    """What stands between the think tags of a completion, "" for none.

    A template may have opened the thought in the prompt: then it lasts from the first character. `thinking_tokens`,
    where it was recorded, decides whether there is a thought at all.
    """
    if thinking_tokens == 0:
        return ""
    thought = split_completion((text,)).thinking_text
    if thought is None and (thinking_tokens or THINK_CLOSE in text):
        thought = split_completion((text,), prefilled=True).thinking_text
    return thought or ""
