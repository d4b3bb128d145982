"""A file of rows to a file of verdicts: streaming, in order, taken up again where it was left.

The output is appended to as verdicts come, one JSON object a line. On resuming, whole lines are counted and their ids
compared with the input's; a torn last line is cut off. Left out on purpose: atomic replacement, as half a file of
verdicts is of use, and is what resuming needs.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mull.core.errors import UserError
from mull.verify.batch import Reading, Row, as_json, judge_all, no_constant, read_row
from mull.verify.policy import count

MAX_LINE = 16 * 1024 * 1024
"""Characters of one row."""

_BEGIN = '{"id": '
"""What the line of a verdict begins with."""


@dataclass
class Tally:
    """What came out. Example: `Tally(rows=95, resumed=40, kinds=["correct", …])`"""

    rows: int = 0
    resumed: int = 0
    kinds: dict[str, int] = field(default_factory=lambda: count(()))

    def as_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "resumed": self.resumed, "verdicts": self.kinds}


def verify_file(
    path: Path,
    out: Path | None,
    write: Callable[[str], None],
    reading: Reading,
    threads: int = 4,
    progress: Callable[[int], None] = lambda done: None,
) -> Tally:
    """Judge every row of `path`; verdicts go to `out`, or line by line to `write`.

    Raises:
        UserError: a file cannot be read or written, a row is not what it should be (everything before it is judged and
            written), or `out` holds verdicts on other rows.
    """
    tally = Tally()
    if out is None:
        try:
            _stream(path, [], write, reading, threads, tally, progress)
        except BrokenPipeError:
            raise  # whoever reads has enough
        except OSError as error:
            raise UserError(f"the verdicts cannot be written ({error.strerror}); use --out FILE") from None
        return tally
    if out.exists() and path.exists() and os.path.samefile(out, path):
        raise UserError(f"{out}: is the input; choose another place with --out")
    try:
        with _opened(out) as file:
            done = _done(file, out, tally)
            _stream(path, done, lambda line: _append(file, line), reading, threads, tally, progress)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); choose another place with --out") from None
    return tally


def _opened(out: Path) -> IO[str]:
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.open("a+", encoding="utf-8", newline="\n")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UserError(f"{out}: another process is writing to it; wait for it, or choose another --out") from None
    except OSError:
        pass  # a file system without locks
    return file


def _append(file: IO[str], line: str) -> None:
    file.write(line + "\n")
    file.flush()


def _done(file: IO[str], out: Path, tally: Tally) -> list[Any]:
    """The ids of the verdicts that are there; what a killed process left of a last line is cut off.

    Nothing else is: a file that holds anything but verdicts is somebody's work.
    """
    ids: list[Any] = []
    file.seek(0)
    whole = 0
    try:
        while line := file.readline(MAX_LINE):
            if not line.endswith("\n"):
                if line[: len(_BEGIN)] != _BEGIN[: len(line)] or len(line) >= MAX_LINE:
                    raise ValueError("not the beginning of a verdict")
                break
            row = json.loads(line)
            tally.kinds[row["verdict"]] += 1
            ids.append(row["id"])
            whole = file.tell()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{out}: line {len(ids) + 1} is no verdict; choose another place with --out") from None
    file.seek(whole)
    file.truncate()
    tally.rows = tally.resumed = len(ids)
    return ids


def _stream(
    path: Path,
    done: list[Any],
    write: Callable[[str], None],
    reading: Reading,
    threads: int,
    tally: Tally,
    progress: Callable[[int], None],
) -> None:
    mistakes: list[UserError] = []
    rows = _until_mistake(_rows(path, done, reading), mistakes)
    for row, verdict in judge_all(rows, reading, threads):
        write(json.dumps(as_json(row, verdict), ensure_ascii=True))
        tally.rows += 1
        tally.kinds[str(verdict.kind)] += 1
        progress(tally.rows)
    if mistakes:
        raise mistakes[0]


def _until_mistake(rows: Iterator[Row], mistakes: list[UserError]) -> Iterator[Row]:
    """Rows up to the first that is wrong: those before it are judged and written before it is said."""
    try:
        yield from rows
    except UserError as error:
        mistakes.append(error)


def rows_of(path: Path, reading: Reading) -> Iterator[Row]:
    """The rows of a file, one after another.

    Raises:
        UserError: it cannot be read, or a row is not what it should be.
    """
    return _rows(path, [], reading)


def _rows(path: Path, done: list[Any], reading: Reading) -> Iterator[Row]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line_number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), 1):
                if not line.strip():
                    continue
                where = f"{path}: line {line_number}"
                if len(line) >= MAX_LINE:
                    raise UserError(f"{where}: a row of more than {MAX_LINE >> 20} MB")
                row = read_row(_json(line, where), where, reading)
                number += 1
                if number > len(done):
                    yield row
                elif done[number - 1] != row.id:
                    raise UserError(
                        f"{where}: its id is {row.id!r}, but the verdict already written in its place is on "
                        f"{done[number - 1]!r}; remove the output or choose another with --out"
                    )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if number < len(done):
        raise UserError(f"{path}: has {number} rows, fewer than there are verdicts already; choose another --out")


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: cannot be read as JSON ({error})") from None
