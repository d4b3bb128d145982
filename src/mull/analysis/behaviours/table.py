"""The behaviours of a chain of thought: their names, what each one is, and the result of reading one thought.

A behaviour is counted where the text shows it; a behaviour that a task's language cannot express (a grammar without a
word for doubt) is None, which is not 0: nobody could have shown it.

Sources: the four cognitive behaviours of Gandhi et al. (arXiv 2503.01307: verification, backtracking, subgoal setting,
backward chaining) and the reflective words that DeepSeek-R1 counts (arXiv 2501.12948 §2.2.4 and appendix: wait,
mistake, however, but, retry, error, verify, wrong, evaluate, check). The lists of words are this project's own.
Left out on purpose: model judges, and any judgement whether a check or a doubt was right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Behaviour(StrEnum):
    """What a chain of thought can be seen to do. Example: `Behaviour("restart") is Behaviour.RESTART`"""

    SELF_VERIFICATION = "self_verification"
    REFLECTION = "reflection"
    BACKTRACKING = "backtracking"
    RESTART = "restart"
    RE_READING = "re_reading"
    DECOMPOSITION = "decomposition"
    CASE_ANALYSIS = "case_analysis"
    CONTRADICTION = "contradiction"
    WORKING_BACKWARDS = "working_backwards"
    LANGUAGE_SWITCH = "language_switch"
    REPETITION_LOOP = "repetition_loop"


ABOUT: dict[Behaviour, tuple[str, str]] = {
    Behaviour.SELF_VERIFICATION: ("checks itself", "holds a result that it has against the question or a second pass"),
    Behaviour.REFLECTION: ("doubts", "stops and doubts: “wait”, “hmm”, “I made a mistake”"),
    Behaviour.BACKTRACKING: ("backtracks", "gives a failed path up and takes another"),
    Behaviour.RESTART: ("starts over", "throws all away and begins again"),
    Behaviour.RE_READING: ("re-reads the question", "goes back to the question, or copies a part of it again"),
    Behaviour.DECOMPOSITION: ("decomposes", "names sub-goals or steps: “first … then”, “let’s break this down”"),
    Behaviour.CASE_ANALYSIS: ("goes by cases", "takes the possible cases apart"),
    Behaviour.CONTRADICTION: ("uses a contradiction", "rules something out because it contradicts"),
    Behaviour.WORKING_BACKWARDS: ("works backwards", "goes from the goal to what must come before it"),
    Behaviour.LANGUAGE_SWITCH: ("switches languages", "goes on in another language"),
    Behaviour.REPETITION_LOOP: ("repeats itself", "says the same three times in a row; tries again what it tried"),
}
"""Behaviour → (what a chain does, in two words; what counts)."""


@dataclass(frozen=True)
class Spot:
    """Where a behaviour shows: characters [start, end) of the thought. Example: `Spot(Behaviour.REFLECTION, 0, 4)`"""

    behaviour: Behaviour
    start: int
    end: int


@dataclass(frozen=True)
class Behaviours:
    """How often a thought does what, and where.

    `counts` holds every behaviour, None where it cannot be told in this language or task. `repeated` is the share of
    the thought's runs of eight words that stood in it before (0.0 for a shorter thought).

    Example: `Behaviours({Behaviour.REFLECTION: 1}, (Spot(Behaviour.REFLECTION, 0, 4),)).shows(Behaviour.REFLECTION)`
    """

    counts: Mapping[Behaviour, int | None]
    spots: tuple[Spot, ...] = ()
    repeated: float = field(default=0.0)

    def shows(self, behaviour: Behaviour) -> bool | None:
        """Whether it is there at least once; None where it cannot be told."""
        count = self.counts.get(behaviour)
        return None if count is None else count > 0


def counted(spots: Iterable[Spot], can: Iterable[Behaviour], repeated: float = 0.0) -> Behaviours:
    """The counts of some spots; a behaviour outside `can` is None."""
    known = frozenset(can)
    found = sorted((spot for spot in spots if spot.behaviour in known), key=lambda spot: (spot.start, spot.end))
    counts: dict[Behaviour, int | None] = {b: 0 if b in known else None for b in Behaviour}
    for spot in found:
        counts[spot.behaviour] = (counts[spot.behaviour] or 0) + 1
    return Behaviours(counts, tuple(found), repeated)
