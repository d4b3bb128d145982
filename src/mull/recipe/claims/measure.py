"""What the themes share: two models compared on a number of every problem, and why that cannot be done.

Left out on purpose: any claim.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mull.recipe.evidence import Compared
from mull.recipe.samples import Asked
from mull.stats import Change, paired_difference

Value = Callable[[Asked], float]
NAN = float("nan")


def pass_1(asked: Asked) -> float:
    """pass@1 of a problem."""
    return asked.pass_at(1)


def paired(compared: Compared, value: Value) -> Change:
    """After less before of a value that every problem has."""
    before, after = ([value(side) for side in sides] for sides in zip(*compared.problems, strict=True))
    return paired_difference(before, after, compared.families)


def why_not(compared: Compared, before: str, after: str) -> str:
    """What is missing to compare the models `before` and `after`; "" where nothing is."""
    for name, stage in ((before, compared.before), (after, compared.after)):
        if stage is None:
            return f"no evaluate stage has model = {name!r}"
    if not compared.problems and compared.before and compared.after:
        return f"stages {compared.before.name!r} and {compared.after.name!r} share no problem"
    return ""


def mean(values: Sequence[float]) -> float:
    """The mean of what is known, nan of nothing."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else NAN
