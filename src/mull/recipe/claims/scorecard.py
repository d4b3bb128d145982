"""All claims in the order of the scorecard, and the one place that judges them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mull.recipe.claims import cost, distilling, habits, language, pipeline, scaling, training
from mull.recipe.claims.claim import Claim, Definition
from mull.recipe.claims.roles import Roles
from mull.recipe.evidence import Evidence, Pair

ORDER = (
    *training.OF_STAGES, *scaling.ALL, *language.ALL, *pipeline.ALL, *distilling.ALL, *habits.ALL, *cost.ALL,
)  # fmt: skip
DEFINITIONS: dict[str, Definition] = {definition.id: definition for definition in ORDER}
"""id → claim, in the order of the scorecard"""


def scorecard(evidence: Evidence, pairs: Sequence[Pair], vote_tasks: Iterable[str] = ()) -> list[Claim]:
    """Every claim once, in the order of DEFINITIONS; those of rl stages for the R1-Zero stage.

    Raises:
        UserError: a rollout file cannot be read.
    """
    roles = Roles(evidence.run)
    zero = roles.zero
    shown = [pair for pair in pairs if zero and pair.stage.name == zero.name] or list(pairs[:1])
    found = [
        *training.claims_of(shown, vote_tasks),
        *scaling.claims(evidence, roles),
        *language.claims(evidence, roles),
        *pipeline.claims(evidence, roles),
        *distilling.claims(evidence, roles),
        *habits.claims(evidence, roles),
        *cost.claims(roles),
    ]
    assert [claim.id for claim in found] == list(DEFINITIONS)
    return found
