"""A chain of thought for reading: its lines, each marked as a try, a check, a verdict or the answer.

Given either as lines that somebody explained in plain words, or as the raw text of a completion, which is cut at its
tags. Everything a model wrote is escaped. Left out on purpose: colour as the only sign of a line's kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.core.thinking import R1_TAGS, R1_ZERO_TAGS, THINK_CLOSE, THINK_OPEN, split_completion
from mull.pages.markup import Markup, join, tag

KINDS = {
    "try": ("→", "tries"),
    "step": ("·", "a step"),
    "check": ("≟", "checks"),
    "verdict": ("⇒", "decides"),
    "answer": ("■", "answers"),
    "broken": ("✕", "breaks off or is unreadable"),
}
MOST_ITEMS = 40
MOST_CHARACTERS = 6000


@dataclass(frozen=True)
class ChainLine:
    """One line of a chain; `kind` is a key of KINDS. Example: `ChainLine("3 + 5 = 8", "try")`"""

    text: str
    kind: str


@dataclass(frozen=True)
class ChainView:
    """One completion to show: who wrote it, how it ended, its lines, and the text as it was written.

    Example: `ChainView("Before training", "before", "wrong", False, "24 tokens of thought", lines, "<think> 3 5 …")`
    """

    title: str
    style: str
    outcome: str
    right: bool
    detail: str
    lines: tuple[ChainLine, ...]
    raw: str


def raw_lines(text: str) -> tuple[ChainLine, ...]:
    """The lines of a completion's thought as steps, then its answer; a missing end is said."""
    tags = R1_ZERO_TAGS if "<answer>" in text else R1_TAGS
    prefilled = THINK_CLOSE in text and THINK_OPEN not in text.partition(THINK_CLOSE)[0]
    parts = split_completion(list(text), tags, prefilled)  # one character a piece: spans are character positions
    lines = []
    if parts.thinking:
        thought = text[parts.thinking.start : parts.thinking.end]
        lines += [ChainLine(line.strip(), "step") for line in thought.splitlines() if line.strip()]
    if parts.answer and text[parts.answer.start : parts.answer.end].strip():
        lines.append(ChainLine(text[parts.answer.start : parts.answer.end].strip(), "answer"))
    if not lines and text.strip():
        lines = [ChainLine(line.strip(), "broken") for line in text.splitlines() if line.strip()]
    elif not parts.answer:
        lines.append(ChainLine("ends without an answer", "broken"))
    return tuple(lines)


def chain_pair(heading: str, question: str, before: ChainView, after: ChainView) -> Markup:
    """One problem and two completions of it, side by side where there is room."""
    return tag(
        "section",
        tag("h3", heading),
        tag("p", question, class_="question"),
        tag("div", chain(before), chain(after), class_="pair"),
        class_="problem",
    )


def chain(view: ChainView) -> Markup:
    """One completion as an `<article>`."""
    outcome = tag("span", "✓ " if view.right else "✕ ", view.outcome, class_="right" if view.right else "wrong")
    head = tag("header", tag("h4", view.title), tag("p", outcome, " · ", view.detail, class_="muted"))
    raw = view.raw if len(view.raw) <= MOST_CHARACTERS else view.raw[:MOST_CHARACTERS] + " …"
    source = tag("details", tag("summary", "as the model wrote it"), tag("pre", raw or "(nothing)"))
    return tag("article", head, tag("ol", _items(view.lines)), source, class_=f"chain {view.style}")


def _items(lines: Sequence[ChainLine]) -> list[Markup]:
    """The lines as list items; of a very long chain the beginning and the end."""
    groups = _grouped(lines)
    if len(groups) <= MOST_ITEMS:
        return [_item(group) for group in groups]
    half = MOST_ITEMS // 2
    left_out = tag("li", f"… {len(groups) - 2 * half} lines left out …", class_="gap")
    return [*map(_item, groups[:half]), left_out, *map(_item, groups[-half:])]


def _grouped(lines: Sequence[ChainLine]) -> list[list[ChainLine]]:
    """A try with the check and the verdict that follow it reads as one item."""
    groups: list[list[ChainLine]] = []
    for line in lines:
        if groups and line.kind in ("check", "verdict") and groups[-1][0].kind in ("try", "check"):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _item(group: Sequence[ChainLine]) -> Markup:
    sign = tag("span", KINDS.get(group[0].kind, KINDS["step"])[0], aria_hidden="true", class_="sign")
    return tag("li", sign, tag("div", [_line(line) for line in group]), class_=group[0].kind)


def _line(line: ChainLine) -> Markup:
    text = line.text if len(line.text) <= 600 else line.text[:600] + " …"
    word = KINDS.get(line.kind, KINDS["step"])[1]
    said = (
        None if text.startswith((word, "so:", "gives", "ends", "never")) else tag("span", f"{word}: ", class_="unseen")
    )
    return join(tag("span", said, text, class_=f"say {line.kind}"), " ")


def legend(kinds: Sequence[str]) -> Markup:
    """What the signs before the lines mean."""
    items = [
        tag("li", tag("span", KINDS[k][0], class_="sign"), " ", KINDS[k][1], class_=k) for k in KINDS if k in kinds
    ]
    return tag("ul", items, class_="signs")
