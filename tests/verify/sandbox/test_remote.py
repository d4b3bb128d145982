"""The wall `remote` against a small server that speaks as SandboxFusion does (POST /run_code) on loopback.

The server is written for this test. It isolates with a wall of ours: each program runs behind `namespaces`, or what
stands here. It shows what our side sends and makes of the answers, not how SandboxFusion itself isolates.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from mull.core.errors import UserError
from mull.core.types import Problem
from mull.verify import verify
from mull.verify.sandbox import walls
from mull.verify.sandbox.base import Call, How, Limits, Wall
from mull.verify.sandbox.escapes import attempt
from mull.verify.sandbox.escapes.base import Outcome
from mull.verify.sandbox.escapes.scene import Scene
from mull.verify.sandbox.escapes.table import ONLY, broken
from mull.verify.sandbox.remote import Remote

PROMISED = sorted(ONLY["remote"][1])


class Fusion(http.server.BaseHTTPRequestHandler):
    """One answer for each program."""

    wall: Wall
    broken = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"status": "SandboxError", "message": "out of order"}
        if self.path == "/run_code" and asked["language"] == "python" and not self.broken:
            limits = Limits(seconds=asked["run_timeout"] / 4, memory_mb=asked["memory_limit_MB"])
            answer = self._answer(asked, limits)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, asked: dict, limits: Limits) -> dict:
        ran = next(self.wall.runs(asked["code"], [asked["stdin"]], limits))
        late = ran.how in (How.CPU, How.IDLE, How.STARVED)
        result = {
            "status": "TimeLimitExceeded" if late else "Finished", "execution_time": ran.cpu,
            "return_code": int(ran.how is not How.DONE), "stdout": ran.out, "stderr": ran.why,
        }  # fmt: skip
        return {"status": "Success" if ran.how is How.DONE else "Failed", "message": "", "run_result": result}

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


@pytest.fixture(scope="module")
def server(sandbox: str) -> Iterator[str]:
    Fusion.wall = walls.put_up(sandbox)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fusion) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()
    Fusion.wall.close()


@pytest.fixture
def remote(server: str) -> Remote:
    return Remote(server)


def test_scripts_are_run_there(remote: Remote) -> None:
    remote.start()
    ran = list(remote.runs("print(input()[::-1])", ["abc", "def"], Limits()))
    assert [(one.how, one.out) for one in ran] == [(How.DONE, "cba\n"), (How.DONE, "fed\n")]
    assert next(remote.runs("1 / 0", [""], Limits())).how is How.RAISED
    assert next(remote.runs("while True: pass", [""], Limits(seconds=1))).how is How.CPU
    assert next(remote.runs("print('x' * 5000000)", [""], Limits())).how in (How.RAISED, How.OUTPUT)


def test_functions_are_called_there(remote: Remote) -> None:
    with remote.calls(
        "def add(a, b):\n    print('noise')\n    return a + b\ndef die():\n    raise SystemExit", Limits()
    ) as ask:
        assert ask(Call("add", [1, 2])).tree == 3
        assert ask(Call("add", [{"l": [1]}, {"l": [2]}])).tree == {"l": [1, 2]}
        assert ask(Call("missing")).raised == "NameError"
        assert ask(Call("die")).how is How.RAISED
    with remote.calls("import os\ndef leave(): os._exit(0)", Limits()) as ask:
        assert ask(Call("leave")).how is How.DIED


def test_verdicts_name_it(server: str) -> None:
    walls.use(f"remote={server}")
    try:
        problem = Problem("p", (), "code-call", {"function": "f", "tests": [{"args": [2], "expected": 4}]})
        verdict = verify(problem, "```python\ndef f(x): return x * x\n```")
        assert verdict.correct and verdict.method == "code-call/remote"
    finally:
        walls.use("auto")


def test_a_server_that_fails_is_our_failure_not_the_programs(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fusion, "broken", True)
    assert next(remote.runs("print(1)", [""], Limits())).how is How.REFUSED
    with pytest.raises(UserError, match="a first program did not run"):
        remote.start()
    assert next(Remote("http://127.0.0.1:9").runs("print(1)", [""], Limits())).how is How.REFUSED


def test_escapes_from_there_do_not_reach_this_machine(server: str) -> None:
    with Scene() as scene:
        wall = walls.put_up(f"remote={server}")
        found = [attempt.attempt(wall, scene, attempt.BY_NAME[name]) for name in PROMISED]
        assert not [one for one in found if broken("remote", one)]
        assert sum(one.outcome is Outcome.STOPPED for one in found) > 10
        unpromised = attempt.attempt(wall, scene, attempt.BY_NAME["kill"])
        assert unpromised.outcome is Outcome.DOES_NOT_APPLY  # a pid of ours is somebody else's there
