"""Which problem comes next: seeded, weighted, exactly resumable.

Each source is walked in its own order, shuffled anew every epoch from (seed, source, epoch); which source is next
follows the weights by smooth round-robin, so that after any number of draws a source has had its share to within one
(two sources) or one and a half. Nothing random is stored: the cursor is a handful of integers, and a restored iterator
continues exactly where the saved one stood.

Retirement is optional: a problem whose groups pass at `retire_at` or above on `retire_after` visits in a row is skipped
from then on, but a source never loses its last `keep` problems.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Group, Problem


@dataclass(frozen=True)
class Draw:
    """A problem handed out, with its number among all draws. Example: `Draw(problem, draw=41)`"""

    problem: Problem
    draw: int


@dataclass
class _Source:
    """One list of problems with its place in the current epoch."""

    name: str
    problems: Sequence[Problem]
    weight: float
    epoch: int = 0
    position: int = 0
    credit: float = 0.0
    retired: set[str] = field(default_factory=set)
    order: list[int] = field(default_factory=list)


class TaskIterator:
    """Problems from several sources, drawn for ever.

    Args:
        problems_by_source: name → problems; ids must be unique over all sources.
        weights: name → relative share of the draws; a missing name counts 1.
        seed: fixes every order.
        retire_at: pass rate from which a visit counts towards retirement; None retires nothing.
        retire_after: visits in a row that retire a problem.
        keep: problems of a source that are never retired.

    Raises:
        UserError: no source, an empty source, a weight that is not positive, or two problems with one id.

    Example:
        >>> iterator = TaskIterator({"a": problems}, seed=0)           # doctest: +SKIP
        >>> [draw.problem.id for draw in iterator.next(2)]             # doctest: +SKIP
    """

    def __init__(
        self,
        problems_by_source: Mapping[str, Sequence[Problem]],
        weights: Mapping[str, float] | None = None,
        seed: int = 0,
        *,
        retire_at: float | None = None,
        retire_after: int = 2,
        keep: int = 1,
    ) -> None:
        _check_sources(problems_by_source, weights or {})
        self._seed = seed
        self._sources = [
            _Source(name, problems, float((weights or {}).get(name, 1.0)))
            for name, problems in problems_by_source.items()
        ]
        self._source_of = {p.id: source for source in self._sources for p in source.problems}
        self._draws = 0
        self._retire_at, self._retire_after, self._keep = retire_at, retire_after, max(1, keep)
        self._streaks: dict[str, int] = {}
        for source in self._sources:
            source.order = self._order(source)

    def next(self, n: int) -> list[Draw]:
        """The next `n` draws."""
        return [self._draw() for _ in range(n)]

    def note(self, groups: Iterable[Group]) -> None:
        """Learn how groups went; retires problems that are passed again and again (when `retire_at` is set).

        A group without evidence (pass rate nan) neither counts nor breaks a streak.
        """
        if self._retire_at is None:
            return
        for group in groups:
            source = self._source_of.get(group.problem.id)
            rate = group.pass_rate
            if source is None or math.isnan(rate):
                continue
            streak = self._streaks.get(group.problem.id, 0) + 1 if rate >= self._retire_at else 0
            self._streaks[group.problem.id] = streak
            if streak >= self._retire_after and len(source.problems) - len(source.retired) > self._keep:
                source.retired.add(group.problem.id)

    @property
    def draws(self) -> int:
        """How many problems have been handed out."""
        return self._draws

    @property
    def retired(self) -> frozenset[str]:
        """Ids of the problems that are no longer drawn."""
        return frozenset().union(*(source.retired for source in self._sources))

    def state(self) -> dict[str, Any]:
        """The cursor, as JSON-able values."""
        return {
            "seed": self._seed,
            "draws": self._draws,
            "streaks": dict(sorted((key, value) for key, value in self._streaks.items() if value)),
            "sources": {
                s.name: {
                    "size": len(s.problems),
                    "epoch": s.epoch,
                    "position": s.position,
                    "credit": s.credit.hex(),
                    "retired": sorted(s.retired),
                }
                for s in self._sources
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state()` was taken.

        Raises:
            UserError: the state belongs to other sources, sizes or another seed.
        """
        sizes = {s.name: len(s.problems) for s in self._sources}
        saved = {name: values["size"] for name, values in state["sources"].items()}
        if saved != sizes or state["seed"] != self._seed:
            raise UserError(
                f"the saved task cursor is for {saved} with seed {state['seed']}, the recipe has {sizes} with seed "
                f"{self._seed}; restore the tasks and the seed, or start a new run"
            )
        self._draws = state["draws"]
        self._streaks = dict(state["streaks"])
        for source in self._sources:
            values = state["sources"][source.name]
            source.epoch, source.position = values["epoch"], values["position"]
            source.credit, source.retired = float.fromhex(values["credit"]), set(values["retired"])
            source.order = self._order(source)

    def _draw(self) -> Draw:
        source = self._next_source()
        while True:
            if source.position == len(source.order):
                source.epoch, source.position = source.epoch + 1, 0
                source.order = self._order(source)
            problem = source.problems[source.order[source.position]]
            source.position += 1
            if problem.id not in source.retired:
                break
        draw = Draw(problem, self._draws)
        self._draws += 1
        return draw

    def _next_source(self) -> _Source:
        """Smooth weighted round-robin: everyone earns its weight, the richest is drawn and pays the whole."""
        for source in self._sources:
            source.credit += source.weight
        richest = max(self._sources, key=lambda s: s.credit)
        richest.credit -= sum(s.weight for s in self._sources)
        return richest

    def _order(self, source: _Source) -> list[int]:
        order = list(range(len(source.problems)))
        random.Random(f"{self._seed}/{source.name}/{source.epoch}").shuffle(order)
        return order


def _check_sources(problems_by_source: Mapping[str, Sequence[Problem]], weights: Mapping[str, float]) -> None:
    if not problems_by_source:
        raise UserError("no tasks: name at least one, such as tasks = ['countdown:train']")
    seen: dict[str, str] = {}
    for name, problems in problems_by_source.items():
        if not problems:
            raise UserError(f"{name}: no problems are left; loosen its levels, languages or limit")
        weight = weights.get(name, 1.0)
        if not (math.isfinite(weight) and weight > 0):
            raise UserError(f"{name}: weight must be above 0, not {weight}")
        for problem in problems:
            if problem.id in seen:
                raise UserError(
                    f"two problems have the id {problem.id!r} (in {seen[problem.id]} and {name}); ids must differ"
                )
            seen[problem.id] = name
    unknown = set(weights) - set(problems_by_source)
    if unknown:
        raise UserError(f"weights for unknown tasks: {', '.join(sorted(unknown))}")
