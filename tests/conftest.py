"""What many tests need: one thread, a random Llama so small that it costs nothing, a wall around programs, a server."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import settings
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mull.core.errors import UserError
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.verify.sandbox import walls

torch.set_num_threads(1)
settings.register_profile("mull", deadline=None)  # a busy machine is no failure
settings.load_profile("mull")
WORDS = ("<pad>", "<bos>", "<eos>", *"0123456789", "+", "-", "=")


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Words: three control tokens, ten digits, `+`, `-` and `=`."""
    return word_tokenizer(WORDS, "<pad>", "<bos>", "<eos>")


@pytest.fixture
def tiny_model(tiny_tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Two layers of random weights that attend through mull; a fresh one for every test."""
    shape = TinyConfig(hidden=16, layers=2, heads=2, kv_heads=1, feed_forward=32)
    return small_model(shape, tiny_tokenizer, seed=0).eval()


@pytest.fixture(scope="session")
def sandbox() -> str:
    """The name of the wall that programs run behind here; without one the test is skipped, and says why."""
    try:
        return walls.current().name
    except UserError as error:
        pytest.skip(str(error))


class OpenAI(ThreadingHTTPServer):
    """A real HTTP server on 127.0.0.1 that speaks the OpenAI chat format, with scripted answers: the edge that tests of
    remote models isolate. It refuses what is no request of that format.

    `script(body, number)` gives a completion, or (status, body, headers), "cut" (half an answer) or "hang" (none until
    the server closes). `seen` are the requests' bodies in their order, `keys` their Authorization headers, `peak` the
    most that were in flight.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: Callable[[dict[str, Any], int], Any] = lambda body, number: self.say("42")
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.peak = self.flying = 0
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    @staticmethod
    def say(reply: Any, finish: Any = "stop", usage: Any = (20, 30, 10), **fields: Any) -> dict[str, Any]:
        """A completion; `usage` is prompt, completion and reasoning tokens."""
        message = {"role": "assistant", "content": reply, **fields}
        counts = usage and {
            "prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": usage[0] + usage[1],
            "completion_tokens_details": {"reasoning_tokens": usage[2]},
        }  # fmt: skip
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": counts}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed or gave up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: OpenAI
    numbers: ClassVar[dict[str, Any]] = {
        "max_tokens": int, "temperature": (int, float), "top_p": (int, float), "seed": int,
    }  # fmt: skip

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            number = len(server.seen)
            server.seen.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.flying += 1
            server.peak = max(server.peak, server.flying)
        try:
            fault = self._fault(body)
            what = (400, {"error": {"message": fault}}, {}) if fault else server.script(body, number)
        finally:  # before the answer goes out: its reader may be quicker than this thread
            with server.lock:
                server.flying -= 1
        self._send(what)

    def _fault(self, body: dict[str, Any]) -> str:
        if self.path != "/v1/chat/completions" or self.headers["Content-Type"] != "application/json":
            return "the wrong path or type"
        for key, value in body.items():
            if key in self.numbers and not isinstance(value, self.numbers[key]):
                return f"{key} is no number"
            if key not in (*self.numbers, "model", "messages", "reasoning_effort", "top_k"):
                return f"unknown key {key}"
        if not isinstance(body.get("model"), str) or not body.get("messages"):
            return "no model or messages"
        return "" if all({*m} == {"role", "content"} for m in body["messages"]) else "a message with other keys"

    def _send(self, what: Any) -> None:
        if what == "hang":
            self.server.closing.wait(20)
            return
        status, value, headers = what if isinstance(what, tuple) else (200, what, {})
        whole = OpenAI.say("4") if value == "cut" else value
        data = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if value == "cut" else data)
        self.close_connection = value == "cut"

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def openai() -> Iterator[OpenAI]:
    """A running server, see `OpenAI`."""
    with OpenAI() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


# A shell that starts the tests in the background has Ctrl-C ignored, and children inherit that: tests that press it
# would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
