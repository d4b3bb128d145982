"""Tests of programs, in the shapes in which they are published.

    our own        tests = [{"input": "1 2", "output": "3"}, …], or [{"function": "f", "args": [1], "expected": 3}, …]
    CodeContests   public_tests, private_tests, generated_tests = {"input": […], "output": […]}, all of them together
    LiveCodeBench  public_test_cases, private_test_cases = JSON text, or JSON text packed by pickle, zlib and base64;
                   each {"input", "output", "testtype": "stdin" or "functional"}

Whatever cannot be decoded, and tests of which nothing is left, is an error and never a problem without tests, which
every program would pass. Packed text is read without unpickling: only the one text in it is taken.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mull.core.errors import UserError
from mull.verify.sandbox import wire

KEYS = ("tests", "public_tests", "private_tests", "generated_tests", "public_test_cases", "private_test_cases")
MAX_UNPACKED = 1 << 28
"""Bytes of tests that were packed."""
_ONE_TEXT = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "STOP"})
_TEXTS = frozenset({"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})


@dataclass(frozen=True)
class IoTest:
    """What is typed in, and what must come out. Example: `IoTest("1 2\\n", "3\\n")`"""

    input: str
    output: str


@dataclass(frozen=True)
class CallTest:
    """A call, and the tree of what it must return. Example: `CallTest("add", (1, 2), 3)`"""

    function: str
    args: tuple[Any, ...]
    """Trees."""
    expected: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def has_tests(row: Mapping[str, Any]) -> bool:
    """Does a row hold tests in one of these shapes?"""
    return any(key in row for key in KEYS)


def read_tests(data: Mapping[str, Any], where: str = "the problem") -> list[IoTest] | list[CallTest]:
    """The tests of `data`, all of one kind.

    Raises:
        UserError: there are none, of two kinds, or of no known shape.
    """
    if not has_tests(data):
        raise UserError(
            f"{where}: no tests; give 'tests', a list of objects with input and output, or args and expected"
        )
    tests = [
        _read(item, data, f"{where}: {key} {number}")
        for key in KEYS
        if data.get(key) is not None
        for number, item in enumerate(_items(_decoded(data[key], f"{where}: {key}"), f"{where}: {key}"), 1)
    ]
    if not tests:
        raise UserError(f"{where}: there is not one test, so that every program would pass; add some or drop the row")
    typed = [test for test in tests if isinstance(test, IoTest)]
    called = [test for test in tests if isinstance(test, CallTest)]
    if typed and called:
        raise UserError(f"{where}: tests by standard input and tests by calls in one problem; make two of it")
    if typed and not any(test.output.split() for test in typed):
        raise UserError(f"{where}: no test expects any output, so that an empty program would pass")
    return typed or called


def plain_tests(row: Mapping[str, Any], where: str) -> tuple[list[Any], str]:
    """The tests of a published row as one list of objects, unpacked once, and the function they call ("": none).

    Raises:
        UserError: as `read_tests`.
    """
    tests = read_tests(row, where)
    items = [item for key in KEYS if row.get(key) is not None for item in _items(_decoded(row[key], where), where)]
    return items, next((test.function for test in tests if isinstance(test, CallTest)), "")


def _decoded(value: Any, where: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value if value.lstrip()[:1] in ("[", "{") else _unpacked(value))
    except (ValueError, RecursionError, zlib.error) as error:
        raise UserError(f"{where}: tests that cannot be decoded ({str(error)[:60]}); mend or drop the row") from None


def _unpacked(text: str) -> str:
    """The text inside pickle, zlib and base64. Raises ValueError (or zlib.error) where it is not that."""
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("neither JSON nor base64") from None
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, MAX_UNPACKED)
    if not unpacker.eof:
        raise ValueError(f"cut short, or over {MAX_UNPACKED >> 20} MB")
    if data[:1] in (b"[", b"{"):
        return data.decode()
    operations = [(operation.name, value) for operation, value, _ in pickletools.genops(data)]
    texts = [value for name, value in operations if name in _TEXTS]
    if len(texts) != 1 or any(name not in _ONE_TEXT | _TEXTS for name, _ in operations):
        raise ValueError("a pickle of more than one text, which is not opened")
    return str(texts[0])


def _items(value: Any, where: str) -> Iterator[Any]:
    """One object for each test."""
    if isinstance(value, Mapping):
        inputs, outputs = value.get("input"), value.get("output")
        if not _list(inputs) or not _list(outputs) or len(inputs) != len(outputs):  # type: ignore[arg-type]
            raise UserError(f"{where}: 'input' and 'output' must be two lists of one length")
        for given, wanted in zip(inputs, outputs, strict=True):  # type: ignore[arg-type]
            yield {"input": given, "output": wanted}
    elif _list(value):
        yield from value
    else:
        raise UserError(f"{where}: a list of tests is needed, not {type(value).__name__}")


def _list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _read(item: Any, data: Mapping[str, Any], where: str) -> IoTest | CallTest:
    if not isinstance(item, Mapping):
        raise UserError(f"{where}: a test is an object with input and output, or args and expected, not {item!r:.40}")
    if "args" in item or "expected" in item:
        return _call(item, data, where)
    given, wanted = item.get("input"), item.get("output")
    if not isinstance(given, str) or not isinstance(wanted, str):
        raise UserError(f"{where}: 'input' and 'output' must be text")
    if item.get("testtype") != "functional":
        return IoTest(given, wanted)
    try:
        args = [json.loads(part) for part in given.split("\n") if part.strip()]
        return _call({"args": args, "expected": json.loads(wanted)}, data, where)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{where}: an argument or result that is no JSON ({error})") from None


def _call(item: Mapping[str, Any], data: Mapping[str, Any], where: str) -> CallTest:
    function = item.get("function") or data.get("function") or data.get("entry_point") or _named(data)
    if not isinstance(function, str) or not all(part.isidentifier() for part in function.split(".")):
        raise UserError(f'{where}: which function? Give \'function\', as in "solve" or "Solution.solve"')
    if function.count(".") > 1:
        raise UserError(f"{where}: {function!r}: a function, or a class and its method")
    args, kwargs = item.get("args", ()), item.get("kwargs", {})
    if "expected" not in item:
        raise UserError(f"{where}: no 'expected' result")
    if not _list(args) or not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        raise UserError(f"{where}: 'args' must be a list and 'kwargs' an object")
    try:
        return CallTest(
            function,
            tuple(wire.to_tree(arg) for arg in args),
            wire.to_tree(item["expected"]),
            {key: wire.to_tree(value) for key, value in kwargs.items()},
        )
    except wire.Opaque as error:
        raise UserError(f"{where}: {error}") from None


def _named(data: Mapping[str, Any]) -> str | None:
    """LiveCodeBench's name of the function, in its metadata."""
    metadata = data.get("metadata")
    try:
        found = json.loads(metadata) if isinstance(metadata, str) else metadata
    except ValueError:
        return None
    name = found.get("func_name") if isinstance(found, Mapping) else None
    plain = data.get("starter_code") and "class Solution" not in str(data["starter_code"])
    return name if name is None or plain or "." in name else f"Solution.{name}"
