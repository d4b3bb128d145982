"""What Muon may touch, its update against torch's, clipping over both optimizers, and schedules."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mull.core.errors import StageFailed
from mull.train.muon import Muon
from mull.train.optim import OptimConfig, Optimizer, split_parameters
from mull.train.schedule import ScheduleConfig, rate


@pytest.mark.parametrize("tied", [True, False])
def test_muon_gets_the_matrices_of_the_body_and_nothing_else(llama, tied: bool) -> None:
    model = llama(tied=tied)
    matrices, others = split_parameters(model)
    assert set(others) == {n for n, p in model.named_parameters() if "embed" in n or "norm" in n or "lm_head" in n}
    assert all(name.endswith("proj.weight") for name in matrices) and len(matrices) == 14
    optimizer = Optimizer(model, OptimConfig(name="muon"))
    [muon, adamw] = optimizer.optimizers
    held = {id(p) for group in muon.param_groups for p in group["params"]}
    assert isinstance(muon, Muon) and id(model.get_input_embeddings().weight) not in held
    assert id(model.get_output_embeddings().weight) not in held
    assert sum(len(g["params"]) for o in (muon, adamw) for g in o.param_groups) == len(list(model.parameters()))


@pytest.mark.parametrize(("ours", "torchs"), [("original", "original"), ("adamw", "match_rms_adamw")])
def test_muon_is_torchs_up_to_its_16_bits(ours: str, torchs: str) -> None:
    generator = torch.Generator().manual_seed(0)
    mine = [torch.randn(shape, generator=generator) for shape in ((5, 9), (9, 5), (8, 8))]
    its = [matrix.clone() for matrix in mine]
    a = Muon(mine, lr=0.1, weight_decay=0.1, momentum=0.9, steps=5, scale=ours)
    b = torch.optim.Muon(its, lr=0.1, weight_decay=0.1, momentum=0.9, ns_steps=5, adjust_lr_fn=torchs)
    for _ in range(4):
        for x, y in zip(mine, its, strict=True):
            x.grad = torch.randn(x.shape, generator=generator)
            y.grad = x.grad.clone()
        a.step()
        b.step()
    for x, y in zip(mine, its, strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0.02)
    with pytest.raises(ValueError, match="matrices"):
        Muon([torch.zeros(3)], lr=0.1, weight_decay=0.0, momentum=0.9, steps=5)


def test_vectors_are_never_decayed(llama) -> None:
    model = llama()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Optimizer(model, OptimConfig(lr=0.1, weight_decay=0.5)).step(1.0)
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim == 2 else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name])


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_clipping_is_by_one_norm_over_everything(llama, name: str) -> None:
    model = llama()
    optimizer = Optimizer(model, OptimConfig(name=name, grad_clip=0.5))  # type: ignore[arg-type]
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    expected = 2.0 * sum(p.numel() for p in model.parameters()) ** 0.5
    assert optimizer.step(1.0) == pytest.approx(expected, rel=1e-6)
    clipped = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None) ** 0.5
    assert clipped == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_changes_nothing(llama, bad: float) -> None:
    model = llama()
    optimizer = Optimizer(model, OptimConfig(name="muon"))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    next(model.parameters()).grad[0, 0] = bad  # type: ignore[index]
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(StageFailed, match="gradient"):
        optimizer.step(1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_the_rate_scales_both_learning_rates(llama) -> None:
    model = llama()
    optimizer = Optimizer(model, OptimConfig(name="muon", lr=0.2, muon_lr=0.4))
    for share in (0.5, 0.25):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step(share)
        assert [g["lr"] for o in optimizer.optimizers for g in o.param_groups] == [
            0.4 * share,
            0.2 * share,
            0.2 * share,
        ]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_bfloat16_weights_follow_a_float32_copy(llama, name: str) -> None:
    """Without the copy a step of 1e-5 on a weight of .3 is lost in rounding; with it the sum of many arrives."""
    config = OptimConfig(name=name, lr=1e-5, muon_lr=1e-5, grad_clip=0.0)  # type: ignore[arg-type]
    half, full = llama(torch.bfloat16), llama(torch.bfloat16).float()
    optimizers = [Optimizer(half, config), Optimizer(full, config)]
    before = [p.detach().clone() for p in half.parameters()]
    generator = torch.Generator().manual_seed(0)
    for step in range(60):
        if step == 30:  # a resume in the middle loses nothing
            state, optimizers[0] = optimizers[0].state_dict(), Optimizer(half, config)
            optimizers[0].load_state_dict(state)
        for a, b in zip(half.parameters(), full.parameters(), strict=True):
            a.grad = (1 + 0.1 * torch.randn(a.shape, generator=generator)).bfloat16()
            b.grad = a.grad.float()
        for optimizer in optimizers:
            optimizer.step(1.0)
    for a, b, old in zip(half.parameters(), full.parameters(), before, strict=True):
        assert torch.equal(a, b.bfloat16())
        assert a.ndim < 2 or not torch.equal(a, old)


def test_a_checkpoint_of_another_optimizer_is_refused(llama) -> None:
    state = Optimizer(llama(), OptimConfig(name="muon")).state_dict()
    with pytest.raises(ValueError, match="'muon'"):
        Optimizer(llama(), OptimConfig()).load_state_dict(state)


@given(
    st.integers(1, 60),
    st.integers(0, 80),
    st.sampled_from(["constant", "linear", "cosine"]),
    st.sampled_from([0.0, 0.03, 1.0]),
)
def test_a_schedule_rises_then_falls_to_its_end(total: int, warmup: int, decay, final: float) -> None:
    config = ScheduleConfig(warmup=warmup, decay=decay, final=final)
    rates = [rate(step, total, config) for step in range(total)]
    assert all(0 < value <= 1 for value in rates)
    peak = min(warmup, total)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    if decay != "constant":
        assert rate(max(total, warmup + 1), total, config) == pytest.approx(final)


def test_schedule_values() -> None:
    linear = ScheduleConfig(warmup=2, decay="linear")
    assert [rate(step, 6, linear) for step in range(6)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    cosine = ScheduleConfig(decay="cosine", final=0.1)
    assert [rate(s, 4, cosine) for s in (0, 2, 4)] == pytest.approx([1.0, 0.55, 0.1])
