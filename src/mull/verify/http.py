"""Verdicts over HTTP, for trainers that are not ours: `mull verify --serve`.

    GET  /health   {"status": "ok"}
    POST /verify   a row, or {"rows": [row, …]}  →  a verdict, or {"verdicts": [verdict, …]} in the same order

    each connection ─ its own thread ─ reads (waits IDLE_SECONDS, in all REQUEST_SECONDS) ─ judge ─ answers
                                                                                            └─ (rarely) pool's workers

Rows are those of `mull verify FILE`. Other sites in the user's browser must not reach it: a POST needs the content type
application/json (which a form cannot send), and every request a Host that names this server (which a rebound name does
not). No code, no file and no path is ever taken by name from a request. Left out on purpose: authentication and TLS;
the address is loopback unless the user says otherwise, and a proxy does those better.
"""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mull.core.errors import UserError
from mull.verify.batch import Reading, as_json, judge, no_constant, read_row

MAX_BODY = 8 * 1024 * 1024
MAX_ROWS = 1024
IDLE_SECONDS = 30.0
REQUEST_SECONDS = 60.0
"""In which a whole request has to arrive: a client that sends a byte now and then must not keep its place for ever."""
MAX_CONNECTIONS = 512
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Timed(io.RawIOBase):
    """What a socket receives, up to a deadline for all of it."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self.restart()

    def restart(self) -> None:
        """A new request: its time begins."""
        self._deadline = time.monotonic() + REQUEST_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long to arrive")
        self._source.settimeout(min(left, IDLE_SECONDS))
        try:
            return self._source.recv_into(buffer)
        finally:
            self._source.settimeout(IDLE_SECONDS)


class VerifyServer(ThreadingHTTPServer):
    """Example: `with VerifyServer("127.0.0.1", 0, Reading()) as server: server.serve_forever()`

    Raises:
        UserError: the address cannot be used.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int, reading: Reading, names: tuple[str, ...] = ()) -> None:
        self.reading = replace(reading, strangers=True)
        self.names = LOOPBACK | {host.lower(), *(name.lower() for name in names)}
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(f"{host}:{port}: cannot listen there ({error}); choose another --host or --port") from None

    @property
    def url(self) -> str:
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.free.acquire()  # beyond the limit a connection waits in the queue of the socket; none is dropped
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours; anything else was answered with 500."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    server: VerifyServer  # type: ignore[assignment]

    def setup(self) -> None:
        super().setup()
        self._timed = _Timed(self.connection)
        self.rfile = io.BufferedReader(self._timed)

    def handle_one_request(self) -> None:
        self._timed.restart()
        super().handle_one_request()

    def do_GET(self) -> None:
        self._respond(self._health)

    def do_POST(self) -> None:
        self._respond(self._verify)

    def _respond(self, act: Any) -> None:
        try:
            self._check_host()
            status, value = 200, act()
        except Refused as error:
            status, value = error.status, {"error": str(error)}
            self.close_connection = True  # what is left of its body is not read
        except UserError as error:
            status, value = 400, {"error": str(error)}
        except Exception as error:  # the border to strangers: a fault of ours is an answer, not a lost request
            status, value = 500, {"error": f"{type(error).__name__}: {error}"[:200]}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _check_host(self) -> None:
        hosts = self.headers.get_all("Host") or []
        name = hosts[0].strip().lower() if len(hosts) == 1 else ""
        if not name.endswith("]"):
            name = name.rpartition(":")[0] or name
        if name.strip("[]") not in self.server.names:
            raise Refused(403, "the Host header does not name this server; start it with --allow-host NAME")

    def _health(self) -> dict[str, Any]:
        if self.path != "/health":
            raise Refused(404, "no such page; there are GET /health and POST /verify")
        return {"status": "ok"}

    def _verify(self) -> dict[str, Any]:
        if self.path != "/verify":
            raise Refused(404, "no such page; there are GET /health and POST /verify")
        kind = (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "the content type must be application/json")
        value = self._body()
        if isinstance(value, dict) and "rows" in value:
            given = value["rows"]
            if not isinstance(given, list) or len(given) > MAX_ROWS:
                raise UserError(f"rows must be a list of at most {MAX_ROWS}")
            rows = [read_row(row, f"row {number}", self.server.reading) for number, row in enumerate(given, 1)]
            return {"verdicts": [as_json(row, judge(row, self.server.reading)) for row in rows]}
        row = read_row(value, "the row", self.server.reading)
        return as_json(row, judge(row, self.server.reading))

    def _body(self) -> Any:
        length = self.headers.get("Content-Length") or ""
        if not length.isascii() or not length.isdigit() or "Transfer-Encoding" in self.headers:
            raise Refused(411, "a Content-Length is needed")
        if len(length) > 12 or int(length) > MAX_BODY:
            raise Refused(413, f"a body of more than {MAX_BODY >> 20} MB")
        try:
            return json.loads(self.rfile.read(int(length)), parse_constant=no_constant)
        except TimeoutError:
            raise Refused(408, f"the request took more than {REQUEST_SECONDS:g} s to arrive") from None
        except (ValueError, RecursionError):
            raise UserError("the body is not valid JSON") from None

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each of a million rewards helps nobody."""
