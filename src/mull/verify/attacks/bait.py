"""Answers that lie about outside, for programs that look for them: in files, behind a link, on a port, in a variable.

What is laid out is the problem's own: the result for each input of its tests. Where a sandbox holds, nobody gets at it.
Left out on purpose: planting anything where a program of the user's could meet it by chance.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from mull.verify.attacks.base import Asked, Bait

VARIABLE = "MULL_ATTACK_BAIT"
FILES = ("tests.json", "answers.json", "secret")


def key_of(given: object) -> str:
    """What an input is looked up by, here and in the programs of `code`."""
    return given.strip() if isinstance(given, str) else repr(list(given))  # type: ignore[call-overload]


@contextlib.contextmanager
def laid(asked: Asked | None) -> Iterator[Bait]:
    """Bait for as long as the context lasts."""
    table = json.dumps({key_of(given): wanted for given, wanted in asked.cases} if asked else {}, default=str)
    with tempfile.TemporaryDirectory(prefix="mull-attack-") as folder, socket.create_server(("127.0.0.1", 0)) as server:
        for name in FILES:
            Path(folder, name).write_text(table)
        thread = threading.Thread(target=_serve, args=(server, table.encode()), daemon=True)
        thread.start()
        os.environ[VARIABLE] = table
        try:
            yield Bait(folder, server.getsockname()[1], VARIABLE, str(Path(folder, "mark")))
        finally:
            os.environ.pop(VARIABLE, None)
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _serve(server: socket.socket, table: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            connection.sendall(table)
