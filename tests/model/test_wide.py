"""Float32 products of 16-bit layers: the same values and gradients but for rounding, and no trace afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from mull.model import wide as module
from mull.model.wide import wide_linear, wide_products


@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_exact_products_but_for_one_rounding(bias: bool) -> None:
    torch.manual_seed(0)
    x, weight, offset, dy = (torch.randn(s).bfloat16() for s in ((2, 9, 48), (80, 48), (80,), (2, 9, 80)))
    given = [tensor.clone().requires_grad_() for tensor in (x, weight, *([offset] if bias else []))]
    exact = [tensor.detach().double().requires_grad_() for tensor in given]
    got, want = wide_linear(*given), linear(*exact)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.double(), want, atol=1e-6, rtol=2.0**-8)
    got.backward(dy)
    want.backward(dy.double())
    for ours, theirs in zip(given, exact, strict=True):
        assert ours.grad is not None and theirs.grad is not None and ours.grad.dtype == torch.bfloat16
        torch.testing.assert_close(ours.grad.double(), theirs.grad, atol=1e-5, rtol=2.0**-8)


def test_only_the_pass_inside_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + 1

    monkeypatch.setattr(module, "float32_is_faster", lambda dtype, rows: True)
    model = nn.Sequential(nn.Linear(8, 8), Own(8, 8), nn.Linear(8, 4)).bfloat16()
    model[2].requires_grad_(False)
    x = torch.randn(3, 8).bfloat16()
    with wide_products(model):
        assert ["forward" in vars(layer) for layer in model] == [True, False, True]
        out = model(x)
    assert not any("forward" in vars(layer) for layer in model)
    torch.testing.assert_close(out, model(x), atol=2e-2, rtol=2e-2)
    out.sum().backward()
    assert model[0].weight.grad is not None and model[2].weight.grad is None
    with wide_products(model.float()):
        assert not any("forward" in vars(layer) for layer in model)
