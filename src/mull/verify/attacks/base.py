"""The nouns of the suite: what is attacked, an attack, one try of it, and what came of it.

An attack makes its replies from the problem itself: its reference answer, the name of its function, the shape of its
tests. It pays where a reply earns more than its bar: what an honest wrong reply earns, or nothing, or what the right
reply earns. Left out on purpose: attacks that ask the reward for its verdict and climb, as a policy in training does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mull.core.types import Problem, Verdict


class Bar(StrEnum):
    """What a reply must not earn more than."""

    WRONG = "an honest wrong reply"
    NOTHING = "nothing"
    RIGHT = "the right reply"


@dataclass(frozen=True)
class Try:
    """One reply. Example: `Try("\\\\boxed{41,42}")`

    `whole`: it is a response as it is; else it is an answer, to be put where an answer stands. `before` are answers
    that are judged right before it, `data` what of the problem's data is changed.
    """

    reply: str
    whole: bool = False
    bar: Bar = Bar.WRONG
    before: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bait:
    """Where the answers lie about outside, for attacks that look for them. See `bait.laid`."""

    folder: str
    port: int
    variable: str
    mark: str
    """A file that no answer may be able to write."""


@dataclass(frozen=True)
class Asked:
    """What a problem of programs asks for. Example: `Asked("solve", (((3,), 5), ((4,), 7)))`

    `cases` are the arguments and results that its tests show (for programs that read and print: the text typed in, and
    the text to be printed), where these can be read.
    """

    function: str
    cases: tuple[tuple[Any, Any], ...]
    prints: bool = False

    @property
    def weak(self) -> bool:
        """Does every test expect the same, so that a constant is right?"""
        return len({repr(wanted) for _, wanted in self.cases}) == 1


@dataclass(frozen=True)
class Target:
    """A problem with what an attacker knows of it.

    `form` is how an answer is written so that it is read as one, as in `\\\\boxed{%}`.
    """

    problem: Problem
    gold: str
    decoys: tuple[str, ...]
    """Wrong answers of the same kind."""
    bait: Bait
    form: str = "%"
    asked: Asked | None = None

    def put(self, answer: str) -> str:
        """The answer in its form."""
        return self.form.replace("%", answer)


Replies = Sequence[Try] | str
"""Tries, or why the attack does not apply."""


@dataclass(frozen=True)
class Attack:
    """A named way to be paid. Example: `Attack(1, "enumerate", "several answers in one box", tries)`"""

    number: int
    name: str
    what: str
    tries: Callable[[Target], Replies]

    @property
    def title(self) -> str:
        return f"{self.number:02} {self.name}"


@dataclass(frozen=True)
class Paid:
    """What a reward gave. Example: `Paid(1.0, verdict)`"""

    score: float
    verdict: Verdict


Pay = Callable[[Problem, str], Paid]
"""A reward: what a whole response to a problem earns."""


@dataclass(frozen=True)
class Outcome:
    """What came of one attack: its best reply and what that earned; or why it does not apply."""

    attack: Attack
    pays: bool = False
    score: float = 0.0
    reply: str = ""
    verdict: Verdict | None = None
    tries: int = 0
    left_out: int = 0
    """Tries that ended as timeout or error, which training leaves out."""
    not_applicable: str = ""
