"""The scorecard: one row for every public claim about reasoning models, each decided from the run's own files."""

from mull.recipe.claims.claim import Claim, Definition, change_text, counted_text
from mull.recipe.claims.scorecard import DEFINITIONS, scorecard
from mull.recipe.claims.tasks import TaskRow, task_rows
from mull.recipe.claims.training import OF_STAGES, TITLES, claims_of

__all__ = [
    "DEFINITIONS", "OF_STAGES", "TITLES", "Claim", "Definition", "TaskRow", "change_text", "claims_of", "counted_text",
    "scorecard", "task_rows",
]  # fmt: skip
