"""Is this the value that was expected? Comparison of `wire`'s trees, without building the values.

What a program returns is its own word, and hashing it could take hours (members of a set whose hashes collide), as
could a decimal of a billion digits. So trees are compared as they came: members of sets and keys of dicts by a
canonical text, numbers by worth, nothing by a method of the value. A tree out of bounds, or that is none, equals none.

Equal is what Python calls equal (`True == 1 == 1.0`), except that
- lists, tuples and iterators (a generator, `map`, `dict.keys()`) are one kind;
- keys of dicts are compared as text, as JSON has no others;
- two floats are equal within 1e-9 of the expected one; with a `tolerance`, all numbers within it, relative or absolute;
- NaN equals the NaN that was expected.

Left out on purpose: deques, ranges and classes that Python would call equal to something else.
"""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from typing import Any

from mull.verify.sandbox.wire import MAX_DEPTH, MAX_NODES

RELATIVE = 1e-9
_SEQUENCES, _SETS = ("l", "t", "n"), ("s", "z")
_HEX = re.compile(r"-?[0-9a-f]+")
_FRACTION = re.compile(r"-?[0-9]{1,100}(?:/[1-9][0-9]{0,99})?")
_DECIMAL = re.compile(r"-?[0-9]{1,100}(?:\.[0-9]{1,100})?(?:[eE][-+]?[0-9]{1,2})?")
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
Number = int | float | Fraction


class Unfit(ValueError):
    """Not a tree, or out of bounds."""


def same(expected: Any, found: Any, tolerance: float | None = None) -> bool:
    """Is the tree `found` what the tree `expected` stands for? Linear in their sizes, up to the sorting of sets."""
    try:
        return _Comparison(tolerance).same(expected, found, 0)
    except Unfit:
        return False


def fits(tree: Any) -> bool:
    """Is it small and flat enough to be handed on? Each container of a value is at most three of JSON's."""
    level, nodes = [tree], 0
    for _ in range(3 * MAX_DEPTH + 3):
        nodes += len(level)
        if not level or nodes > 4 * MAX_NODES:
            break
        level = [
            item
            for part in level
            if isinstance(part, list | dict)
            for item in (part if isinstance(part, list) else part.values())
        ]
    return not level


class _Comparison:
    def __init__(self, tolerance: float | None) -> None:
        self.tolerance = tolerance
        self.left = 2 * MAX_NODES

    def enter(self, depth: int) -> None:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH + 1:
            raise Unfit("too large or too deep")

    def same(self, expected: Any, found: Any, depth: int) -> bool:
        self.enter(depth)
        wanted = _number(expected)
        if wanted is not None:
            number = _number(found)
            return number is not None and self.numbers(wanted, number)
        if expected is None or isinstance(expected, str) or found is None or isinstance(found, str):
            return type(expected) is type(found) and expected == found
        (tag, members), (its, others) = _parts(expected), _parts(found)
        if tag in _SEQUENCES and its in _SEQUENCES:
            one, other = _list(members), _list(others)
            return len(one) == len(other) and all(map(self.same, one, other, [depth + 1] * len(one)))
        if tag in _SETS and its in _SETS:
            return self.texts(members, depth) == self.texts(others, depth)
        if tag != its:
            return False
        if tag == "d":
            return self.dicts(_pairs(members), _pairs(others), depth)
        if tag in ("q", "r", "c"):
            return self.same({"l": members}, {"l": others}, depth + 1)
        return tag in ("b", "x") and isinstance(others, str) and members == others

    def numbers(self, wanted: Number, number: Number) -> bool:
        if wanted == number:
            return True
        try:
            one, other = float(wanted), float(number)
        except OverflowError:
            return False
        if math.isnan(one):
            return math.isnan(other)
        if self.tolerance is not None:
            return math.isclose(one, other, rel_tol=0, abs_tol=self.tolerance * max(1.0, abs(one)))
        floats = isinstance(wanted, float) and isinstance(number, float)
        return floats and math.isfinite(one) and abs(one - other) <= RELATIVE * abs(one)

    def dicts(self, expected: list[tuple[Any, Any]], found: list[tuple[Any, Any]], depth: int) -> bool:
        wanted = {self.key(key, depth): value for key, value in expected}
        values = {self.key(key, depth): value for key, value in found}
        if not len(wanted) == len(expected) == len(found) == len(values) or wanted.keys() != values.keys():
            return False  # also where 1 and "1" are keys of one dict, which as text are the same
        return all(self.same(value, values[key], depth + 1) for key, value in wanted.items())

    def key(self, tree: Any, depth: int) -> str:
        """As `json.dumps` writes a key."""
        self.enter(depth)
        if isinstance(tree, str):
            return tree
        if tree is None or isinstance(tree, bool | int | float):
            return json.dumps(tree)
        return self.text(tree, depth + 1)

    def texts(self, members: Any, depth: int) -> list[str]:
        return sorted(self.text(member, depth + 1) for member in _list(members))

    def text(self, tree: Any, depth: int) -> str:
        """The same for values that Python calls equal, another for others."""
        self.enter(depth)
        number = _number(tree)
        if number is not None:
            whole = isinstance(number, int) or (math.isfinite(number) and number == int(number))
            return f"#{int(number):x}" if whole else f"#{float(number).hex()}"
        if tree is None:
            return "None"
        if isinstance(tree, str):
            return f"'{len(tree)}:{tree}"
        tag, members = _parts(tree)
        if tag == "d":
            parts = [f"{self.key(key, depth)}:{self.text(value, depth + 1)}" for key, value in _pairs(members)]
            return f"d({','.join(sorted(parts))})"
        if tag in _SETS:
            return f"s({','.join(self.texts(members, depth))})"
        if isinstance(members, list):
            return f"{tag}({','.join(self.text(member, depth + 1) for member in members)})"
        if not isinstance(members, str):
            raise Unfit("not a tree")
        return f"{tag}{len(members)}:{members}"


