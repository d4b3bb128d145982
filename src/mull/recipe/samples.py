"""Every sample of an evaluation, read back from its rollout files for the report.

A problem is the noun: `Asked` holds it with all its samples. Left out on purpose: which stage is compared with which
(evidence.py), and any judgement (claims).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mull.core.errors import UserError
from mull.core.thinking import THINK_CLOSE, THINK_OPEN, Parts, split_completion
from mull.stats import cons_at_k, pass_at_k

NAN = float("nan")
# Verdicts that say nothing about the model; every other one but `correct` counts as not solved.
OURS = ("timeout", "error")
NEEDED = ("problem_id", "verdict")
WANTED = (
    *NEEDED, "task", "split", "family", "level", "language", "prompt", "text", "sample", "finish", "tokens",
    "thinking_tokens", "answer", "checks", "reason", "well_formed", "language_share", "domain", "budget", "prompt_ids",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One completion of an evaluation. `correct` is None where its verdict is no evidence, `checks` where unknown.

    Example: `Sample(True, "4", 88.0, True, False, "<think> …", 0)`
    """

    correct: bool | None
    answer: str | None
    thinking: float
    checks: bool | None
    truncated: bool | None
    text: str
    number: int
    reason: str = ""
    tokens: float = NAN
    prompt_tokens: float = NAN
    well_formed: bool | None = None
    language_share: float | None = None
    """Share of the thought's words in the problem's language; None where it has no words or nothing was recorded."""

    @property
    def parts(self) -> Parts:
        """Thought and answer, by their tags; a text that closes a thought without opening it began inside."""
        return split_completion([self.text], prefilled=THINK_CLOSE in self.text and THINK_OPEN not in self.text)


@dataclass(frozen=True)
class Asked:
    """A problem as one evaluation asked it, with all its samples.

    Example: `Asked("chain_mod", "chain_mod/3 5 +/en", "3-5", "test", "en", 1, "3 5 + compute", samples)`
    """

    task: str
    problem: str
    family: str
    split: str
    language: str
    level: int | None
    prompt: str
    samples: tuple[Sample, ...]
    domain: str = ""

    @property
    def judged(self) -> tuple[Sample, ...]:
        return tuple(s for s in self.samples if s.correct is not None)

    def pass_at(self, k: int) -> float:
        """pass@k of this problem; nan with fewer than k judged samples."""
        judged = self.judged
        return pass_at_k(len(judged), sum(s.correct is True for s in judged), k)

    def cons_at(self, k: int) -> float:
        """cons@k of this problem: the vote reads canonical answers, the verdict only grades the winner."""
        judged = self.judged
        return cons_at_k([s.answer for s in judged], [s.correct is True for s in judged], k)

    @property
    def thinking(self) -> float:
        """Mean thinking tokens, 0 for a completion without a thought."""
        return _mean([s.thinking for s in self.samples])

    @property
    def thoughts(self) -> tuple[Sample, ...]:
        """The samples that have a thought."""
        return tuple(s for s in self.samples if s.thinking > 0)

    @property
    def truncated(self) -> float:
        return _mean([NAN if s.truncated is None else float(s.truncated) for s in self.samples])

    @property
    def checking(self) -> tuple[int, int]:
        """How many of this problem's thoughts check, and how many thoughts there are."""
        thoughts = [s for s in self.samples if s.thinking > 0 and s.checks is not None]
        return sum(s.checks is True for s in thoughts), len(thoughts)


Problems = dict[tuple[str, str], Asked]
"""(task, problem id) → the problem as it was asked"""


def read_evaluation(stage: Path) -> dict[int | None, Problems]:
    """Thinking budget (None: the free run) → every problem that the evaluate stage in `stage` asked at it.

    Raises:
        UserError: a rollout file cannot be read or lacks a column that is needed.
    """
    rows: dict[int | None, dict[tuple[str, str], list[dict[str, Any]]]] = {}
    for row in read_rollouts(stage, NEEDED, WANTED):
        key = (str(row.get("task") or "").partition(":")[0], str(row["problem_id"]))
        rows.setdefault(row.get("budget"), {}).setdefault(key, []).append(row)
    return {budget: {key: _asked(key, group) for key, group in found.items()} for budget, found in rows.items()}


def read_rollouts(stage: Path, needed: Sequence[str], wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a stage's rollout files in the order of its steps; lists of ids are read as their lengths.

    Raises:
        UserError: a file cannot be read or lacks a column of `needed`.
    """
    for file in sorted((stage / "rollouts").glob("*.parquet")):
        yield from _rows(file, needed, wanted)


def _rows(file: Path, needed: Sequence[str], wanted: Sequence[str]) -> list[dict[str, Any]]:
    try:
        names = pq.read_schema(file).names
        missing = [name for name in needed if name not in names]
        if missing:
            raise UserError(f"{file}: column {missing[0]!r} is missing; run its stage again")
        table = pq.read_table(file, columns=[name for name in wanted if name in names])
        for place, name in enumerate(table.column_names):
            if pa.types.is_list(table.schema.field(name).type):
                table = table.set_column(place, name, pc.call_function("list_value_length", [table.column(name)]))
        return table.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file}: cannot be read ({error}); run its stage again") from None


def _asked(key: tuple[str, str], rows: list[dict[str, Any]]) -> Asked:
    first = rows[0]
    level = _number(first.get("level"))
    return Asked(
        key[0], key[1], str(first.get("family") or key[1]),
        str(first.get("split") or ""), str(first.get("language") or ""),
        None if math.isnan(level) else int(level), str(first.get("prompt") or ""), tuple(map(_sample, rows)),
        str(first.get("domain") or ""),
    )  # fmt: skip


def _sample(row: Mapping[str, Any]) -> Sample:
    verdict, finish, number = row["verdict"], row.get("finish"), _number(row.get("sample"))
    answer = row.get("answer")
    return Sample(
        correct=None if verdict is None or verdict in OURS else verdict == "correct",
        answer=answer if isinstance(answer, str) and answer else None,
        thinking=_number(row.get("thinking_tokens")),
        checks=_flag(row.get("checks")),
        truncated=None if finish is None else finish == "length",
        text=str(row.get("text") or ""),
        number=0 if math.isnan(number) else int(number),
        reason=str(row.get("reason") or ""),
        tokens=_number(row.get("tokens")),
        prompt_tokens=_number(row.get("prompt_ids")),
        well_formed=_flag(row.get("well_formed")),
        language_share=None if math.isnan(spoken := _number(row.get("language_share"))) else spoken,
    )


def _flag(value: Any) -> bool | None:
    """A column that may hold booleans, 0/1, None or nan."""
    known = _number(value)
    return None if math.isnan(known) else known > 0


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else NAN


def _mean(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else NAN
