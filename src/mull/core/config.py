"""Configuration: pydantic models beside what they configure, read from TOML, changed by `--set a.b=c`.

An unknown key is an error that names the nearest known one; a wrong value is one line that names the key. Left out
on purpose: environment variables, inheritance between files, and any value that is not plain TOML.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from mull.core.errors import UserError, nearest


class Config(BaseModel):
    """Base of every configuration: frozen, and no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    incidental: ClassVar[frozenset[str]] = frozenset()
    """Keys that decide no result (how patiently a server is asked, what it may cost): results outlive their change."""


C = TypeVar("C", bound=BaseModel)


def parse_config(kind: type[C], values: Mapping[str, Any], where: str) -> C:
    """`values` as a `kind`; `where` names the table in messages ("stages.zero").

    Raises:
        UserError: an unknown key (naming the nearest), a missing one, or a value of the wrong type or range.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join([where, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            word = str(first["loc"][-1])
            raise UserError(f"{path}: unknown key{nearest(word, _known_keys(kind, first['loc'][:-1]))}") from None
        if first["type"] == "missing":
            raise UserError(f"{path}: this key is required") from None
        message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        given = "" if isinstance(first["input"], dict | list) else f" (got {first['input']!r})"
        raise UserError(f"{path}: {message}{given}") from None


def decisive(values: Mapping[str, Any], config: BaseModel) -> dict[str, Any]:
    """`values`, which are or once were those of `config`, without the keys that decide no result."""
    left_out = config.incidental if isinstance(config, Config) else frozenset()
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = getattr(config, key, None)
        if key not in left_out:
            if isinstance(inner, BaseModel) and isinstance(value, Mapping):
                value = decisive(value, inner)
            found[key] = value
    return found


def _known_keys(kind: type[BaseModel], path: Iterable[Any]) -> list[str]:
    """The keys of the (nested) table of `kind` at `path`."""
    for part in path:
        field = kind.model_fields.get(str(part))
        annotation = field.annotation if field else None
        choices = [c for c in (annotation, *get_args(annotation)) if isinstance(c, type) and issubclass(c, BaseModel)]
        if len(choices) != 1:
            return []
        kind = choices[0]
    return list(kind.model_fields)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        UserError: the file is missing, unreadable or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid TOML ({error})") from None


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of `values` with each `a.b.c=value` set; a value is read as TOML, else taken as a string.

    Raises:
        UserError: an override without `=`, or one that passes through a value that is no table.
    """
    result = _copy(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {override}: write it as STAGE.key=value")
        *parents, last = key.strip().split(".")
        table = result
        for part in parents:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise UserError(f"--set {override}: {part!r} is a value, not a table")
        table[last] = _toml_value(text.strip())
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