def _parts(tree: Any) -> tuple[str, Any]:
    if not isinstance(tree, dict) or not tree:
        raise Unfit("not a tree")
    tag = next(iter(tree))
    if tag == "x":
        if not isinstance(tree["x"], str) or not isinstance(tree.get("v"), str):
            raise Unfit("not a tree")
        return tag, f"{tree['x']} {tree['v']}"
    return tag, tree[tag]


def _list(members: Any) -> list[Any]:
    if not isinstance(members, list):
        raise Unfit("not a tree")
    return members


def _pairs(members: Any) -> list[tuple[Any, Any]]:
    pairs = _list(members)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise Unfit("not a tree")
    return [(pair[0], pair[1]) for pair in pairs]


def _number(tree: Any) -> Number | None:
    """The number that a tree stands for, of a size that can be worked with; None for all else."""
    if isinstance(tree, int | float):
        return int(tree) if isinstance(tree, bool) else tree
    if not isinstance(tree, dict) or not tree:
        return None
    tag = next(iter(tree))
    text = tree.get("v") if tag == "x" else tree[tag]
    if not isinstance(text, str):
        return None
    if tag == "i" and _HEX.fullmatch(text):
        return int(text, 16)
    if tag == "f":
        return _FLOATS.get(text)
    exact = tag == "x" and (
        (tree["x"] == "Fraction" and _FRACTION.fullmatch(text)) or (tree["x"] == "Decimal" and _DECIMAL.fullmatch(text))
    )
    return Fraction(text) if exact else None


def shown(tree: Any, most: int = 60) -> str:
    """A tree as Python would write it, cut short; for reasons that people read."""
    text = _shown(tree, [24])
    return text if len(text) <= most else text[: most - 1] + "…"


def _shown(tree: Any, left: list[int]) -> str:
    left[0] -= 1
    if left[0] < 0:
        return "…"
    if tree is None or isinstance(tree, str | bool | int | float):
        return repr(tree[:80] if isinstance(tree, str) else tree)
    if not isinstance(tree, dict) or not tree:
        return "no value"
    tag = next(iter(tree))
    members = tree[tag]
    if isinstance(members, str):
        value = tree.get("v")
        return (
            f"an integer of {4 * len(members)} bits"
            if tag == "i"
            else (value if isinstance(value, str) else members)[:80]
        )
    if not isinstance(members, list):
        return "no value"
    if tag == "d":
        pairs = [pair for pair in members[:24] if isinstance(pair, list) and len(pair) == 2]
        return "{" + ", ".join(f"{_shown(key, left)}: {_shown(value, left)}" for key, value in pairs) + "}"
    inside = ", ".join(_shown(member, left) for member in members[:24])
    return {"l": f"[{inside}]", "t": f"({inside})", "s": f"{{{inside}}}"}.get(tag, f"<{inside}>")
