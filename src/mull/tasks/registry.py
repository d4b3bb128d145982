"""Tasks by name, and the one spec that names problems anywhere: built-in tasks, files and the hub.

"countdown:train"                         a built-in task and its split
"data/gsm8k.jsonl?preset=gsm8k&limit=100"    a file (.jsonl .json .parquet), options after the question mark
"openai/gsm8k:train?preset=gsm8k"             a data set on the hub
"reasoning_gym/chain_sum:train"                problems of reasoning-gym
{source = "data/mine.jsonl", fields = {prompt = "q"}, weight = 2}    the same as a table
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from pydantic import Field, field_validator, model_validator

from mull.core.config import Config, parse_config
from mull.core.errors import UserError, nearest
from mull.core.types import Problem
from mull.tasks.arithmetic import ARITHMETIC
from mull.tasks.base import Task, unit_hash
from mull.tasks.countdown import COUNTDOWN
from mull.tasks.dataset import Reading, read_file, read_hub
from mull.tasks.decontaminate import SIZES, Contamination, Prompt, find
from mull.tasks.functions import FUNCTIONS
from mull.tasks.gym import PREFIX, gym_problems
from mull.tasks.presets import PRESETS, Fields
from mull.tasks.tables import SUFFIXES
from mull.tasks.world import CHAIN_MOD, COUNTDOWN_MOD, REQUESTS
from mull.verify.registry import check_gold, known

_TASKS: dict[str, Task] = {
    task.name: task for task in (COUNTDOWN_MOD, CHAIN_MOD, REQUESTS, COUNTDOWN, ARITHMETIC, FUNCTIONS)
}
_SPLIT = re.compile(r":([A-Za-z0-9_.-]+)$")
_LISTS = ("levels", "languages", "decontaminate")


class TaskSpec(Config):
    """Which problems, and how much of them. A string is read as `source`, with `:split` and `?key=value`."""

    source: str = Field(description="a task's name, a file, or a data set's id on the hub")
    split: str = Field(default="train", description="which part; for a file only a label")
    name: str = Field(default="", description="what to call it; default: the task's name, or the file's")
    preset: str = Field(default="", description=f"shape of the rows: {', '.join(PRESETS)}")
    fields: dict[str, Any] = Field(default_factory=dict, description="field mapping, on top of the preset")
    subset: str = Field(default="", description="configuration of a data set on the hub")
    verifier: str = Field(default="", description="what checks answers; default: the preset's, else math")
    domain: str = Field(
        default="", description='what kind of problems: "math", "code", "general", …; default: the preset\'s'
    )
    language: str = Field(default="en", description="language of a file's rows that name none")
    weight: float = Field(default=1.0, gt=0, description="share of the draws, relative to the other tasks")
    limit: int | None = Field(
        default=None, ge=1, description="at most so many problems, picked by a fixed hash and spread over families"
    )
    levels: tuple[int, ...] = Field(default=(), description="only these levels")
    languages: tuple[str, ...] = Field(default=(), description="only these languages")
    skip_unanswered: bool = Field(default=False, description="leave out rows without an answer instead of stopping")
    decontaminate: tuple[str, ...] = Field(
        default=(), description="benchmarks, as specs: problems that they also ask are dropped and reported"
    )
    ngram: int = Field(
        default=10, description="words in a row that a prompt may not share with one of them: 8, 10 or 13"
    )
    numbers: Literal["same", "any"] = Field(
        default="same", description='"any": a question asked again with other numbers is the same question'
    )

    @field_validator("ngram")
    @classmethod
    def _known_size(cls, value: int) -> int:
        if value not in SIZES:
            raise ValueError("must be 8, 10 or 13")
        return value

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _split_text(value)
        if isinstance(value, dict) and isinstance(value.get("source"), str):
            return {**_split_text(value["source"]), **{key: inner for key, inner in value.items() if key != "source"}}
        return value

    @property
    def label(self) -> str:
        """What metrics and rollouts call it."""
        if self.name or not self._is_file:
            return self.name or self.source
        path = Path(self.source)
        stem = path.name.split(".")[0]
        return f"{path.parent.name}/{stem}" if path.parent.name else stem

    @property
    def _is_file(self) -> bool:
        return self.source.endswith(SUFFIXES) or Path(self.source).expanduser().is_file()

    @property
    def _is_procedural(self) -> bool:
        return not self._is_file and (self.source in _TASKS or self.source.startswith(PREFIX))


def _split_text(text: str) -> dict[str, Any]:
    """`source[:split][?key=value&…]` as a table."""
    source, _, query = text.partition("?")
    values: dict[str, Any] = {}
    match = _SPLIT.search(source)
    if match and not match[1].endswith(SUFFIXES):
        source, values["split"] = source[: match.start()], match[1]
    for key, value in parse_qsl(query, keep_blank_values=True):
        values[key] = tuple(value.split(",")) if key in _LISTS else value
    return {"source": source.strip(), **values}


def known_tasks() -> tuple[Task, ...]:
    """The built-in tasks, in the order in which they are shown."""
    return tuple(_TASKS.values())


def parse_spec(spec: str | dict[str, Any] | TaskSpec, where: str = "tasks") -> TaskSpec:
    """A spec in any of its forms as a TaskSpec.

    Raises:
        UserError: an unknown option or a wrong value.
    """
    if isinstance(spec, TaskSpec):
        return spec
    return parse_config(TaskSpec, _split_text(spec) if isinstance(spec, str) else spec, where)


@dataclass(frozen=True)
class Loaded:
    """A spec's problems, and what decontamination dropped. Example: `load("countdown:train").problems`"""

    problems: list[Problem]
    contamination: Contamination | None = None


