"""Rows in, verdicts out: batches, files that are resumed, HTTP, and what training makes of each verdict."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify import http as http_module
from mull.verify.batch import Reading, check_reading, judge_all, read_row
from mull.verify.files import verify_file
from mull.verify.http import MAX_BODY, MAX_ROWS, VerifyServer
from mull.verify.policy import TRAINING, Use, count, use

HOSTILE = {"gold": "\\sum_{k=1}^{n} k^k", "prediction": "\\prod_{k=1}^{99999} (k^k+1)"}
GOOD = {"id": "a", "gold": "42", "prediction": "42.0"}


def numbered(n: int) -> list[dict[str, Any]]:
    """Every third is wrong."""
    return [{"id": i, "gold": i, "response": f"<think>{i}</think>\\boxed{{{i + (i % 3 == 0)}}}"} for i in range(n)]


def test_order_is_kept_and_reading_goes_on_while_judging() -> None:
    rows = numbered(500)
    rows[7] = {"id": 7, **HOSTILE}
    read: list[int] = []

    def source() -> Iterator[Any]:
        for row in rows:
            read.append(row["id"])
            yield read_row(row, "row", Reading())

    found = judge_all(source(), Reading(), threads=2)
    first = next(found)
    assert first[0].id == 0 and len(read) < 500
    verdicts = [first, *found]
    assert [row.id for row, _ in verdicts] == list(range(500))
    assert [row.id for row, verdict in verdicts if verdict.correct] == [i for i in range(500) if i % 3 and i != 7]
    assert verdicts[7][1].kind is VerdictKind.TIMEOUT


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1], "an object"),
        ({"gold": "1", "prediction": "1"}, "no field 'id'"),
        ({"id": 1, "prediction": "1"}, "no field 'gold'"),
        ({"id": 1, "gold": "1"}, "exactly one of prediction, response and program"),
        ({"id": 1, "gold": "1", "prediction": "1", "response": "1"}, "exactly one"),
        ({"id": 1, "gold": "", "prediction": "1"}, "no answer"),
        ({"id": 1, "gold": "\\frac{1}{2", "prediction": "1"}, "cannot be read"),
        ({"id": 1, "gold": "1", "prediction": None}, "must be text"),
        ({"id": [], "gold": "1", "prediction": "1"}, "the id"),
        ({"id": 1, "gold": "1", "prediction": "1", "verifier": "maths"}, "did you mean 'math'"),
        ({"id": 1, "gold": "1", "prediction": "1", "verifier": 7}, "must be text"),
    ],
)
def test_a_bad_row_is_one_clear_line(row: Any, message: str) -> None:
    with pytest.raises(UserError, match="line 7") as error:
        read_row(row, "rows.jsonl: line 7", Reading())
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_reading_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(UserError, match="boxd"):
        check_reading(Reading(conventions=("boxd",)))
    with pytest.raises(UserError, match="open"):
        check_reading(Reading(thought="open"))  # type: ignore[arg-type]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in json.loads(line).items() if k != "ms"} for line in path.read_text().splitlines()]


def test_a_file_cut_off_anywhere_is_taken_up_again(tmp_path: Path) -> None:
    file, out = write(tmp_path / "rows.jsonl", numbered(60)), tmp_path / "out.jsonl"
    tally = verify_file(file, out, print, Reading())
    assert (tally.rows, tally.resumed, tally.kinds["correct"], tally.kinds["wrong"]) == (60, 0, 40, 20)
    whole = out.read_bytes()
    expected = lines(out)
    assert [row["id"] for row in expected] == list(range(60))
    for cut in (0, 5, 200, len(whole) // 2, len(whole) - 1, len(whole)):
        out.write_bytes(whole[:cut])
        tally = verify_file(file, out, print, Reading())
        assert (tally.rows, tally.resumed) == (60, whole[:cut].count(b"\n"))
        assert tally.kinds["correct"] == 40 and lines(out) == expected


def test_a_bad_row_leaves_what_was_judged_before_it(tmp_path: Path) -> None:
    rows: list[Any] = numbered(40)
    rows[30] = '{"id": 30, '
    file, out = write(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    with pytest.raises(UserError, match="line 31: not valid JSON"):
        verify_file(file, out, print, Reading())
    assert len(lines(out)) == 30
    write(file, numbered(40))
    assert verify_file(file, out, print, Reading()).resumed == 30
    assert len(lines(out)) == 40


def test_an_output_on_other_rows_is_not_touched(tmp_path: Path) -> None:
    file, out = write(tmp_path / "rows.jsonl", numbered(4)), tmp_path / "out.jsonl"
    verify_file(file, out, print, Reading())
    before = out.read_bytes()
    with pytest.raises(UserError, match="choose another"):
        verify_file(write(tmp_path / "other.jsonl", [GOOD] * 4), out, print, Reading())
    with pytest.raises(UserError, match="fewer"):
        verify_file(write(tmp_path / "short.jsonl", numbered(2)), out, print, Reading())
    with pytest.raises(UserError, match="is no verdict"):
        verify_file(file, write(tmp_path / "text.jsonl", ["hello"]), print, Reading())
    with pytest.raises(UserError, match="is the input"):
        verify_file(file, file, print, Reading())
    assert out.read_bytes() == before


@pytest.fixture(scope="module")
def server() -> Iterator[VerifyServer]:
    with VerifyServer("127.0.0.1", 0, Reading(), ("grader.example",)) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def ask(
    server: VerifyServer, body: Any, path: str = "/verify", method: str = "POST", **headers: str
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    try:
        connection.request(method, path, data, sent)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_one_row_and_many_over_http(server: VerifyServer) -> None:
    status, found = ask(server, GOOD)
    assert (status, found["id"], found["verdict"], set(found)) == (
        200, "a", "correct", {"id", "verdict", "reason", "method", "ms"},
    )  # fmt: skip
    status, found = ask(server, {"rows": numbered(9)})
    assert [row["id"] for row in found["verdicts"]] == list(range(9))
    assert ask(server, None, "/health", "GET")[1] == {"status": "ok"}
    assert ask(server, GOOD, Content_Type="application/json; charset=utf-8")[0] == 200
    for host in ("localhost", "localhost:99", "LOCALHOST", "[::1]:8", "grader.example"):
        assert ask(server, GOOD, Host=host)[0] == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (GOOD, {"Content_Type": "text/plain"}, 415),
        (GOOD, {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        (GOOD, {"Content_Type": ""}, 415),
        (GOOD, {"Host": "evil.example"}, 403),
        (GOOD, {"Host": "localhost.evil.example"}, 403),
        (GOOD, {"Host": ""}, 403),
        (GOOD, {"path": "/other"}, 404),
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        ([GOOD], {}, 400),
        ({**GOOD, "gold": ""}, {}, 400),
        ({**GOOD, "verifier": "os.system"}, {}, 400),
        ({"rows": [GOOD] * (MAX_ROWS + 1)}, {}, 400),
        ({"rows": 7}, {}, 400),
        (GOOD, {"Content_Length": str(MAX_BODY + 1)}, 413),
        (GOOD, {"Content_Length": "-1"}, 411),
    ],
)
def test_what_is_refused(server: VerifyServer, body: Any, headers: dict[str, str], status: int) -> None:
    found, answer = ask(server, body, **headers)
    assert found == status
    assert "\n" not in answer["error"]
    assert ask(server, GOOD)[0] == 200


def test_an_address_in_use_is_a_mistake_of_the_user(server: VerifyServer) -> None:
    with pytest.raises(UserError, match="cannot listen"):
        VerifyServer("127.0.0.1", server.server_address[1], Reading())


def hammer(server: VerifyServer, clients: int, seconds: float) -> tuple[int, list[Any]]:
    """Requests answered, and what went wrong; one client in eight sends hostile rows."""
    lost: list[Any] = []
    answered = [0] * clients
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
        turn = 0
        while time.monotonic() < end:
            turn += 1
            row = {"id": f"{number}-{turn}", "gold": turn, "prediction": str(turn)}
            if number % 8 == 0:
                row |= {"gold": HOSTILE["gold"], "prediction": HOSTILE["prediction"].replace("1)", f"{number}+{turn})")}
            connection.request("POST", "/verify", json.dumps(row), {"Content-Type": "application/json"})
            found = json.loads(connection.getresponse().read())
            wanted = "timeout" if number % 8 == 0 else "correct"
            if found.get("id") != row["id"] or found.get("verdict") != wanted:
                lost.append((row, found))
            answered[number] += 1
        connection.close()

    with ThreadPoolExecutor(clients) as threads:
        for future in [threads.submit(client, number) for number in range(clients)]:
            future.result()
    assert min(answered) >= 1
    return sum(answered), lost


def test_many_clients_with_hostile_ones_among_them(server: VerifyServer) -> None:
    answered, lost = hammer(server, 16, 2.0)
    assert not lost
    assert answered > 100


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_sixty_four_clients_for_a_minute_lose_nothing(server: VerifyServer) -> None:
    answered, lost = hammer(server, 64, 60.0)
    assert not lost
    assert answered > 5_000


def test_only_right_answers_earn_and_only_our_failures_are_left_out() -> None:
    assert set(TRAINING) == set(VerdictKind)
    assert [kind for kind in VerdictKind if TRAINING[kind] is Use.REWARD] == [VerdictKind.CORRECT]
    assert {kind for kind in VerdictKind if TRAINING[kind] is Use.EXCLUDE} == {VerdictKind.TIMEOUT, VerdictKind.ERROR}
    assert use(Verdict(VerdictKind.TIMEOUT), exclude=False) is Use.NOTHING
    counted = count(["correct", "correct", "error"])
    assert counted["correct"] == 2 and counted["error"] == 1 and counted["wrong"] == 0
    assert list(counted) == [str(kind) for kind in VerdictKind]


@pytest.mark.parametrize("content", [b"my notes", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"id": 1}\n', b'{"a"'])
def test_what_is_no_verdict_is_neither_cut_nor_written_to(tmp_path: Path, content: bytes) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    path.write_text(json.dumps(GOOD))
    out.write_bytes(content)
    with pytest.raises(UserError, match="line 1 is no verdict"):
        verify_file(path, out, print, Reading())
    assert out.read_bytes() == content


def test_two_do_not_write_to_one_output(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    path.write_text("\n".join(map(json.dumps, numbered(40))))

    def second(done: int) -> None:
        with pytest.raises(UserError, match="another process"):
            verify_file(path, out, print, Reading())

    assert verify_file(path, out, print, Reading(), progress=second).rows == 40
    assert verify_file(path, out, print, Reading()).resumed == 40


def test_a_full_disk_behind_stdout_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(GOOD))

    def write(line: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        verify_file(path, None, write, Reading())


def test_a_number_that_is_none_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": 1, "gold": NaN, "prediction": "nan"}')
    with pytest.raises(UserError, match="NaN is no JSON"):
        verify_file(path, None, print, Reading())


def test_choices_that_are_no_list_are_named() -> None:
    row = {"id": 1, "gold": {"answer": "B", "choices": 2}, "prediction": "B", "verifier": "choice"}
    with pytest.raises(UserError, match="row 1: 'choices' must be the list"):
        read_row(row, "row 1", Reading())


def test_a_request_that_never_ends_does_not_keep_its_place(
    server: VerifyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "REQUEST_SECONDS", 0.5)
    with socket.create_connection(server.server_address[:2]) as slow:  # type: ignore[arg-type]
        slow.settimeout(30)
        slow.sendall(b"POST /verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        slow.sendall(b"Content-Length: 500\r\n\r\n{")
        closed = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not closed.wait(0.05):
                    slow.sendall(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := slow.recv(4096):
                answer += piece
        closed.set()
        dripping.join()
    assert b"408" in answer.partition(b"\r\n")[0]
