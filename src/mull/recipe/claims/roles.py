"""Which stage of a run plays which part in a claim, told from the graph of configurations and never from a name.

    R1-Zero     the first rl stage whose init is a pretrain stage or a model from outside
    tuned       an sft stage on traces of an rl model, whose init that rl model began from, near or far
    student     an sft or distil stage that learns from a model of another origin than its own init

Left out on purpose: measuring (evidence.py), and judging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mull.recipe.evidence import Run, Stage

TRAINED = ("rl", "ppo", "sft", "distil", "star")


@dataclass(frozen=True)
class Student:
    """A stage that learned from another model. Example: `Student(stage, init="small", teacher="zero")`"""

    stage: Stage
    init: str
    teacher: str


@dataclass(frozen=True)
class Roles:
    """The parts that the stages of a run play. Example: `Roles(read_run(path)).zero`"""

    run: Run

    def stage(self, name: str) -> Stage | None:
        """The stage of that name; None for a model from outside."""
        return next((s for s in self.run.stages if s.name == name), None)

    def of_kind(self, *kinds: str) -> list[Stage]:
        return [s for s in self.run.stages if s.kind in kinds]

    @property
    def zero(self) -> Stage | None:
        """The R1-Zero stage: reinforcement learning straight from a base model."""
        for stage in self.of_kind("rl"):
            start = self.stage(init(stage))
            if start is None or start.kind == "pretrain":
                return stage
        return None

    def inits(self, model: str) -> list[str]:
        """A model and what it began from, back to a base or to one from outside."""
        found = [model]
        while (stage := self.stage(found[-1])) and stage.kind in TRAINED and init(stage) not in found:
            found.append(init(stage))
        return found

    def origin(self, model: str) -> str:
        """The base that a model began from, by its inits."""
        return self.inits(model)[-1]

    def taught_by(self, stage: Stage) -> list[str]:
        """The models whose samples, or whose distributions, a stage learns from."""
        found = [
            str(source.config.get("model"))
            for source in map(self.stage, data(stage))
            if source and source.kind == "sample"
        ]
        teacher = stage.config.get("teacher")
        return [*found, teacher] if isinstance(teacher, str) else found

    def builds_on(self, stage: Stage, model: str) -> bool:
        """Whether a stage comes after `model` by its init, its teacher or the traces it learned from."""
        return model in set(self._before(stage.name, set()))

    def _before(self, name: str, seen: set[str]) -> Iterator[str]:
        stage = self.stage(name)
        if stage is None or name in seen:
            return
        seen.add(name)
        for earlier in [init(stage), *self.taught_by(stage)]:
            yield earlier
            yield from self._before(earlier, seen)

    @property
    def last(self) -> Stage | None:
        """The last rl stage that builds on the R1-Zero stage."""
        zero = self.zero
        return next((s for s in reversed(self.of_kind("rl")) if zero and self.builds_on(s, zero.name)), None)

    def tuned(self) -> list[tuple[Stage, Stage]]:
        """(sft stage, rl stage whose samples it learned from), where both began from the same base."""
        found = []
        for stage in self.of_kind("sft"):
            for teacher in map(self.stage, self.taught_by(stage)):
                if teacher and teacher.kind == "rl" and init(stage) in self.inits(teacher.name)[1:]:
                    found.append((stage, teacher))
        return found

    def students(self) -> list[Student]:
        """Stages that learned from a model of another origin, in the order of the run."""
        return [
            Student(stage, init(stage), teacher)
            for stage in self.of_kind("sft", "distil")
            for teacher in self.taught_by(stage)
            if self.origin(teacher) != self.origin(init(stage))
        ]


def init(stage: Stage) -> str:
    """What a stage began from, "" for one that began from nothing."""
    return str(stage.config.get("init") or "")


def data(stage: Stage) -> list[str]:
    """The sources that a stage learns from: stages and files."""
    given: Sequence[Any] = stage.config.get("data") or ()
    return [str(d.get("source")) if isinstance(d, Mapping) else str(d) for d in given]


def language_weight(stage: Stage) -> float:
    """The weight of the language reward of an rl stage."""
    reward = stage.config.get("reward")
    value = reward.get("language_weight") if isinstance(reward, Mapping) else None
    return float(value or 0.0)
