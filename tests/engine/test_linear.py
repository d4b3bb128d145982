"""Decoding's copies of linear layers: equal products, renewed when weights change, gone without a trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from mull.engine import linear as module
from mull.engine.base import Request, Sampling
from mull.engine.linear import FEW, DecodingWeights, Forms, can_pack
from mull.engine.local import LocalEngine


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that multiplies float32 faster than anything else."""
    monkeypatch.setattr(module, "float32_is_faster", lambda dtype, rows: True)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 16-bit matrix units."""
    monkeypatch.setattr(module, "float32_is_faster", lambda dtype, rows: dtype == torch.float32)


def layer_of(dtype: torch.dtype, bias: bool) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(48, 80, bias=bias).to(dtype)


@pytest.mark.parametrize("machine", ["wide", "narrow"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, FEW, FEW + 1, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_differ_in_rounding_only(
    machine: str, bias: bool, rows: int, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(machine)
    layer = layer_of(dtype, bias)
    x = torch.randn(rows, 1, 48).to(dtype)
    exact = linear(x.double(), layer.weight.double(), layer.bias.double() if bias else None)
    with torch.no_grad(), DecodingWeights(layer).used():
        got = layer(x)
    assert got.dtype == dtype and got.shape == exact.shape
    torch.testing.assert_close(got.double(), exact, atol=1e-6 if dtype == torch.float32 else 4e-3, rtol=2.0**-8)
    if dtype == torch.float32:
        torch.testing.assert_close(got.double(), exact, atol=1e-6, rtol=1e-5)


@pytest.mark.usefixtures("wide")
def test_a_head_with_a_float32_copy_is_not_rounded() -> None:
    layer, x = layer_of(torch.bfloat16, bias=True), torch.randn(3, 48).bfloat16()
    weights = DecodingWeights(layer)
    with torch.no_grad(), weights.used():
        got = weights.logits(x, layer.weight, layer.bias)
    exact = linear(x.double(), layer.weight.double(), layer.bias.double())
    torch.testing.assert_close(got.double(), exact, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_changed_weights_are_copied_again_and_others_are_not(dtype: torch.dtype, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "float32_is_faster", lambda dtype, rows: True)
    layers = [layer_of(dtype, False), layer_of(dtype, False)]
    weights, x = DecodingWeights(nn.ModuleList(layers)), torch.randn(30, 48).to(dtype)
    with weights.used():
        pass
    before = [form.wide_KN.clone() for form in weights._forms.values() if form.wide_KN is not None]
    with torch.no_grad():
        layers[0].weight.mul_(2)
        expected = [linear(x, layer.weight) for layer in layers]
        with weights.used():
            for layer, result in zip(layers, expected, strict=True):
                torch.testing.assert_close(layer(x), result, atol=1e-2 if dtype == torch.bfloat16 else 1e-5, rtol=1e-2)
    after = [form.wide_KN for form in weights._forms.values() if form.wide_KN is not None]
    torch.testing.assert_close(after[0], 2 * before[0])
    assert torch.equal(after[1], before[1])


def test_every_change_that_an_optimizer_makes_is_seen() -> None:
    """Fused updates write without raising autograd's count of writes."""
    layer = layer_of(torch.float32, False)
    weights, x = DecodingWeights(layer), torch.randn(2, 48)
    ways: list[dict[str, Any]] = [{"foreach": True}, {"fused": True}, {"foreach": False}]
    for how in ways:
        with torch.no_grad(), weights.used():
            layer(x)
        layer(x).sum().backward()
        torch.optim.AdamW(layer.parameters(), lr=0.1, **how).step()
        with torch.no_grad(), weights.used():
            torch.testing.assert_close(layer(x), linear(x, layer.weight))
    layer.weight.data = torch.randn(80, 48)
    with torch.no_grad(), weights.used():
        torch.testing.assert_close(layer(x), linear(x, layer.weight))
    layer.weight.data[3, 7] += 1e-6
    with weights.used():
        wide_KN = weights._forms[id(layer.weight)].wide_KN
        assert wide_KN is not None and torch.equal(wide_KN, layer.weight.T)


def test_layers_are_as_before_afterwards_and_gradients_pass_by_the_copies() -> None:
    class Own(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + 1

    layer, own = layer_of(torch.float32, True), Own(80, 8)
    model = nn.Sequential(layer, own)
    with DecodingWeights(model).used():
        assert "forward" in vars(layer) and "forward" not in vars(own)
        model(torch.randn(5, 48)).sum().backward()
        assert layer.weight.grad is not None and layer.weight.grad.any()
    assert "forward" not in vars(layer)


@pytest.mark.usefixtures("wide")
def test_copies_end_where_the_memory_does_and_tied_weights_count_once() -> None:
    first, second, tied = (layer_of(torch.float32, False) for _ in range(3))
    tied.weight = first.weight
    size = Forms.bytes(first.weight)
    assert size == 4 * 48 * 80
    with DecodingWeights(nn.Sequential(first, second, tied), limit=size).used():
        assert ["forward" in vars(layer) for layer in (first, second, tied)] == [True, False, True]


def test_a_rested_engine_holds_no_copies_and_samples_the_same(kit: Any) -> None:
    engine, request = LocalEngine(kit.build_llama()), Request("r", (5, 6, 7), Sampling(12))
    before = engine.generate([request])[0][0]
    assert engine.weights._forms
    engine.rest()
    assert not engine.weights._forms
    assert engine.generate([request])[0][0] == before


def test_packing_is_bfloat16_only() -> None:
    assert not can_pack(torch.float32) and not can_pack(torch.float16)


def test_the_engine_samples_from_new_weights(kit: Any) -> None:
    model = kit.build_llama()
    engine, request = LocalEngine(model), Request("r", (5, 6, 7), Sampling(12, temperature=0))
    before = engine.generate([request])[0][0]
    with torch.no_grad():
        model.load_state_dict(kit.randomised(kit.build_llama(), seed=1).state_dict())
    after = engine.generate([request])[0][0]
    fresh = LocalEngine(kit.randomised(kit.build_llama(), seed=1)).generate([request])[0][0]
    assert after.token_ids == fresh.token_ids != before.token_ids
    assert after.logprobs == fresh.logprobs
