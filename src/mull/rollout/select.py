"""Rejection sampling's second half: which of many sampled completions are worth learning from.

    every sample ─ verdict ─ form ─ language ─ repetition ─ readability ─ doubles ─ cap a problem ─► kept

What is dropped is counted under the first reason. DeepSeek-R1 (arXiv 2501.12948 §2.3.3) keeps right answers and drops
mixed languages, long paragraphs and code blocks. Left out on purpose: judges that are models.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mull.analysis.repetition import repeated_share
from mull.core.config import Config


class KeepConfig(Config):
    """What a completion must be to be kept."""

    verdict: Literal["correct", "any"] = "correct"
    well_formed: bool = Field(default=True, description="one closed thought, then one closed answer, nothing else")
    finished: bool = Field(default=True, description="not cut off at the token limit")
    language: float = Field(
        default=0.0, ge=0, le=1, description="least share of the thought's words in the problem's language"
    )
    repetition: float = Field(default=1.0, ge=0, le=1, description="largest share of 8-word runs that were said before")
    paragraph: int = Field(default=0, ge=0, description="longest paragraph, in characters; 0: any")
    code_blocks: bool = Field(default=True, description="false: completions with a ``` block are dropped")
    unique: bool = Field(default=True, description="of equal completions of a problem keep one")
    per_problem: int = Field(default=0, ge=0, description="at most so many a problem; 0: all")
    pick: Literal["hash", "reward"] = "hash"
    """Which of a problem's completions are within `per_problem`: picked by a fixed hash, or those of the highest reward
    (best of n), of equal ones again by the hash."""

    @model_validator(mode="after")
    def _picks(self) -> Self:
        if self.pick == "reward" and not self.per_problem:
            raise ValueError('pick = "reward" needs per_problem: how many of the best are kept')
        return self


@dataclass(frozen=True)
class Selection:
    """Rows that are kept, in their order, and how many were dropped for what.

    Example: `select(rows, KeepConfig(language=0.95)).dropped == {"verdict": 90, "language": 7}`
    """

    kept: list[Mapping[str, Any]]
    dropped: dict[str, int] = field(default_factory=dict)


def select(rows: Iterable[Mapping[str, Any]], config: KeepConfig) -> Selection:
    """The rollout rows (`core.rows`) that `config` keeps."""
    dropped: Counter[str] = Counter()
    good: list[Mapping[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        same = (row["problem_id"], " ".join(row["text"].split()))
        reason = _fault(row, config) or ("double" if config.unique and same in seen else "")
        if reason:
            dropped[reason] += 1
            continue
        seen.add(same)
        good.append(row)
    kept = _capped(good, config) if config.per_problem else good
    if len(kept) < len(good):
        dropped["cap"] = len(good) - len(kept)
    return Selection(kept, dict(dropped))


def _fault(row: Mapping[str, Any], config: KeepConfig) -> str:
    """The first thing that is wrong with a row, "" when nothing is."""
    text = row["text"]
    tests = {
        "verdict": config.verdict == "correct" and row["verdict"] != "correct",
        "form": config.well_formed and not row["well_formed"],
        "empty": not text.strip(),  # nothing was said: no trainer takes it
        "length": config.finished and row["finish"] == "length",
        "language": config.language > 0 and (row["language_share"] or 0.0) < config.language,
        "repetition": config.repetition < 1 and repeated_share(text) > config.repetition,
        "paragraph": config.paragraph > 0 and max(map(len, text.split("\n"))) > config.paragraph,
        "code": not config.code_blocks and "```" in text,
    }
    return next((name for name, wrong in tests.items() if wrong), "")


def _capped(rows: list[Mapping[str, Any]], config: KeepConfig) -> list[Mapping[str, Any]]:
    """At most `per_problem` a problem: the best ones, or those with the smallest hash; order and neighbours decide
    nothing."""

    def rank(place: int) -> tuple[float, str]:
        return -rows[place]["reward"] if config.pick == "reward" else 0.0, _rank(rows[place])

    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row["problem_id"], []).append(place)
    chosen = {p for group in places.values() for p in sorted(group, key=rank)[: config.per_problem]}
    return [row for place, row in enumerate(rows) if place in chosen]


def _rank(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{row['problem_id']}\0{row['text']}".encode()).hexdigest()
