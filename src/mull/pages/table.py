"""A table with a caption, its number columns aligned; scrolls sideways by itself on a narrow screen."""

from __future__ import annotations

from collections.abc import Sequence

from mull.pages.markup import Child, Markup, tag


def table(
    headers: Sequence[str], rows: Sequence[Sequence[Child]], *, caption: str, text_columns: Sequence[int] = (0,)
) -> Markup:
    """`rows` below `headers`; every column outside `text_columns` holds numbers and is set right.

    The first column heads its row. Raises ValueError where a row is not as wide as the headers.
    """
    if any(len(row) != len(headers) for row in rows):
        raise ValueError(f"table {caption!r}: every row needs {len(headers)} cells")
    kinds = [None if i in text_columns else "num" for i in range(len(headers))]
    head = tag("tr", [tag("th", h, scope="col", class_=k) for h, k in zip(headers, kinds, strict=True)])
    body = [
        tag("tr", [_cell(i, cell, kind) for i, (cell, kind) in enumerate(zip(row, kinds, strict=True))]) for row in rows
    ]
    # Focusable, so that it can be scrolled from the keyboard.
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body))
    return tag("div", whole, class_="table", role="region", aria_label=caption, tabindex=0)


def _cell(column: int, cell: Child, kind: str | None) -> Markup:
    return tag("th", cell, scope="row", class_=kind) if column == 0 else tag("td", cell, class_=kind)


def facts(pairs: Sequence[tuple[str, Child]]) -> Markup:
    """Names and values as a definition list."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts")
