"""What is asked of a model hub: whether it answers, and one model's configuration.

Every question has a time limit, because a machine without a network must say so at once instead of retrying. Imports
neither torch nor transformers. Left out on purpose: uploads, revisions and tokens (the hub's own client reads those
from its environment).
"""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

from mull.core.errors import UserError

SECONDS = 5.0
"""How long the hub has to answer."""


def is_offline() -> bool:
    """Whether the environment forbids asking the hub (`HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`)."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on") for name in names)


def is_reachable() -> bool:
    """Whether the hub (`HF_ENDPOINT`) answers within `SECONDS`, be it with an error."""
    if is_offline():
        return False
    address = os.environ.get("HF_ENDPOINT", "") or "https://huggingface.co"
    answered: list[bool] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=SECONDS).close()
            answered.append(True)
        except urllib.error.HTTPError as error:
            error.close()
            answered.append(True)
        except (OSError, ValueError):
            pass

    # In a thread, since looking a name up knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS + 1)
    return bool(answered)


def hub_config(name: str, reachable: bool) -> dict[str, Any]:
    """The `config.json` of a hub model; from the hub's local cache alone if the hub is not reachable.

    Raises:
        UserError: there is no such model, or it cannot be had.
    """
    try:
        path = hf_hub_download(name, "config.json", local_files_only=not reachable, etag_timeout=SECONDS)
    except Exception as error:  # the client's own errors share no base class
        why = "the hub does not have it" if reachable else "the hub cannot be reached"
        raise UserError(
            f"{name}: no such model directory, and {why}: "
            "give one that exists, or use smollm2 after `mull fetch smollm2`"
        ) from error
    return json.loads(Path(path).read_text(encoding="utf-8"))
