"""Rows of a file: JSON lines, a JSON array or Parquet, plain or gzipped.

Left out on purpose: what the rows mean (`dataset`, `conversations`), streaming and column types.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mull.core.errors import UserError

SUFFIXES = (".jsonl", ".json", ".parquet", ".jsonl.gz", ".json.gz")

Row = Mapping[str, Any]


def read_table(path: Path) -> list[Row]:
    """The rows of a file; what they are is not checked (see `check_row`).

    Raises:
        UserError: the file is missing, of an unknown kind, or cannot be read.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return list(_rows(path))
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def check_row(row: Any, where: str) -> None:
    """Is it an object, of text that can be written again?

    Half of a surrogate pair is valid in JSON, and fails when it is encoded or written in the middle of a run.

    Raises:
        UserError: it is not; `where` names the row.
    """
    if not isinstance(row, Mapping):
        raise UserError(f"{where}: an object with fields is needed, not {type(row).__name__}")
    if any("\ud800" <= char <= "\udfff" for char in json.dumps(row, ensure_ascii=False, default=str)):
        raise UserError(f"{where}: half of a surrogate pair (such as \\ud800), which is no character; mend the row")


def _rows(path: Path) -> Iterator[Row]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        yield from _parquet(path)
        return
    if not name.endswith((".jsonl", ".json")):
        raise UserError(f"{path}: unknown kind of file; use {', '.join(SUFFIXES)}")
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        text = file.read()
    yield from _json_array(path, text) if text.lstrip().startswith("[") else _json_lines(path, text)


def _parquet(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None


def _json_array(path: Path, text: str) -> list[Row]:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON (line {error.lineno}: {error.msg})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None


def _json_lines(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: row {number} is not valid JSON ({error.msg})") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: row {number} cannot be read as JSON ({error})") from None
