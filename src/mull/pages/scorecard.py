"""Claims as the rows of a table, each opening to its details; on a narrow screen every row becomes a block.

The verdict is words and a sign, never colour alone; what was not measured says why in its own row. Left out on purpose:
sorting and filtering, which need scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.pages.claim import VERDICTS
from mull.pages.markup import Child, Markup, tag
from mull.pages.numbers import MISSING

HEADERS = ("claim", "measured", "change, 95% interval", "counted on", "verdict")


@dataclass(frozen=True)
class ScoreRow:
    """What a row shows, in words. `values` are (label, value) before and after; empty texts are left out.

    Example: `ScoreRow("zero_improves", "More is solved", True, "pass@1", (("before", "18%"), ("after", "81%")),
    "+63 points", "+57 to +69", "259 problems, 41 families", "", ("How it is measured.",))`
    """

    id: str
    title: str
    holds: bool | None
    measure: str
    values: tuple[tuple[str, str], ...]
    change: str
    interval: str
    counted: str
    reason: str
    detail: tuple[str, ...]


def scorecard_table(rows: Sequence[ScoreRow]) -> Markup:
    """All rows under their headers."""
    head = tag("tr", [tag("th", h, scope="col") for h in HEADERS])
    caption = tag("caption", "Each claim opens to how it was measured and who says it", class_="unseen")
    # Roles are said, since a table whose rows are shown as blocks loses its own in some browsers.
    table = tag(
        "table", caption, tag("thead", head), tag("tbody", [_row(row) for row in rows], role="rowgroup"), role="table"
    )
    return tag("div", table, class_="scorecard")


def _row(row: ScoreRow) -> Markup:
    kind, sign, word = VERDICTS[row.holds]
    detail = tag("details", tag("summary", row.title), [tag("p", text) for text in row.detail], tag("code", row.id))
    verdict = tag("span", tag("span", sign, aria_hidden="true"), f" {word}", class_="verdict")
    if row.values:
        middle = [
            _cell("measured", _values(row)),
            _cell("change", _change(row)),
            _cell("counted", _pieces(row.counted)),
        ]
    else:
        middle = [tag("td", row.reason, colspan=3, class_="reason", role="cell")]
    cells = [tag("th", detail, scope="row", role="rowheader"), *middle, _cell("verdict", verdict)]
    return tag("tr", cells, class_=kind, role="row", id=row.id)


def _values(row: ScoreRow) -> list[Markup]:
    (first, before), (second, after) = row.values
    arrow = tag("span", " → ", aria_hidden="true")
    shown = tag("span", before, arrow, tag("span", " to ", class_="unseen"), after, class_="figures")
    return [shown, tag("span", f"{row.measure}: {first} → {second}", class_="small")]


def _change(row: ScoreRow) -> list[Markup]:
    return [
        tag("span", row.change, class_="figures"),
        tag("span", row.interval or row.reason or MISSING, class_="small"),
    ]


def _pieces(counted: str) -> list[Markup]:
    """`40 problems, 12 families` in pieces that are not broken."""
    first, comma, second = counted.partition(", ")
    return [tag("span", first + comma.strip()), *([Markup(" "), tag("span", second)] if second else [])]


def _cell(label: str, *children: Child) -> Markup:
    return tag("td", *children, class_=label, role="cell")
