"""Bounds that a text must keep before anything parses it.

An answer is written by a model, and a trained model finds whatever makes a checker slow: nested braces, towers of
powers, a megabyte of digits. Every check here is one pass over the text and costs far less than what it prevents.
Left out on purpose: timeouts. With these bounds no parser of this package can take long, so no clock has a say in a
verdict, and the same text gets the same verdict on a slow machine.
"""

from __future__ import annotations

MAX_TEXT = 20_000
"""Characters of an answer part in which a final answer is looked for."""
MAX_ANSWER = 1_000
"""Characters of a final answer."""
MAX_DIGITS = 120
"""Digits in one run."""
MAX_ALL_DIGITS = 600
"""Digits in a whole final answer."""
MAX_NESTING = 24
"""Open brackets of any kind at one place."""
MAX_EXPONENT = 64
"""Largest exponent that is multiplied out."""
MAX_SUM_EXPONENT = 12
"""The same for a sum, `(x + 1)^n`."""
MAX_WORK = 20_000
"""Products of two terms while one formula is read."""
MAX_NAME = 500
"""Characters in the canonical text of a part that is kept as it is, such as `sin(…)`."""
MAX_BITS = 4_096
"""Largest numerator or denominator, in bits."""
MAX_TERMS = 64
"""Terms of a polynomial."""
MAX_ELEMENTS = 64
"""Elements of a list, set or matrix."""

_OPEN, _CLOSE = "([{", ")]}"


def excess(text: str) -> str:
    """Why `text` is out of bounds as a final answer, or "" when it is within them."""
    if len(text) > MAX_ANSWER:
        return f"the answer has {len(text)} characters (limit {MAX_ANSWER})"
    run = digits = depth = 0
    for char in text:
        if char.isdigit():
            run += 1
            digits += 1
            if run > MAX_DIGITS or digits > MAX_ALL_DIGITS:
                return f"the answer has over {MAX_DIGITS} digits in a row or {MAX_ALL_DIGITS} in all"
            continue
        run = 0
        if char in _OPEN:
            depth += 1
            if depth > MAX_NESTING:
                return f"brackets nested deeper than {MAX_NESTING}"
        elif char in _CLOSE and depth:
            depth -= 1
    return ""
