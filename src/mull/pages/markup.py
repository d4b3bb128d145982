"""Elements that escape by default: the only place where text becomes HTML.

`tag("p", "a < b", tag("b", "bold"))` escapes the first and keeps the second. Left out on purpose: a template
language (components are functions, so they are typed and tested like the rest), comments, and unescaped text except
through `Markup` itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

VOID = {"br", "hr", "img", "meta", "link", "col"}
# XML 1.0 forbids these even escaped, and a model's bytes may hold them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """A string that is HTML already. Example: `Markup("&times;")`"""


Child = str | int | float | None | Iterable["Child"]


def escape(text: object) -> Markup:
    """`text` with `& < > " '` escaped and control characters replaced by U+FFFD; `Markup` is returned as it is."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_CONTROL.sub("\ufffd", str(text)), quote=True))


def join(*children: Child) -> Markup:
    """The children one after another, escaped unless they are markup; None is left out, sequences are flattened."""
    return Markup("".join(_pieces(children)))


def _pieces(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, str | int | float):
            yield escape(child)
        else:
            yield from _pieces(child)


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """`<name …>children</name>`; in attribute names a trailing `_` is dropped and other `_` become `-`.

    None and False leave an attribute out, True writes it without a value. Floats are written with two decimals.

    >>> tag("td", "a<b", class_="num")
    '<td class="num">a&lt;b</td>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    # SVG is case-sensitive where Python names cannot say so.
    name = "viewBox" if name == "viewbox" else name
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
    return f' {name}="{escape(text)}"'


@cache
def stylesheet(name: str) -> Markup:
    """A style sheet of this package, to be put inside the page. Example: `stylesheet("page.css")`"""
    return Markup((files("mull.pages") / "static" / name).read_text(encoding="utf-8"))


def page(title: str, *body: Child, language: str = "en") -> Markup:
    """A whole document: self-contained, light or dark as the reader's system says, and forbidden to load anything."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", title),
        tag("style", stylesheet("page.css")),
    )
    return join(Markup("<!doctype html>\n"), tag("html", head, tag("body", *body), lang=language), Markup("\n"))
