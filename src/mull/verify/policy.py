"""What each verdict is good for: the one table that training, evaluation and votes go by.

| verdict | about the answer | in training | in a vote |
|---|---|---|---|
| correct, wrong | evidence | rewarded; earns nothing | counts |
| no_answer | none was given | earns nothing: a policy must not gain by keeping silent | left out |
| ambiguous | several, or not worked out | earns nothing, or hedging would pay | left out |
| invalid | out of the bounds within which answers are read | earns nothing, or hostile text would be free | left out |
| timeout, error | our failure, not the model's | excluded and counted (on request: earns nothing) | left out |

Only `correct` ever earns the reward. Excluding also `no_answer`, `ambiguous` and `invalid` would let a policy flee from
every problem that it cannot solve. Each kind is counted in the metrics of a step, the excluded ones also together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from mull.core.types import Verdict, VerdictKind


class Use(StrEnum):
    """What training does with a sample: rewards it, gives it nothing, or leaves it out."""

    REWARD = "reward"
    NOTHING = "nothing"
    EXCLUDE = "exclude"


TRAINING = {
    VerdictKind.CORRECT: Use.REWARD,
    VerdictKind.WRONG: Use.NOTHING,
    VerdictKind.NO_ANSWER: Use.NOTHING,
    VerdictKind.AMBIGUOUS: Use.NOTHING,
    VerdictKind.INVALID: Use.NOTHING,
    VerdictKind.TIMEOUT: Use.EXCLUDE,
    VerdictKind.ERROR: Use.EXCLUDE,
}


def use(verdict: Verdict, exclude: bool = True) -> Use:
    """What training does with a sample of this verdict; `exclude=False` counts our failures as wrong answers."""
    found = TRAINING[verdict.kind]
    return Use.NOTHING if found is Use.EXCLUDE and not exclude else found


def count(kinds: Iterable[str]) -> dict[str, int]:
    """How many verdicts there are of each kind; every kind is named, those that do not occur with 0."""
    counted = Counter(kinds)
    return {str(kind): counted[kind] for kind in VerdictKind}
