"""Prompts whose replies nothing verifies: the verifier "open", for what reward models judge.

Every reply is `ambiguous`, which is no evidence and pays nothing. Left out on purpose: any opinion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mull.core.types import Verdict, VerdictKind


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """Says that nothing can be said."""
    return Verdict(VerdictKind.AMBIGUOUS, "nothing verifies replies to this prompt", None, "open")


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """No data are needed."""
