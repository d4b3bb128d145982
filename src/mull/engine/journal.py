"""Everything that was asked of a server and what it said, in one file that only grows: what was paid is never lost.

    sent ─┬─► answered   an answer, on disk before anything else happens
          ├─► lost       nobody knows whether the server billed it: time ran out, the connection was cut, we were killed
          └─► refused    the server said no (try later, wrong key, not this), or was never reached

One JSON object a line. `answered` lines are synced to the disk; a line torn by a kill is cut off when the file is
opened again, and an attempt that was sent and has no line after it counts as lost. Answers are read where they lie:
only their places are kept in memory. Left out on purpose: more than one writer (the run's lock sees to it).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mull.engine.purse import Most, Purse, Usage


class Journal:
    """Example: `journal = Journal(path, Purse()); journal.sent(key, most); journal.answered(key, record, usage, most)`

    `purse` is told what the file says was spent, and from then on of every attempt.
    """

    def __init__(self, path: Path, purse: Purse) -> None:
        self.purse = purse
        self.attempts = 0
        self.whys: dict[str, str] = {}
        """Why a request's last attempt gave no answer."""
        self._places: dict[str, int] = {}
        self._asked: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        self._file.truncate(self._read())
        self._file.seek(0, os.SEEK_END)

    def __contains__(self, key: str) -> bool:
        """Whether the request was answered."""
        return key in self._places

    def __getitem__(self, key: str) -> dict[str, Any]:
        """The record of an answered request."""
        self._file.seek(self._places[key])
        return json.loads(self._file.readline())["record"]

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each request."""
        return self.attempts - len(self._asked)

    def sent(self, key: str, most: Most) -> None:
        """An attempt sets out."""
        self.attempts += 1
        self._asked.add(key)
        self.purse.hold(most)
        self._write({"sent": key, "most": asdict(most)})

    def answered(self, key: str, record: Mapping[str, Any], usage: Usage, most: Most) -> None:
        """Keep an answer; it is on disk when this returns."""
        self.purse.release(most)
        self.purse.paid(usage, most)
        line = {"answered": key, "most": asdict(most), "usage": asdict(usage), "record": dict(record)}
        self._places[key] = self._write(line)
        os.fsync(self._file.fileno())

    def lost(self, key: str, why: str, most: Most) -> None:
        """An attempt that may have been billed gave no answer."""
        self.purse.release(most)
        self.purse.lost(most)
        self.whys[key] = why
        self._write({"lost": key, "most": asdict(most), "why": why})

    def refused(self, key: str, why: str, most: Most) -> None:
        """An attempt that costs nothing gave no answer."""
        self.purse.release(most)
        self.whys[key] = why
        self._write({"refused": key, "why": why})

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, line: Mapping[str, Any]) -> int:
        """Append a line; returns where it begins."""
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        self._file.flush()
        return place

    def _read(self) -> int:
        """Learn what the file holds; returns the length of its whole lines."""
        open_: Counter[str] = Counter()
        mosts: dict[str, Most] = {}
        place = 0
        self._file.seek(0)
        for text in self._file:
            if not text.endswith(b"\n"):
                break
            line = json.loads(text)
            what = next(kind for kind in ("sent", "answered", "lost", "refused") if kind in line)
            key = line[what]
            open_[key] += 1 if what == "sent" else -1
            if "why" in line:
                self.whys[key] = line["why"]
            if what == "sent":
                self.attempts += 1
                self._asked.add(key)
                mosts[key] = Most(**line["most"])
            elif what == "answered":
                self._places[key] = place
                self.purse.paid(Usage(**line["usage"]), Most(**line["most"]))
            elif what == "lost":
                self.purse.lost(Most(**line["most"]))
            place += len(text)
        for key, count in open_.items():
            for _ in range(count):
                self.purse.lost(mosts[key])
        return place
