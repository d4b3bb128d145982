"""Few shapes are few and large enough."""

from __future__ import annotations

import pytest
import torch

from mull.model.processor import FEW, few_shapes, float32_is_faster, narrow_on_cpu, return_memory


def test_rows_are_rounded_up_to_few_numbers() -> None:
    rounded = [few_shapes(rows) for rows in range(1, 4097)]
    for rows, more in enumerate(rounded, 1):
        assert rows <= more and few_shapes(more) == more
        assert more < 2 * rows if rows <= FEW else 8 * (more - rows) < rows
    assert len(set(rounded)) == 5 + 8 * 8
    assert rounded == sorted(rounded)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_only_16_bit_types_can_lose_to_float32(dtype: torch.dtype) -> None:
    narrow = dtype.itemsize == 2
    assert narrow_on_cpu(torch.empty(1, dtype=dtype)) == narrow
    assert not narrow_on_cpu(torch.empty(1, dtype=dtype, device="meta"))
    if not narrow:
        assert float32_is_faster(dtype, 8) == (dtype == torch.float32)


def test_freed_memory_goes_back_to_the_system() -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1])

    try:
        resident()
    except OSError:
        pytest.skip("no /proc here")
    many = [bytearray(50_000) for _ in range(2_000)]
    pin, many[-1] = many[-1], bytearray()  # the heap cannot shrink below what lies at its end
    before = resident()
    del many
    return_memory()
    assert resident() < before - 10_000
    assert len(pin) == 50_000
