"""Functions to be written: a statement in English with examples, and hidden tests for the verifier `code-call`.

For reinforcement learning on code with small models: level 1 is one expression, level 5 an algorithm of a few lines.
A family is a function without its constants (`levels`) and lies in one split. Tests never repeat an example, and the
near misses of the reference fail them (`hidden`). The reference is in the data as `solution`; it never reaches a prompt
or a sandbox. Left out on purpose: problems with several right answers, and statements in other languages.
"""

from __future__ import annotations

import random
from collections import defaultdict
from functools import lru_cache

from mull.core.types import Message, Problem
from mull.tasks.base import SPLITS, split_of, unit_hash
from mull.tasks.functions.hidden import Chosen, choose
from mull.tasks.functions.levels import Asked, Skeleton, skeletons
from mull.tasks.presets import PROGRAM

FAMILIES = 60
"""Most families of a level; level 1 has fewer."""
PER_FAMILY = {"train": 4, "dev": 2, "test": 2}
_TRIES = 12


class Functions:
    """The task `functions`."""

    name = "functions"
    summary = "write a small Python function (code-call; level 1: one expression, level 5: a two-step algorithm)"
    splits = SPLITS

    def problems(self, split: str) -> tuple[Problem, ...]:
        """All problems of a split, in a fixed order, easy ones first."""
        return _problems(split)


@lru_cache(maxsize=1)
def _families() -> tuple[Skeleton, ...]:
    """The families that are used, spread over each level by a fixed hash."""
    levels: defaultdict[int, list[Skeleton]] = defaultdict(list)
    for skeleton in skeletons():
        levels[skeleton.level].append(skeleton)
    return tuple(
        skeleton
        for level in sorted(levels)
        for skeleton in sorted(levels[level], key=lambda one: unit_hash(f"functions {one.family}"))[:FAMILIES]
    )


@lru_cache(maxsize=len(SPLITS))
def _problems(split: str) -> tuple[Problem, ...]:
    found: dict[str, Problem] = {}
    for skeleton in _families():
        if split_of(skeleton.family, "functions", dev=0.25, test=0.22) != split:
            continue
        rng = random.Random(f"functions/{skeleton.family}")
        wanted = len(found) + PER_FAMILY[split]
        for _ in range(_TRIES):
            asked = skeleton.ask(rng)
            chosen = None if asked.statement in found else choose(asked.source, skeleton.draw, rng)
            if chosen:
                number = PER_FAMILY[split] - (wanted - len(found))
                found[asked.statement] = _problem(skeleton, asked, chosen, split, number)
            if len(found) == wanted:
                break
    return tuple(found.values())


def _problem(skeleton: Skeleton, asked: Asked, chosen: Chosen, split: str, number: int) -> Problem:
    shown = "\n".join(f"solve({', '.join(map(repr, given))}) returns {result!r}" for given, result in chosen.examples)
    tests = [{"args": given, "expected": result} for given, result in chosen.tests]
    return Problem(
        f"functions/{skeleton.family}/{number}",
        (Message("user", f"{asked.statement}\n\nExamples:\n{shown}{PROGRAM}"),),
        "code-call",
        {"function": "solve", "tests": tests, "solution": asked.source},
        task="functions",
        domain="code",
        split=split,
        family=skeleton.family,
        level=skeleton.level,
    )


FUNCTIONS = Functions()
