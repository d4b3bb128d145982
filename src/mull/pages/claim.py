"""A claim as a card: what is claimed, whether the interval says so, before and after, and the interval as a bar.

The bar is the 95% interval of the change, laid from the value before: a claim of growth holds when the bar lies
clear of the hollow dot. The verdict is words and a sign, never colour alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mull.pages.markup import Child, Markup, tag
from mull.pages.numbers import finite

WIDTH, HEIGHT, PAD, LINE = 320, 30, 8, 15
VERDICTS = {True: ("yes", "✓", "holds"), False: ("no", "✕", "does not hold"), None: ("open", "–", "not measured")}


@dataclass(frozen=True)
class ClaimCard:
    """What a card shows. `low` and `high` are the ends of the bar in the units of `before` and `after`.

    Example: `ClaimCard("zero_improves", "More problems are solved.", True, 0.18, 0.81, 0.75, 0.87, 1.0,
    "before", "after", "difference +63 points, 95% interval +57 to +69")`
    """

    id: str
    statement: str
    holds: bool | None
    before: float | None
    after: float | None
    low: float | None
    high: float | None
    top: float
    before_label: str
    after_label: str
    note: str


def claim_card(card: ClaimCard, value_format: Callable[[float | None], str]) -> Markup:
    """The card as an `<article>`."""
    kind, sign, word = VERDICTS[card.holds]
    verdict = tag("p", tag("span", sign, aria_hidden="true"), " ", word, class_="verdict")
    body: list[Child] = [verdict, tag("h3", card.statement)]
    if finite(card.before) or finite(card.after):
        values = [
            tag(
                "div",
                tag("span", value_format(card.before), class_="value"),
                tag("span", card.before_label),
                class_="before",
            ),
            tag("div", "→", class_="arrow", aria_hidden="true"),
            tag(
                "div",
                tag("span", value_format(card.after), class_="value"),
                tag("span", card.after_label),
                class_="after",
            ),
        ]
        body += [tag("div", values, class_="values"), _bar(card, value_format)]
    body += [tag("p", card.note, class_="muted note"), tag("p", card.id, class_="id")]
    return tag("article", body, class_=f"claim {kind}")


def _bar(card: ClaimCard, value_format: Callable[[float | None], str]) -> Markup:
    top = max([card.top, *(v for v in (card.before, card.after) if v is not None and finite(v))]) or 1.0

    def x(value: float) -> float:
        return PAD + (WIDTH - 2 * PAD) * min(max(value / top, 0.0), 1.0)

    said = f"{value_format(card.before)} {card.before_label}, {value_format(card.after)} {card.after_label}"
    parts = [tag("title", said), tag("line", x1=PAD, x2=WIDTH - PAD, y1=LINE, y2=LINE, class_="track")]
    if card.low is not None and card.high is not None and finite(card.low) and finite(card.high):
        left, right = x(card.low), x(card.high)
        parts.append(tag("rect", x=left, y=LINE - 5, width=max(right - left, 1.5), height=10, rx=3, class_="interval"))
    if card.before is not None and finite(card.before):
        parts.append(tag("circle", cx=x(card.before), cy=LINE, r=5.5, class_="dot before"))
    if card.after is not None and finite(card.after):
        parts.append(tag("circle", cx=x(card.after), cy=LINE, r=5.5, class_="dot after"))
    return tag(
        "svg", parts, viewbox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{said}; {card.note}", class_="bar"
    )
