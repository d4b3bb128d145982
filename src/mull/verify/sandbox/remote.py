"""The wall `remote`: a SandboxFusion server runs the programs; what holds there is its operator's to say.

One request for each input or call (POST URL/run_code), so that a function is loaded anew for every call and keeps no
state between them. Calls print their frame as the last line of the output; whoever forges it forges only their own
answer, as everything is compared here. Left out on purpose: `code-check`, whose tests would have to call across.
"""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mull.core.errors import UserError
from mull.verify.sandbox.base import Ask, Call, How, Limits, Ran, Returned
from mull.verify.sandbox.channel import returned

GRACE_SECONDS = 30.0
"""On top of what the program may take: for the network and the server's own queue."""
_CALL = """
import base64, contextlib, json, os, sys, types
for name, text in PARTS.items():
    module = sys.modules[name] = types.ModuleType(name)
    if text:
        exec(compile(base64.b64decode(text), name, "exec"), module.__dict__)
        parent, _, last = name.rpartition(".")
        setattr(sys.modules[parent], last, module)
guest = sys.modules["mull.verify.sandbox.guest"]
job = json.loads(sys.stdin.read())
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    try:
        answer = guest.called(guest.load(job["source"], "__main__"), job["order"])
    except BaseException as error:
        answer = {"loaded": False, "why": guest.said(error)}
print()
print(json.dumps(answer), flush=True)
os._exit(0)
"""


class Remote:
    """Example: `next(Remote("http://127.0.0.1:8080").runs("print(1)", [""], Limits()))`

    Raises:
        UserError: not an address.
    """

    name = "remote"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                f"remote={url}: the address of a SandboxFusion server is needed, as in http://127.0.0.1:8080"
            )
        self.url = url.rstrip("/")
        here = Path(__file__).parent
        parts_needed: dict[str, str] = dict.fromkeys(("mull", "mull.verify", "mull.verify.sandbox"), "")
        for name in ("wire", "guest"):
            parts_needed[f"mull.verify.sandbox.{name}"] = base64.b64encode((here / f"{name}.py").read_bytes()).decode()
        self._caller = f"PARTS = {json.dumps(parts_needed)}\n{_CALL}"

    def runs(self, source: str, inputs: Sequence[str], limits: Limits) -> Generator[Ran, None, None]:
        return (self._run(source, text, limits) for text in inputs)

    @contextlib.contextmanager
    def calls(self, source: str, limits: Limits) -> Iterator[Ask]:
        def ask(call: Call) -> Returned:
            order = {"call": call.function, "args": list(call.args), "kwargs": dict(call.kwargs)}
            job = {"source": source, "order": {**order, "args_back": call.args_back}}
            ran = self._run(self._caller, json.dumps(job), limits)
            if ran.how is not How.DONE:
                return Returned(ran.how, why=ran.why)
            try:
                answer = json.loads(ran.out.strip().splitlines()[-1])
            except (ValueError, IndexError, RecursionError):
                return Returned(How.DIED, why="its process ended before it answered")
            if isinstance(answer, dict) and answer.get("loaded") is False:
                return Returned(How.RAISED, why=f"the program does not load: {str(answer.get('why'))[:300]}")
            return returned(answer if isinstance(answer, dict) else How.OUTPUT)

        yield ask

    def _run(self, source: str, text: str, limits: Limits) -> Ran:
        asked = {
            "code": source, "language": "python", "stdin": text, "compile_timeout": limits.clock,
            "run_timeout": limits.clock, "memory_limit_MB": limits.memory_mb,
        }  # fmt: skip
        try:
            answer = self._post(asked, limits.clock + GRACE_SECONDS, 6 * limits.output_bytes + (1 << 16))
        except (OSError, ValueError) as error:
            return Ran(How.REFUSED, why=f"{self.url}: {error}"[:300])
        if answer.get("status") not in ("Success", "Failed"):
            return Ran(How.REFUSED, why=f"{self.url}: {answer.get('status')}: {answer.get('message')}"[:300])
        result = answer.get("run_result") or {}
        out, complaint = str(result.get("stdout") or ""), str(result.get("stderr") or "")[-300:]
        if result.get("status") == "TimeLimitExceeded":
            return Ran(How.CPU, out, "the server's time limit")
        if len(out) > limits.output_bytes:
            return Ran(How.OUTPUT)
        finished = result.get("status") == "Finished" and result.get("return_code") == 0
        return Ran(How.DONE if finished else How.RAISED, out, complaint, float(result.get("execution_time") or 0.0))

    def _post(self, asked: dict[str, Any], seconds: float, limit: int) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/run_code", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=seconds) as response:
            body = response.read(limit + 1)
        if len(body) > limit:
            raise ValueError("an answer that is too long")
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("an answer that is no object")
        return answer

    def start(self) -> None:
        """Run one program.

        Raises:
            UserError: the server does not answer as SandboxFusion does.
        """
        found = self._run("print(6 * 7)", "", Limits())
        if found.out != "42\n":
            raise UserError(f"{self.url}: a first program did not run ({found.how}: {found.why})")

    def close(self) -> None:
        """Nothing to end on our side."""
