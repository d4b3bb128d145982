"""Chains whose steps are labelled, out of files: what a process reward model learns from.

{"prompt": "…", "steps": ["…", "…"], "labels": [1.0, 0.25]}     or "messages"; "completions" is read as "steps"
{"question": {"problem": "…"}, "label": {"steps": [{"completions": [{"text": "…", "rating": 1}], "chosen_completion": 0,
  "human_completion": null}]}}                                                    PRM800K (arXiv 2305.20050)

A label is the probability that the step leads to the right answer (true and false count as 1 and 0), or null where
nobody judged it. PRM800K's ratings: +1 is 1, −1 is 0, and 0 what `neutral` says. The chosen completion of a step is
followed, else the human's (which counts as right); where neither is there, the first rated one ends the chain, as does
a step without any. Rows that begin with such a step say nothing and are left out.

Rows of a label_steps stage have token ids too, which are used as they are. Left out on purpose: step splitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mull.core.errors import UserError
from mull.core.types import Message
from mull.tasks.conversations import message_of
from mull.tasks.tables import Row, check_row, read_table

Neutral = Literal["good", "bad", "out"]
_RATINGS = {1: 1.0, -1: 0.0}


@dataclass(frozen=True)
class Ids:
    """A chain as the token ids that were sampled, up to the last step's end, and where its steps end in them.

    Example: `Ids(prompt=(1, 7, 19), said=(3, 7, 8), ends=(2,))`
    """

    prompt: tuple[int, ...]
    said: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Chain:
    """A prompt, the steps that follow it, and how good each is. Example: `Chain(prompt, ("3 + 5 = 9",), (0.0,))`"""

    prompt: tuple[Message, ...]
    steps: tuple[str, ...]
    labels: tuple[float | None, ...]
    ids: Ids | None = None


def read_steps(path: Path, neutral: Neutral = "good") -> list[Chain]:
    """The labelled chains of a file.

    Raises:
        UserError: no such file, nothing labelled in it, or a row of none of the shapes; names the row.
    """
    found = [chain_of(row, f"{path}: row {number}", neutral) for number, row in enumerate(read_table(path), 1)]
    labelled = [chain for chain in found if any(label is not None for label in chain.labels)]
    if not labelled:
        raise UserError(f"{path}: no step with a label in {len(found)} rows")
    return labelled


def chain_of(row: Row, where: str, neutral: Neutral = "good") -> Chain:
    """One row as a chain; of PRM800K it may have no steps.

    Raises:
        UserError: it has none of the shapes; `where` names it.
    """
    check_row(row, where)
    if "question" in row and "label" in row:
        return _prm800k(row, where, neutral)
    key = next((key for key in ("steps", "completions") if key in row), None)
    if key is None or "labels" not in row or not {"prompt", "messages"} & row.keys():
        raise UserError(
            f"{where}: no labelled steps; it needs 'prompt' or 'messages', 'steps' and 'labels', or PRM800K's "
            f"'question' and 'label'; it has {', '.join(map(repr, row)) or 'nothing'}"
        )
    steps = tuple(_text(step, f"{where}: step {number}") for number, step in enumerate(_list(row, key, where), 1))
    labels = tuple(_label(value, where) for value in _list(row, "labels", where))
    if len(steps) != len(labels) or not steps:
        raise UserError(f"{where}: {len(steps)} steps but {len(labels)} labels; each step needs one")
    return Chain(_prompt(row, where), steps, labels, _ids(row, len(steps), where))


def _prompt(row: Row, where: str) -> tuple[Message, ...]:
    value = row.get("messages", row.get("prompt"))
    if isinstance(value, str):
        return (Message("user", _text(value, where)),)
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: a prompt is a text or a list of messages, not {value!r}")
    messages = tuple(message_of(message, where) for message in value)
    if messages[-1].role != "user":
        raise UserError(f"{where}: the prompt must end with the user's message")
    return messages


def _ids(row: Row, steps: int, where: str) -> Ids | None:
    if "token_ids" not in row:
        return None
    prompt, said, ends = (_whole_numbers(row, key, where) for key in ("prompt_ids", "token_ids", "ends"))
    if len(ends) != steps or list(ends) != sorted(set(ends)) or not ends or ends[-1] != len(said) - 1:
        raise UserError(f"{where}: 'ends' must rise, one a step, and the last be the last of 'token_ids'")
    return Ids(prompt, said, ends)


def _whole_numbers(row: Row, key: str, where: str) -> tuple[int, ...]:
    values = _list(row, key, where)
    if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values):
        raise UserError(f"{where}, field {key!r}: a list of whole numbers is needed")
    return tuple(values)


def _prm800k(row: Row, where: str, neutral: Neutral) -> Chain:
    question, label = (_object(row[key], f"{where}, field {key!r}") for key in ("question", "label"))
    prompt = (Message("user", _text(question.get("problem"), f"{where}, field 'problem'")),)
    steps: list[str] = []
    labels: list[float | None] = []
    for number, step in enumerate(_list(label, "steps", where), 1):
        there = f"{where}: step {number}"
        text, value, goes_on = _followed(_object(step, there), there, neutral)
        if text is not None:
            steps.append(text)
            labels.append(value)
        if not goes_on:
            break
    return Chain(prompt, tuple(steps), tuple(labels))


def _followed(step: Row, where: str, neutral: Neutral) -> tuple[str | None, float | None, bool]:
    """(text, label, whether the chain goes on): what the labeller went on from, or the first that was rated."""
    given = step.get("completions") or []
    if not isinstance(given, list):
        raise UserError(f"{where}: 'completions' must be a list, not {given!r}")
    completions = [_object(one, where) for one in given]
    chosen, human = step.get("chosen_completion"), step.get("human_completion")
    if chosen is not None:
        if not isinstance(chosen, int) or isinstance(chosen, bool) or not 0 <= chosen < len(completions):
            raise UserError(f"{where}: chosen_completion is {chosen!r}, with {len(completions)} completions")
        picked = completions[chosen]
        return _text(picked.get("text"), where), _rating(picked.get("rating"), where, neutral), True
    if human is not None:
        said = human.get("text") if isinstance(human, Mapping) else human
        return _text(said, where), 1.0, True
    rated = next((one for one in completions if one.get("rating") is not None and not one.get("flagged")), None)
    if rated is None:
        return None, None, False
    return _text(rated.get("text"), where), _rating(rated.get("rating"), where, neutral), False


def _rating(value: Any, where: str, neutral: Neutral) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or value not in (-1, 0, 1):
        raise UserError(f"{where}: a rating is -1, 0 or 1, not {value!r}")
    return _RATINGS.get(value, {"good": 1.0, "bad": 0.0, "out": None}[neutral])


def _label(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
        raise UserError(f"{where}: a label is true, false, a probability or null, not {value!r}")
    return float(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: a text is needed, not {value!r}")
    return value


def _list(row: Row, key: str, where: str) -> list[Any]:
    value = row.get(key)
    if not isinstance(value, list):
        raise UserError(f"{where}, field {key!r}: a list is needed, not {value!r}")
    return value


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: an object is needed, not {value!r}")
    return value
