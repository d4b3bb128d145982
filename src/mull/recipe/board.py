"""The scorecard as it stands first on a report: a row for every claim, each opening to how it was measured.

Left out on purpose: judging (claims), and the look of a row (pages.scorecard).
"""

from __future__ import annotations

from collections.abc import Sequence

from mull.pages.markup import Markup, tag
from mull.pages.scorecard import ScoreRow, scorecard_table
from mull.recipe.claims import DEFINITIONS, Claim, Definition, change_text, counted_text

INTRO = (
    "What is said of reasoning models, held against this run. Verdicts are computed: a claim holds only if its whole "
    "95% interval, clustered by problem family, lies on the claimed side. One interval in twenty misses by chance, and "
    "that there are many of them is not corrected for."
)


def scorecard_section(claims: Sequence[Claim]) -> Markup:
    """The section with the count of verdicts and the table."""
    counts = {verdict: sum(claim.holds is verdict for claim in claims) for verdict in (True, False, None)}
    counted = f"{counts[True]} hold, {counts[False]} do not, {counts[None]} were not measured here."
    rows = [score_row(claim, DEFINITIONS[claim.id]) for claim in claims]
    return tag(
        "section",
        tag("h2", "The scorecard"),
        tag("p", INTRO, class_="prose"),
        tag("p", tag("strong", counted), class_="prose"),
        scorecard_table(rows),
    )


def score_row(claim: Claim, definition: Definition) -> ScoreRow:
    """A claim in the words of its row."""
    change, _, interval = change_text(claim).removesuffix(")").replace(" per doubling", "").partition(" (")
    known = claim.change is not None
    values = tuple(
        (label, definition.show(value))
        for label, value in zip(definition.labels, (claim.before, claim.after), strict=True)
        if known
    )
    bounds = interval.removeprefix("95% interval ") if claim.ci_low is not None else ""
    detail = [definition.how, f"Said by: {definition.source}."]
    if claim.said:
        detail.insert(0, f"{claim.said[:1].upper()}{claim.said[1:]}.")
    measured = [f"stage {claim.stage}" if claim.stage else "", f"tasks {', '.join(claim.tasks)}" if claim.tasks else ""]
    if any(measured):
        detail.append(f"Measured on {', '.join(filter(None, measured))}.")
    shown = "; ".join(filter(None, [bounds, definition.change_is]))
    return ScoreRow(
        claim.id, definition.title, claim.holds, definition.measure, values, change if known else "", shown,
        counted_text(claim, definition), claim.reason or "", tuple(detail),
    )  # fmt: skip
