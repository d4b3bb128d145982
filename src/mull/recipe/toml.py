"""Writes plain values as TOML: strings, numbers, booleans, lists and tables. The standard library only reads it.

Left out on purpose: dates, comments, and null (leave such keys out).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def to_toml(values: Mapping[str, Any]) -> str:
    """The TOML text of a tree of tables; `tomllib.loads` gives the same values back.

    Raises:
        ValueError: a value that TOML does not know.
    """
    return "\n".join(_table(values, ())).strip() + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"{_key(key)} = {_value(value)}" for key, value in values.items() if not isinstance(value, Mapping)]
    inner = [(key, value) for key, value in values.items() if isinstance(value, Mapping)]
    if path and (lines or not inner):
        lines = ["", f"[{'.'.join(_key(part) for part in path)}]", *lines]
    for key, value in inner:
        lines += _table(value, (*path, key))
    return lines


def _key(key: str) -> str:
    plain = key.replace("-", "").replace("_", "")
    return key if plain.isascii() and plain.isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items() if v is not None)}}}"
    raise ValueError(f"{value!r} has no TOML form")
