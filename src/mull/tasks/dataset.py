"""Problems from files and from the hub: JSON lines, a JSON array, Parquet, or a data set's id.

Everything is read and checked before anything runs: a row without a prompt or an answer, a reference answer that
cannot be read, or a field that is not there stops with one line that names the file, the row (counted from 1) and the
field. Left out on purpose: streaming, caching and column types; a file of problems is small.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.errors import UserError, nearest
from mull.core.types import Message, Problem
from mull.tasks.presets import Fields
from mull.tasks.shapes import Shape
from mull.tasks.tables import Row, check_row, read_table
from mull.verify.extract import last_box
from mull.verify.registry import check_gold

ANSWERLESS = frozenset({"countdown", "constraints", "reasoning_gym", "code-io", "code-call", "code-check", "open"})
"""Verifiers whose data are in other fields; an answer among `fields.data` reaches them as it is."""
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Reading:
    """How to read a data set. Example: `Reading("gsm8k/train", Fields(), "number", "train")`"""

    task: str
    fields: Fields
    verifier: str
    split: str
    language: str = "en"
    domain: str = "math"
    skip_unanswered: bool = False
    required: frozenset[str] = frozenset()
    """Keys of `fields` that the user set: a row must have them; those of a preset may be absent."""
    shape: Shape | None = None


def read_file(path: Path, reading: Reading) -> list[Problem]:
    """The problems of a file.

    Raises:
        UserError: the file is missing, empty or of an unknown kind, or a row is not what `reading` says.
    """
    return problems_of(read_table(path), str(path), reading)


def read_hub(name: str, subset: str, reading: Reading) -> list[Problem]:
    """The problems of a data set on the hub (or in its local cache).

    Raises:
        UserError: `datasets` is not installed, the hub or the data set cannot be reached, or a row is not as expected.
    """
    try:
        import datasets
    except ImportError:
        raise UserError(f"{name}: reading the hub needs the package 'datasets': pip install datasets") from None
    try:
        rows = datasets.load_dataset(name, subset or None, split=reading.split)
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{name}: the hub did not give split {reading.split!r} ({reason}); check the name, the split and the "
            "network, or download a file and give its path"
        ) from None
    return problems_of([dict(row) for row in rows], name, reading)


def problems_of(rows: list[Row], source: str, reading: Reading) -> list[Problem]:
    """Rows as problems, every one checked.

    Raises:
        UserError: no rows, a row that is no object, a missing field, an unreadable answer, or an id that occurs twice.
    """
    problems: dict[str, Problem] = {}
    for number, row in enumerate(rows, 1):
        where = f"{source}: row {number}"
        check_row(row, where)
        for flat in reading.shape(row, where) if reading.shape else (row,):
            problem = _problem(flat, number, where, reading)
            if problem is None:
                continue
            if problem.id in problems:
                raise UserError(
                    f"{where}: the id {problem.id!r} occurs twice; ids must differ (field {_names(reading.fields.id)})"
                )
            problems[problem.id] = problem
    if not problems:
        raise UserError(f"{source}: no rows with an answer" if rows else f"{source}: no rows; the file is empty")
    return list(problems.values())


def _problem(row: Row, number: int, where: str, reading: Reading) -> Problem | None:
    fields = reading.fields
    prompt = _text(row, fields.prompt, where, "the prompt")
    gold = _gold(row, where, reading)
    if gold == "":
        return None
    name = str(_optional(row, "id", where, reading, number))
    digest = hashlib.sha256(" ".join(prompt.split()).encode()).hexdigest()[:12]
    problem = Problem(
        f"{reading.task}/{name}",
        (Message("user", _fill(fields.template, prompt, row)),),
        reading.verifier,
        {**({} if gold is None else {"answer": gold}), **{key: _present(row, (key,), where) for key in fields.data}},
        task=reading.task,
        domain=reading.domain,
        language=str(_optional(row, "language", where, reading, reading.language)),
        split=reading.split,
        family=str(_optional(row, "family", where, reading, f"q-{digest}")),
        level=_level(_optional(row, "level", where, reading, 0), where),
    )
    check_gold(problem, where if gold is None else f"{where}, field {_names(fields.answer)}")
    return problem


def _gold(row: Row, where: str, reading: Reading) -> str | None:
    """The reference answer; None where the verifier needs none, "" for a row to be skipped."""
    fields = reading.fields
    if reading.verifier in ANSWERLESS:
        return None
    has_answer = any(name in row for name in fields.answer)
    if not has_answer and any(name in row for name in fields.solution):
        solution = _text(row, fields.solution, where, "the solution")
        boxed = last_box(solution)
        if boxed is None and not reading.skip_unanswered:
            raise UserError(
                f"{where}: field {_names(fields.solution)} holds no \\boxed{{answer}}; mend or remove this row"
            )
        return boxed or ""
    value = _present(row, fields.answer, where)
    text = "" if value is None else _as_text(value, reading.verifier).strip()
    if not text:
        if reading.skip_unanswered:
            return ""
        raise UserError(
            f"{where}: no answer in field {_names(fields.answer)}; mend or remove the row, or set "
            "skip_unanswered = true"
        )
    if not fields.pattern:
        return text
    found = [match[1] for match in re.finditer(fields.pattern, text) if match[1]]
    if not found:
        raise UserError(f"{where}: field {_names(fields.answer)} does not match the pattern {fields.pattern!r}")
    return found[-1].strip()


def _as_text(value: Any, verifier: str) -> str:
    """A field's value as an answer: lists and tables as JSON, and for the verifier "json" everything but text."""
    if isinstance(value, list | dict) or (verifier == "json" and not isinstance(value, str)):
        try:
            return json.dumps(value, ensure_ascii=False)
        except TypeError:  # a date of a Parquet file
            return str(value)
    return str(value)


def _fill(template: str, prompt: str, row: Row) -> str:
    """The template with `{prompt}` and `{field}` filled in; other braces (\\boxed{}) stay as they are."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "prompt":
            return prompt
        return str(row[match[1]]) if match[1] in row else match[0]

    return _PLACEHOLDER.sub(value, template)


def _present(row: Row, names: tuple[str, ...], where: str) -> Any:
    for name in names:
        if name in row:
            return row[name]
    hint = nearest(names[0], row) if names else ""
    raise UserError(f"{where}: no field {_names(names)}{hint}")


def _optional(row: Row, key: str, where: str, reading: Reading, default: Any) -> Any:
    """A field that need not be there unless the user named it."""
    names = getattr(reading.fields, key)
    if not names or (key not in reading.required and not any(name in row for name in names)):
        return default
    value = _present(row, names, where)
    return default if value is None else value


def _text(row: Row, names: tuple[str, ...], where: str, what: str) -> str:
    value = _present(row, names, where)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: {what} (field {_names(names)}) must be text that is not empty, not {value!r:.60}")
    return value


def _level(value: Any, where: str) -> int:
    match = re.search(r"\d{1,6}", str(value))
    if match is None:
        raise UserError(f"{where}: the level must hold a number, not {value!r:.60}")
    return int(match[0])


def _names(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)
