"""What CPUs differ in, and what their kernels cost beside time.

16-bit products go through oneDNN, which makes a kernel for every number of rows it meets and never lets go of it: a
layer's three products cost about 0.5 MB for each. Hence `few_shapes`. Standard allocators keep what was freed: hence
`return_memory`. Left out on purpose: anything about GPUs.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

FEW = 16
"""Up to this many rows a product waits for its weights; measured with weights that no cache holds."""


@cache
def float32_is_faster(dtype: torch.dtype, rows: int) -> bool:
    """Does this machine multiply so many rows faster in float32 than in `dtype`, casts included? Measured once."""
    if dtype == torch.float32:
        return True
    if dtype not in (torch.bfloat16, torch.float16):
        return False
    with torch.inference_mode():
        x, weight = torch.ones(rows, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
        copy = weight.float()
        # Twice as fast or half as fast is what processors differ by; a tie is not worth the memory.
        return _best(lambda: (x.float() @ copy).to(dtype)) < 0.8 * _best(lambda: linear(x, weight))


def _best(run: Callable[[], Any], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def narrow_on_cpu(tensor: Tensor) -> bool:
    """Do products with this tensor make a kernel for every number of rows?"""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.bfloat16, torch.float16)


def few_shapes(rows: int) -> int:
    """`rows` rounded up, so that few different numbers are left: a power of two up to `FEW`, then 8 an octave.

    Example: `few_shapes(5) == 8`, `few_shapes(450) == 480`
    """
    bits = (rows - 1).bit_length()
    step = 1 << (bits if rows <= FEW else bits - 4)
    return -(-rows // step) * step


def return_memory() -> None:
    """Give freed memory back to the system, where the C library can (glibc): a few milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
