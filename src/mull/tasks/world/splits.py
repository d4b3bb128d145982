"""Which family belongs to which split: whole number multisets, fixed by a hash and by nothing else.

A family is the multiset of a problem's numbers. All its orders, targets and languages lie in one split, so that a test
problem's numbers were never seen together, neither in the base corpus nor in training.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations_with_replacement

from mull.tasks.base import SPLITS, unit_hash
from mull.tasks.world.words import MODULUS

__all__ = ["SPLITS", "family_name", "operand_split", "triple_split"]

HELD_OUT = 40


def family_name(numbers: Iterable[int]) -> str:
    """The family of a list of numbers. Example: `family_name([8, 3, 5]) == "3-5-8"`"""
    return "-".join(str(n) for n in sorted(numbers))


def triple_split() -> dict[str, str]:
    """Family → split for the 220 multisets of three numbers from 1 to 10: 40 test, 40 dev, 140 train."""
    triples = combinations_with_replacement(range(1, MODULUS), 3)
    ordered = sorted((family_name(t) for t in triples), key=lambda name: unit_hash(f"countdown_mod {name}"))
    held = dict.fromkeys(ordered[:HELD_OUT], "test") | dict.fromkeys(ordered[HELD_OUT : 2 * HELD_OUT], "dev")
    return {name: held.get(name, "train") for name in ordered}


def operand_split(numbers: Iterable[int]) -> str:
    """The split of a chain's operand multiset: 15% test, 15% dev, the rest train."""
    at = unit_hash(f"chain_mod {family_name(numbers)}")
    return "test" if at < 0.15 else "dev" if at < 0.30 else "train"