def load_task(spec: str | dict[str, Any] | TaskSpec, options: dict[str, Any] | None = None) -> list[Problem]:
    """The problems of a spec, checked; `options` override its keys.

    Raises:
        UserError: no such task, split, file, data set, preset or verifier; a bad row; or nothing is left.
    """
    return load(spec, options).problems


def load(spec: str | dict[str, Any] | TaskSpec, options: dict[str, Any] | None = None) -> Loaded:
    """`load_task`, with the report on what was dropped because a benchmark asks it too.

    Raises:
        UserError: as `load_task`.
    """
    spec = parse_spec(spec)
    if options:
        spec = parse_config(TaskSpec, {**spec.model_dump(), **options}, "tasks")
    problems = _load(spec)
    if spec.levels:
        problems = [problem for problem in problems if problem.level in spec.levels]
    if spec.languages:
        problems = [problem for problem in problems if problem.language in spec.languages]
    if not problems:
        raise UserError(
            f"{spec.label}:{spec.split}: no problem has a level in {spec.levels} and a language in {spec.languages}"
        )
    contamination = None
    if spec.decontaminate:
        contamination = _contamination(spec, problems)
        problems = [problem for problem in problems if problem.id not in contamination.dropped]
        if not problems:
            raise UserError(f"{spec.label}:{spec.split}: every problem is in {', '.join(spec.decontaminate)} too")
    if spec.limit is not None and spec.limit < len(problems):
        problems = _spread(problems, spec.limit)
    return Loaded(problems, contamination)


def find_contamination(spec: str | dict[str, Any] | TaskSpec, options: dict[str, Any]) -> Contamination:
    """Which of a spec's problems its benchmarks ask too, also when that is all of them. Nothing is dropped.

    Raises:
        UserError: as `load_task`, or no benchmark is named.
    """
    spec = parse_config(TaskSpec, {**parse_spec(spec).model_dump(), **options}, "tasks")
    if not spec.decontaminate:
        raise UserError(f"{spec.label}: name a benchmark to compare with")
    return _contamination(spec, load_task(spec.model_copy(update={"decontaminate": (), "limit": None})))


