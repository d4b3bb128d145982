"""Several task specs as one stream of problems.

A recipe's `tasks = [...]` becomes a `Mixture`: each spec loaded and checked, with its weight; `iterator` draws from
all of them. Left out on purpose: schedules of weights over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Problem
from mull.tasks.decontaminate import Contamination
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import TaskSpec, load, parse_spec


@dataclass(frozen=True)
class Mixture:
    """Loaded problems by source, and the weight of each. Example: `load_mixture(["countdown_mod:train"])`"""

    problems: dict[str, list[Problem]]
    weights: dict[str, float]
    contamination: dict[str, Contamination] = field(default_factory=dict)
    """What was dropped from each source that names benchmarks."""

    @property
    def all(self) -> list[Problem]:
        """Every problem, source by source."""
        return [problem for problems in self.problems.values() for problem in problems]

    def iterator(self, seed: int, *, retire_at: float | None = None, retire_after: int = 2) -> TaskIterator:
        """A seeded iterator over the mixture."""
        return TaskIterator(self.problems, self.weights, seed, retire_at=retire_at, retire_after=retire_after)


def load_mixture(specs: Sequence[str | dict[str, Any] | TaskSpec]) -> Mixture:
    """All specs, loaded and checked before anything runs; sources are named `label:split`.

    Raises:
        UserError: no specs, a bad spec or row, or one source named twice.
    """
    problems: dict[str, list[Problem]] = {}
    weights: dict[str, float] = {}
    contamination: dict[str, Contamination] = {}
    for number, given in enumerate(specs, 1):
        spec = parse_spec(given, f"tasks.{number}")
        source = f"{spec.label}:{spec.split}"
        if source in problems:
            raise UserError(f'tasks: {source} is named twice; give one of them a name = "…" or raise its weight')
        loaded = load(spec)
        problems[source], weights[source] = loaded.problems, spec.weight
        if loaded.contamination is not None:
            contamination[source] = loaded.contamination
    if not problems:
        raise UserError("no tasks: name at least one, such as tasks = ['countdown_mod:train']")
    return Mixture(problems, weights, contamination)
