"""What a task is: a name, a sentence, splits, and the problems of each split.

Also the one way in which procedural tasks split themselves: a whole family goes to one split, by a fixed hash of its
name, so that it never depends on a seed, an order or a version of Python. Left out on purpose: sampling, weights
and cursors (`iterator`), and reading files (`dataset`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from mull.core.types import Problem

SPLITS = ("train", "dev", "test")


@runtime_checkable
class Task(Protocol):
    """A source of problems.

    `problems(split)` is the same list, in the same order, every time it is called; ids are unique within the task.
    """

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    def problems(self, split: str) -> Sequence[Problem]: ...


def unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on `text` only (SHA-256)."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:7], "big") / 2**56


def split_of(family: str, salt: str, dev: float, test: float) -> str:
    """The split that a whole family belongs to; `dev` and `test` are the shares of families that go there."""
    place = unit_hash(f"{salt}/{family}")
    if place < test:
        return "test"
    return "dev" if place < test + dev else "train"
