"""What crosses the border of a sandbox: length-framed JSON, with Python's values tagged so that they stay theirs.

Both sides use this file; the inner one belongs to whoever wrote the program, so nothing that comes out is trusted: a
frame is JSON within a limit of bytes, a value is a tree of the tags below, and whoever compares compares trees
(`verify.code.same`), since building a set or a dict from hostile members can take hours (colliding hashes). Left out
on purpose: pickle, classes, and references to live objects; a value that is none of these is `Opaque`.

    null, true, "text", 12, 1.5   themselves (integers up to 2^53)      {"i": "ff"}    a larger integer, hexadecimal
    {"f": "nan"}                  nan, inf, -inf                        {"c": [re, im]} complex
    {"l": […]} {"t": […]}         list, tuple                           {"b": "00ff"}  bytes
    {"s": […]} {"z": […]}         set, frozenset                        {"d": [[k, v], …]} dict
    {"q": […]} {"n": […]}         deque, an iterator's members          {"r": [a, b, c]} range
    {"x": "Fraction", "v": "1/3"} Fraction or Decimal
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_DEPTH = 64
MAX_NODES = 200_000
_SMALL = 1 << 53
_HEAD = struct.Struct("!I")
_ITERATORS = frozenset(
    type(i).__name__
    for i in (
        iter([]),
        iter(()),
        iter({}),
        map(str, ()),
        zip(),
        filter(None, ()),
        reversed([]),
        enumerate(()),
        iter(""),
    )
) | {
    "generator",
    "chain",
    "dict_keys",
    "dict_values",
    "dict_items",
    "islice",
    "permutations",
    "combinations",
    "product",
}


class Opaque(TypeError):
    """A value that has no form outside: an object, a function, too much of something."""


class Broken(ValueError):
    """Something that is no frame, or no tree, came through."""


def to_tree(value: Any) -> Any:
    """`value` as a tree. Values of subclasses become their base class's: what `__eq__` they bring stays behind.

    Raises:
        Opaque: it holds something that cannot cross, or is too deep or too large.
    """
    left = [MAX_NODES]
    return _to_tree(value, left, 0)


def _to_tree(value: Any, left: list[int], depth: int) -> Any:
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise Opaque("too large or too deep to cross")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int.__index__(value)
        return number if -_SMALL <= number <= _SMALL else {"i": format(number, "x")}
    if isinstance(value, float):
        real = float.__float__(value)
        return real if math.isfinite(real) else {"f": repr(real)}
    if isinstance(value, complex):
        return {"c": [_to_tree(value.real, left, depth), _to_tree(value.imag, left, depth)]}
    if isinstance(value, bytes | bytearray):
        return {"b": bytes(value).hex()}
    if isinstance(value, Fraction | Decimal):
        return {"x": "Fraction" if isinstance(value, Fraction) else "Decimal", "v": str(value)}
    return _container(value, left, depth + 1)


def _container(value: Any, left: list[int], depth: int) -> Any:
    def members(items: Iterable[Any]) -> list[Any]:
        return [_to_tree(item, left, depth) for item in items]

    if isinstance(value, list):
        return {"l": members(list.__iter__(value))}
    if isinstance(value, tuple):
        return {"t": members(tuple.__iter__(value))}
    if isinstance(value, dict):
        return {"d": [members(pair) for pair in dict.items(value)]}
    if isinstance(value, set):
        return {"s": members(set.__iter__(value))}
    if isinstance(value, frozenset):
        return {"z": members(frozenset.__iter__(value))}
    if isinstance(value, deque):
        return {"q": members(deque.__iter__(value))}
    if isinstance(value, range):
        return {"r": members((value.start, value.stop, value.step))}
    if type(value).__name__ in _ITERATORS:
        return {"n": members(value)}
    if type(value).__module__ in ("numpy", "array") and hasattr(value, "tolist"):
        return _to_tree(value.tolist(), left, depth)
    raise Opaque(f"a value of type {type(value).__name__} cannot cross")


def from_tree(tree: Any) -> Any:
    """The value of a tree. Only for the inside of a sandbox: it hashes what it is given.

    Raises:
        Broken: not a tree.
    """
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if not isinstance(tree, dict) or not tree:
        raise Broken("not a value")
    tag = next(iter(tree))
    read = _READERS.get(tag)
    if read is None:
        raise Broken(f"unknown tag {tag!r:.20}")
    try:
        return read(tree)
    except (TypeError, ValueError, ArithmeticError, KeyError, RecursionError) as error:
        raise Broken(f"not a value ({type(error).__name__})") from None


def _many(tree: Any) -> Iterator[Any]:
    return (from_tree(item) for item in next(iter(tree.values())))


_READERS: dict[str, Callable[[Any], Any]] = {
    "i": lambda tree: int(tree["i"], 16),
    "f": lambda tree: float(tree["f"]),
    "c": lambda tree: complex(*_many(tree)),
    "b": lambda tree: bytes.fromhex(tree["b"]),
    "l": lambda tree: list(_many(tree)),
    "t": lambda tree: tuple(_many(tree)),
    "s": lambda tree: set(_many(tree)),
    "z": lambda tree: frozenset(_many(tree)),
    "q": lambda tree: deque(_many(tree)),
    "n": lambda tree: iter(list(_many(tree))),
    "r": lambda tree: range(*_many(tree)),
    "d": lambda tree: {from_tree(key): from_tree(value) for key, value in tree["d"]},
    "x": lambda tree: {"Fraction": Fraction, "Decimal": Decimal}[tree["x"]](tree["v"]),
}


def send(to: socket.socket, message: Any) -> None:
    """One JSON value, its length before it."""
    data = json.dumps(message).encode()
    to.sendall(_HEAD.pack(len(data)) + data)


def receive(source: socket.socket, limit: int) -> Any:
    """The next JSON value, or None when the other end is closed.

    Raises:
        Broken: more than `limit` bytes, or not JSON.
    """
    head = exactly(source, _HEAD.size)
    if head is None:
        return None
    (size,) = _HEAD.unpack(head)
    if size > limit:
        raise Broken(f"a frame of {size} bytes (limit {limit})")
    body = exactly(source, size)
    if body is None:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Broken("a frame that is not JSON") from None


def exactly(source: socket.socket, size: int) -> bytes | None:
    """`size` bytes, or None when the other end is closed before."""
    data = bytearray()
    while len(data) < size:
        piece = source.recv(min(size - len(data), 1 << 16))
        if not piece:
            return None
        data += piece
    return bytes(data)
