"""reasoning-gym's nine scorers that execute the answer, run where that does no harm, on answers without code in them.

A sandbox keeps an answer's code from the machine, but not from the scorer beside it: code in the answer could say that
it has full marks. So two walls: only the characters and words of an honest answer are let in (`invalid` else), and the
scorer runs in a sandbox of its own for each answer. `Integral(…)`, which restates the question, is no word of an answer
either. puzzle24's scorer takes any four numbers that make 24 to 24.99, so that our own check comes before it.

Source: the scorers of reasoning-gym 0.1.25. Left out on purpose: powers, factorials and floor division in countdown and
puzzle24, which their questions do not offer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mull.core.types import VerdictKind
from mull.verify import code, countdown, inside
from mull.verify.sandbox import wire
from mull.verify.sandbox.base import How, Limits

KIT = ("reasoning_gym",)
LIMITS = Limits(seconds=4.0, memory_mb=2048)
_LITERALS = re.compile(r"[\w\s,\[\]'\"-]*")
_ARITHMETIC = re.compile(r"(?:[0-9+\-()\s]|\*(?!\*)|/(?!/))*")
_FORMULA = re.compile(r"(?:[A-Za-z0-9+\-*/^(),\s]|\.(?=[0-9]))*")
_WORD = re.compile(r"[A-Za-z]+")
_FUNCTIONS = "pi sin cos tan sec csc cot sinh cosh tanh asin acos atan exp log ln sqrt Abs"
_WORDS = frozenset(["C", "E", *"abcdefghijklmnopqrstuvwxyz", *_FUNCTIONS.split()])
_POWER = re.compile(r"(?:\*\*|\^)\s*\(?\s*-?(?:[0-9]{3}|[\w.]+\s*(?:\*\*|\^))")
"""An exponent of over two digits, or a tower."""
_SHAPES = {
    **dict.fromkeys(("binary_matrix", "n_queens", "spiral_matrix", "string_insertion"), _LITERALS),
    **dict.fromkeys(("countdown", "puzzle24"), _ARITHMETIC),
    **dict.fromkeys(("intermediate_integration", "polynomial_multiplication", "simple_integration"), _FORMULA),
}
NAMES = frozenset(_SHAPES)
_SOURCE = """
from reasoning_gym.factory import create_dataset

def marks(name, text, entry):
    return float(create_dataset(name, size=1, seed=0).score_answer(text, entry))
"""


def refusal(name: str, text: str) -> str:
    """Why `text` is not handed to the scorer, or ""."""
    shape = _SHAPES[name]
    if not shape.fullmatch(text):
        return "characters that no answer to this needs"
    if shape is _FORMULA:
        if _POWER.search(text):
            return "an exponent that no answer to this needs"
        strange = next((word for word in _WORD.findall(text) if word not in _WORDS), "")
        return f"the word {strange[:40]!r}, which no answer to this needs" if strange else ""
    return ""


def score(name: str, entry: Mapping[str, Any], text: str) -> tuple[float, str, VerdictKind]:
    """The scorer's marks (0 where it gives none), why it gave none, and what the verdict is in that case.

    Raises:
        NoWall: no sandbox can be put up here.
    """
    if name == "puzzle24":
        numbers = (entry.get("metadata") or {}).get("numbers")
        found = countdown.check({"numbers": numbers or [], "target": 24}, text)
        if not found.correct:
            return 0.0, found.reason, VerdictKind.WRONG
    try:
        returned = inside.call(_SOURCE, "marks", (name, text, dict(entry)), LIMITS, KIT)
    except wire.Opaque as error:
        return 0.0, f"the problem's data cannot cross into a sandbox ({error})", VerdictKind.ERROR
    if returned.how is How.DONE and isinstance(returned.tree, int | float) and math.isfinite(returned.tree):
        return float(returned.tree), "", VerdictKind.WRONG
    if returned.how.ours:
        kind = VerdictKind.TIMEOUT if returned.how is How.STARVED else VerdictKind.ERROR
        return 0.0, code.line(returned.why or str(returned.how)), kind
    raised = returned.how in (How.RAISED, How.DONE)
    why = returned.raised or returned.why or "no marks" if raised else f"the answer ended the scorer ({returned.how})"
    return 0.0, code.line(why), VerdictKind.WRONG if raised else VerdictKind.INVALID
