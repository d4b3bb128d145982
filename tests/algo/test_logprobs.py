"""Chunked logprobs against a full log-softmax: values, gradients, entropy, and how much is held at once."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mull.algo.logprobs import token_logprobs

N, D, V = 23, 6, 11
HEADS = [
    {},
    {"temperature": 0.7},
    {"softcap": 2.0},
    {"scale": 0.25},
    {"temperature": 1.3, "softcap": 1.5, "scale": 3.0},
]


def parts(dtype: torch.dtype = torch.float64, n: int = N, v: int = V):
    g = torch.Generator().manual_seed(3)
    hidden = torch.randn(n, D, generator=g, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(v, D, generator=g, dtype=torch.float64).to(dtype).requires_grad_()
    bias = torch.randn(v, generator=g, dtype=torch.float64).to(dtype).requires_grad_()
    targets = torch.randint(0, v, (n,), generator=g)
    return hidden, weight, bias, targets, torch.randn(n, generator=g, dtype=torch.float64)


def full(hidden, weight, bias, targets, temperature=1.0, softcap=None, scale=1.0):
    z = (hidden @ weight.T + bias) * scale
    if softcap:
        z = softcap * torch.tanh(z / softcap)
    logp = torch.log_softmax(z / temperature, dim=-1)
    return logp.gather(1, targets[:, None])[:, 0], -(logp.exp() * logp).sum(-1)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("chunk", [1, 7, N, None])
def test_any_chunk_equals_the_full_softmax_with_its_gradients(head: dict, chunk: int | None) -> None:
    hidden, weight, bias, targets, upstream = parts()
    expected, entropy = full(hidden, weight, bias, targets, **head)
    wanted = torch.autograd.grad(expected @ upstream, [hidden, weight, bias])
    out = token_logprobs(hidden, weight, targets, bias_V=bias, entropy=True, chunk=chunk, **head)
    torch.testing.assert_close(out.logprobs_N, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(out.entropy_N, entropy, rtol=1e-11, atol=1e-11)
    for got, want in zip(torch.autograd.grad(out.logprobs_N @ upstream, [hidden, weight, bias]), wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_gradient_by_finite_differences(head: dict) -> None:
    hidden, weight, bias, targets, _ = parts(n=4)

    def function(h, w, b):
        return token_logprobs(h, w, targets, bias_V=b, chunk=3, **head).logprobs_N

    assert torch.autograd.gradcheck(function, (hidden, weight, bias))


def test_the_entropy_carries_no_gradient_and_is_left_out_unless_asked() -> None:
    hidden, weight, _, targets, _ = parts()
    assert token_logprobs(hidden, weight, targets).entropy_N is None
    entropy = token_logprobs(hidden, weight, targets, entropy=True).entropy_N
    assert entropy is not None and not entropy.requires_grad


def test_a_16_bit_head_still_normalises_in_fp32() -> None:
    hidden, weight, _, targets, _ = parts(torch.bfloat16)
    out = token_logprobs(hidden, weight, targets).logprobs_N
    expected, _ = full(hidden.double(), weight.double(), 0.0, targets)
    assert out.dtype is torch.float32
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)
    out.sum().backward()
    assert weight.grad is not None and weight.grad.dtype is torch.bfloat16


def test_huge_logits_do_not_overflow() -> None:
    hidden, weight, _, targets, _ = parts(torch.float32)
    out = token_logprobs(hidden * 1e4, weight, targets, entropy=True)
    assert torch.isfinite(out.logprobs_N).all() and torch.isfinite(out.entropy_N).all()  # type: ignore[arg-type]


def test_nothing_of_the_size_of_all_logits_is_ever_made() -> None:
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (tuple, list)) else [out]:
                if isinstance(tensor, torch.Tensor):
                    self.numel = max(self.numel, tensor.numel())
            return out

    hidden, weight, _, targets, _ = parts(torch.float32, n=600, v=900)
    with Largest() as seen:
        token_logprobs(hidden, weight, targets, entropy=True, chunk=10).logprobs_N.sum().backward()
    assert seen.numel == max(10 * 900, 900 * D)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_training_has_no_greedy_temperature(temperature: float) -> None:
    hidden, weight, _, targets, _ = parts()
    with pytest.raises(ValueError, match="temperature"):
        token_logprobs(hidden, weight, targets, temperature=temperature)