def _contamination(spec: TaskSpec, problems: list[Problem]) -> Contamination:
    """What of `problems` the spec's benchmarks ask too."""
    benchmarks: dict[str, list[Prompt]] = {}
    for number, text in enumerate(spec.decontaminate, 1):
        other = parse_spec(text, f"tasks.decontaminate.{number}").model_copy(update={"decontaminate": ()})
        benchmarks[f"{other.label}:{other.split}"] = list(_prompts(other, load_task(other)).values())
    own = _prompts(spec, problems)
    return find([own[problem.id] for problem in problems], benchmarks, spec.ngram, spec.numbers)


def _prompts(spec: TaskSpec, problems: list[Problem]) -> Mapping[str, Prompt]:
    """The problems' own words: those of files and the hub are read again without their template."""
    if spec._is_procedural:
        return {p.id: Prompt(p.id, str(p.data.get("question", p.messages[-1].content)), whole=True) for p in problems}
    bare = parse_config(TaskSpec, {**spec.model_dump(), "fields": {**spec.fields, "template": "{prompt}"}}, "tasks")
    return {problem.id: Prompt(problem.id, problem.messages[-1].content) for problem in _load(bare)}


def _spread(problems: list[Problem], limit: int) -> list[Problem]:
    """`limit` of the problems in their order, picked by a fixed hash: no family gives a second before each gave one."""
    given: Counter[str] = Counter()
    ranks: dict[str, tuple[int, float]] = {}
    for problem in sorted(problems, key=lambda p: unit_hash(p.id)):
        family = problem.family or problem.id
        ranks[problem.id] = (given[family], unit_hash(problem.id))
        given[family] += 1
    kept = set(sorted(ranks, key=ranks.__getitem__)[:limit])
    return [problem for problem in problems if problem.id in kept]


def _load(spec: TaskSpec) -> list[Problem]:
    path = Path(spec.source).expanduser()
    if spec._is_file:
        return read_file(path, _reading(spec))
    if path.is_dir() or spec.source[:1] in (".", "~", "/"):
        raise UserError(f"{spec.source}: name a file of problems ({', '.join(SUFFIXES)}), not a directory")
    if spec.source.startswith(PREFIX):
        _refuse_reading(spec, "makes its own problems")
        return list(gym_problems(spec.source, spec.split, spec.limit))
    if "/" in spec.source:
        return read_hub(spec.source, spec.subset, _reading(spec))
    task = _TASKS.get(spec.source)
    if task is None:
        raise UserError(
            f"unknown task {spec.source!r}{nearest(spec.source, _TASKS)}; files end in {', '.join(SUFFIXES)}"
        )
    if spec.split not in task.splits:
        raise UserError(f"{spec.source}: no split {spec.split!r}{nearest(spec.split, task.splits)}")
    _refuse_reading(spec, "is a built-in task")
    problems = list(task.problems(spec.split))
    for problem in problems:
        check_gold(problem)
    return problems


def _refuse_reading(spec: TaskSpec, what: str) -> None:
    if spec.preset or spec.fields or spec.verifier or spec.domain:
        raise UserError(f"{spec.source} {what}: preset, fields, verifier and domain are for files and data sets")


def _reading(spec: TaskSpec) -> Reading:
    preset = PRESETS.get(spec.preset)
    if spec.preset and preset is None:
        raise UserError(f"{spec.label}: unknown preset {spec.preset!r}{nearest(spec.preset, PRESETS)}")
    verifier = spec.verifier or (preset.verifier if preset else "math")
    known(verifier, spec.label)
    base = preset.fields.model_dump(exclude_defaults=True) if preset else {}
    fields = parse_config(Fields, {**base, **spec.fields}, f"{spec.label}.fields")
    required = frozenset(spec.fields)
    domain, shape = (preset.domain, preset.shape) if preset else ("math", None)
    domain = spec.domain or ("general" if verifier == "open" else domain)
    return Reading(
        spec.label, fields, verifier, spec.split, spec.language, domain, spec.skip_unanswered, required, shape
    )
