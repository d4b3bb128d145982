"""Procedural problems of reasoning-gym: `reasoning_gym/NAME:split`, with `limit` problems (500 by default).

A family is a question's text; a fixed hash of it puts half of the families in train and a quarter each in dev and test,
so that no question is in two splits however many are drawn. Left out on purpose: its configurations and curricula.
Source: Stojanovski et al., "Reasoning Gym", arXiv 2505.24760.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from functools import lru_cache

from mull.core.errors import UserError, nearest
from mull.core.types import Message, Problem
from mull.tasks.base import SPLITS, split_of
from mull.tasks.presets import TAGS
from mull.verify.gym import METHOD, check_name, unanswered
from mull.verify.registry import check_gold

PREFIX = "reasoning_gym/"
DEFAULT_LIMIT = 500
TRIES = 12
"""Questions drawn for each problem that is wanted, before a data set counts as exhausted."""


@lru_cache(maxsize=16)
def gym_problems(source: str, split: str, limit: int | None) -> tuple[Problem, ...]:
    """The first `limit` problems of a split, the same every time.

    Raises:
        UserError: no such data set or split, one that is refused, or reasoning-gym is not installed.
    """
    name = check_name(source.removeprefix(PREFIX), source)
    if split not in SPLITS:
        raise UserError(f"{source}: no split {split!r}{nearest(split, SPLITS)}")
    try:
        from reasoning_gym.factory import create_dataset
    except ImportError:
        raise UserError(f"{source}: this needs reasoning-gym: pip install 'mull[gym]'") from None
    wanted = limit or DEFAULT_LIMIT
    made: dict[str, Problem] = {}
    with contextlib.redirect_stdout(io.StringIO()):  # some generators talk
        drawn = create_dataset(name, size=wanted * TRIES, seed=0)
        for number in range(wanted * TRIES):
            entry = drawn[number]
            family = "q-" + hashlib.sha256(" ".join(entry["question"].split()).encode()).hexdigest()[:12]
            if (
                unanswered(name, entry["answer"])
                or family in made
                or split_of(family, METHOD, dev=0.25, test=0.25) != split
            ):
                continue
            problem = _problem(source, name, number, split, family, entry)
            check_gold(problem)
            made[family] = problem
            if len(made) == wanted:
                break
    if not made:
        raise UserError(f"{source}: no question of {wanted * TRIES} belongs to the split {split!r}; use another split")
    return tuple(made.values())


def _problem(source: str, name: str, number: int, split: str, family: str, entry: dict) -> Problem:
    return Problem(
        f"{source}/{number}",
        (Message("user", entry["question"] + TAGS),),
        METHOD,
        {"dataset": name, **{key: entry.get(key) for key in ("question", "answer", "metadata")}},
        task=source,
        domain="logic",
        split=split,
        family=family,
    )
