"""Grids of colours 0 to 9, as in ARC: is this the grid, cell by cell?

`data["answer"]` is the grid, as lists or as text in any form that an answer may have: `[[1, 2], [3, 4]]`, rows of
digits with spaces or commas between them, or rows of digits alone. Words around one grid do no harm. Two different
grids are `ambiguous`; rows of unequal length, a row or a column too many, and a cell that is no digit are `wrong`.
There is no credit for most of the cells: an answer of background alone has most of them right.

Left out on purpose: more than one grid in an answer (a task with several test inputs is several problems), and colours
by name. Source of the task: Chollet, "On the Measure of Intelligence", arXiv 1911.01547.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.texts import structured

METHOD = "grid"
MAX_SIDE = 30
"""Rows, and columns."""
MAX_LENGTH = 8_000
"""Characters; a grid of 30 by 30 takes 2,800 as JSON."""

_RUN = re.compile(r"[\[\]0-9,\s]+")
_LINE = re.compile(r"[0-9 \t,|]*[0-9][0-9 \t,|]*")
_CELLS = re.compile(r"[^ \t,|]+")

Grid = tuple[tuple[int, ...], ...]


class Malformed(ValueError):
    """The text is no grid; the message says why."""


def grids(text: str) -> list[Grid]:
    """Every grid in `text`, in order, equal neighbours not joined. Linear in the text's length.

    Raises:
        Malformed: something that begins like a grid and is none.
    """
    found: list[Grid] = []

    def take(run: re.Match[str]) -> str:
        if "[[" not in "".join(run[0].split()):
            return run[0]
        start, end = run[0].index("["), run[0].rfind("]") + 1
        found.extend(_bracketed(run[0][start : end or None]))
        return f"{run[0][:start]}\n-\n{run[0][end:] if end else ''}"

    if "[" in text:
        text = _RUN.sub(take, text)
    blocks: list[list[str]] = [[]]
    for line in text.split("\n"):
        line = line.strip(" \t`")
        if _LINE.fullmatch(line):
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return found + [_rectangle([_row(line) for line in block]) for block in blocks if block]


def _bracketed(run: str) -> list[Grid]:
    """`[[1, 2], [3, 4]]`, one after the other; the bracket depth is counted, never nested."""
    found: list[Grid] = []
    rows: list[tuple[int, ...]] = []
    cells: list[int] = []
    depth, previous = 0, ""
    for char in run:
        if char == "[":
            depth += 1
            if depth > 2:
                raise Malformed("brackets three deep")
        elif char == "]":
            if depth == 2:
                rows.append(tuple(cells))
                cells = []
            elif depth == 1:
                found.append(_rectangle(rows))
                rows = []
            else:
                raise Malformed("']' without '['")
            depth -= 1
        elif char.isdigit():
            if depth != 2 or previous.isdigit():
                raise Malformed("a cell that is not one digit" if depth == 2 else "a digit outside the rows")
            cells.append(int(char))
        previous = char
    if depth:
        raise Malformed("'[' is never closed")
    return found


def _row(line: str) -> tuple[int, ...]:
    cells = _CELLS.findall(line)
    if len(cells) == 1:
        return tuple(map(int, cells[0]))
    if any(len(cell) != 1 for cell in cells):
        raise Malformed(f"{max(cells, key=len)[:20]!r} is not one digit")
    return tuple(map(int, cells))


def _rectangle(rows: list[tuple[int, ...]]) -> Grid:
    if not rows or not rows[0]:
        raise Malformed("an empty grid")
    if any(len(row) != len(rows[0]) for row in rows):
        raise Malformed("rows of unequal length")
    if len(rows) > MAX_SIDE or len(rows[0]) > MAX_SIDE:
        raise Malformed(f"{len(rows)} by {len(rows[0])} cells (limit {MAX_SIDE} by {MAX_SIDE})")
    return tuple(rows)


def render(grid: Grid) -> str:
    """Canonical text: a line of digits a row. Example: `render(((1, 2), (3, 4))) == "12\\n34"`"""
    return "\n".join("".join(map(str, row)) for row in grid)


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text`; `answer` is the grid in canonical form, None for what is no grid."""
    gold = _gold(data["answer"])
    final = structured(text, MAX_LENGTH, METHOD)
    if isinstance(final, Verdict):
        return final
    try:
        found = grids(final)
    except Malformed as error:
        return Verdict(VerdictKind.WRONG, str(error), None, METHOD)
    if not found:
        return Verdict(VerdictKind.NO_ANSWER, "no grid in the answer", None, METHOD)
    if len(set(found)) > 1:
        return Verdict(VerdictKind.AMBIGUOUS, f"{len(set(found))} different grids", None, METHOD)
    grid = found[0]
    answer = render(grid)
    if (len(grid), len(grid[0])) != (len(gold), len(gold[0])):
        reason = f"{len(grid)} by {len(grid[0])} cells, not {len(gold)} by {len(gold[0])}"
        return Verdict(VerdictKind.WRONG, reason, answer, METHOD)
    off = sum(a != b for row, right in zip(grid, gold, strict=True) for a, b in zip(row, right, strict=True))
    if off:
        return Verdict(VerdictKind.WRONG, f"{off} of {len(gold) * len(gold[0])} cells differ", answer, METHOD)
    return Verdict(VerdictKind.CORRECT, f"all {len(gold) * len(gold[0])} cells are right", answer, METHOD)


def _gold(answer: Any) -> Grid:
    return _parsed(answer if isinstance(answer, str) else str([list(row) for row in answer]))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Grid:
    found = grids(text)
    if len(found) != 1:
        raise Malformed(f"{len(found)} grids")
    return found[0]


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: the answer is no single rectangle of digits of at most 30 by 30.
    """
    answer = data.get("answer")
    try:
        if isinstance(answer, str) and len(answer) > MAX_LENGTH:
            raise Malformed(f"{len(answer)} characters")
        if answer is None or isinstance(answer, Mapping):
            raise Malformed("no grid")
        _gold(answer)
    except (Malformed, TypeError) as error:
        raise UserError(
            f"{where}: the answer must be one grid of digits 0 to 9, at most {MAX_SIDE} by {MAX_SIDE} ({error})"
        ) from None
