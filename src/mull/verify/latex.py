"""Spelling: the many ways to type one formula, brought to one.

`plain` strips what carries no meaning (dollar signs, \\left, thin spaces, \\displaystyle, bold), maps look-alikes to
what they look like (full-width digits, the minus sign, the superscript two) and gives commands one name each. It
never looks at what the formula means. Left out on purpose: NFKC over the whole text, which would turn x² into x2.
"""

from __future__ import annotations

import re

_LOOKALIKES = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF], None),
    **dict.fromkeys([0xA0, 0x2002, 0x2003, 0x2009, 0x202F, 0x3000, 0x0A, 0x0D, 0x09], " "),
    **{ord(char): "-" for char in "−–‒﹣"},
    **{ord(char): "*" for char in "×·⋅∗∙"},
    ord("÷"): "/", ord("⁄"): "/", ord("∕"): "/", ord("∶"): ":", ord("。"): ".", ord("、"): ",",
    ord("π"): "\\pi ", ord("√"): "\\sqrt ", ord("∞"): "\\infty ", ord("±"): "\\pm ", ord("∪"): "\\cup ",
    ord("∈"): "\\in ", ord("ℝ"): "\\mathbb{R}", ord("°"): "\\degree ", ord("²"): "^2", ord("³"): "^3",
    ord("≠"): "\\ne ", ord("≈"): "\\approx ", ord("∅"): "\\varnothing ",
    ord("≤"): "\\le ", ord("≥"): "\\ge ", ord("θ"): "\\theta ",
    ord("½"): "\\frac{1}{2}", ord("¼"): "\\frac{1}{4}", ord("¾"): "\\frac{3}{4}", ord("⅓"): "\\frac{1}{3}",
    ord("⅔"): "\\frac{2}{3}",
}  # fmt: skip

_NAMES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom",
    "mbox": "text", "textrm": "text", "textbf": "text", "textit": "text", "mathrm": "text", "textnormal": "text",
    "textsf": "text", "operatorname": "text", "rm": "text", "hbox": "text", "leq": "le", "geq": "ge",
    "leqslant": "le", "geqslant": "ge", "lbrace": "{", "rbrace": "}",
    "infinity": "infty", "emptyset": "varnothing", "neq": "ne", "lVert": "|", "rVert": "|",
}  # fmt: skip
_SYMBOLS = {"cdot": "*", "times": "*", "div": "/", "degree": "^\\circ ", "lvert": "|", "rvert": "|", "vert": "|",
            "lbrack": "[", "rbrack": "]", "langle": "(", "rangle": ")", "lt": "<", "gt": ">",
            "ldots": "...", "dots": "...", "cdots": "..."}  # fmt: skip
_LAYOUT = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits nolimits quad qquad tiny small "
    "large Large boldsymbol mathbf bf boxed fbox mathstrut"
)
_DROPPED = frozenset(_LAYOUT.split())
_COMMAND = re.compile(r"\\\\|\\([A-Za-z]+)\s*|\\([!,;:> ])")
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"))
_THIN_COMMA = re.compile(r"\{,\}|,\s*\\!\s*|(?<=[0-9])\\,(?=[0-9]{3}(?![0-9]))")
"""A comma or a thin space between groups of digits."""

_TIE = re.compile(r"(?<=[0-9A-Za-z)}])~(?=\\)")


def plain(text: str) -> str:
    """`text` in the one spelling that `parse` and `values` read. Linear in its length."""
    text = unwrap(text.translate(_LOOKALIKES))
    if "{" in text or "\\" in text:
        text = _THIN_COMMA.sub(",", text)
        text = _COMMAND.sub(_rename, _TIE.sub(" ", text)).replace("\\%", "%").replace("\\$", "$").replace("\\#", "#")
        text = text.replace("bmatrix", "pmatrix")
    return " ".join(text.split())


def unwrap(text: str) -> str:
    """`text` without the marks around all of it (`$…$`, `**…**`) and without a final full stop."""
    changed = True
    while changed:
        changed = False
        text = text.strip()
        if text.endswith("\\\\"):
            text, changed = text[:-2], True
        if text.endswith((".", ";", ",")) and not text.endswith(("...", "\\;", "\\,")):
            text, changed = text[:-1], True
        for opening, closing in _WRAPPERS:
            inner = text[len(opening) : len(text) - len(closing)]
            whole = text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing)
            bare = inner.replace("\\$", "")  # an amount of dollars, not the end of the formula
            if whole and opening not in bare and closing not in bare:
                text, changed = inner, True
    return text


def _rename(match: re.Match[str]) -> str:
    name, space = match.groups()
    if match[0] == "\\\\":
        return match[0]  # the end of a matrix row, not a backslash and a space
    if space is not None:
        return "" if space == "!" else " "
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    if name in _DROPPED:
        return ""
    name = _NAMES.get(name, name)
    return f"\\{name} " if name.isalpha() else f"\\{name}"


def brackets_match(text: str) -> bool:
    """Do all brackets close? Half-open intervals such as `[0,1)` match."""
    depth = braces = 0
    for char in text:
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "{":
            braces += 1
        elif char == "}":
            braces -= 1
        if depth < 0 or braces < 0:
            return False
    return depth == 0 and braces == 0


def split_top(text: str, separators: str) -> list[str]:
    """`text` cut at every separator character that stands outside all brackets and braces."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char in separators and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
