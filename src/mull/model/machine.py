"""What this machine has for models: torch, its version, its devices and threads."""

from __future__ import annotations

from typing import Any

import torch


def facts() -> dict[str, Any]:
    """Example: `{"torch": "2.13.0+cpu", "devices": ["cpu"], "threads": 2, "cuda": None}`"""
    devices = ["cpu"]
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(number)
            devices.append(f"cuda:{number} {gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return {
        "torch": torch.__version__, "cuda": torch.version.cuda, "devices": devices, "threads": torch.get_num_threads(),
    }  # fmt: skip
