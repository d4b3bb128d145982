"""16-bit linear layers multiplied in float32, where a processor is faster so: forward and backward of training.

    y = (x₃₂ W₃₂ᵀ + b₃₂)₁₆    dx = (dy₃₂ W₃₂)₁₆    dW = (dy₃₂ᵀ x₃₂)₁₆

Inputs, outputs and what autograd keeps stay in the model's type; each product casts one weight and throws the cast
away. Processors without 16-bit matrix units multiply bfloat16 at half the speed of float32. Left out on purpose:
copies that outlive a product (see `engine.linear`, for decoding), and GPUs, which all multiply 16 bits faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mull.model.processor import float32_is_faster, narrow_on_cpu

TRAINING_ROWS = 512
"""At this many rows a product's speed no longer depends on them."""


@contextmanager
def wide_products(model: nn.Module) -> Iterator[None]:
    """Inside, a forward pass multiplies in float32 where that is faster; its backward pass may come later.

    Example: `with wide_products(model): hidden_states(model, …)`
    """
    layers = [layer for layer in model.modules() if _gains(layer)]
    for layer in layers:
        layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _gains(layer: nn.Module) -> bool:
    if type(layer) is not nn.Linear or "forward" in vars(layer):
        return False  # a subclass or a wrapped layer computes something else
    return narrow_on_cpu(layer.weight) and float32_is_faster(layer.weight.dtype, TRAINING_ROWS)


def _forward(layer: nn.Linear, x: Tensor) -> Tensor:
    return wide_linear(x, layer.weight, layer.bias)


def wide_linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """`x Wᵀ + b` for `[…, K]`, summed in float32, in the type of x and differentiable."""
    return _WideLinear.apply(x, weight_NK, bias_N)


class _WideLinear(torch.autograd.Function):
    """Legend: B rows, K inputs, N outputs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_NK: Tensor, bias_N: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight_NK)
        ctx.bias_dtype = None if bias_N is None else bias_N.dtype
        x_BK = x.flatten(0, -2).float()
        y_BN = x_BK @ weight_NK.float().T
        if bias_N is not None:
            y_BN += bias_N
        return y_BN.to(x.dtype).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, weight_NK = ctx.saved_tensors
        dy_BN = gradients[0].flatten(0, -2).float()
        dx = dweight = dbias = None
        if ctx.needs_input_grad[0]:
            dx = (dy_BN @ weight_NK.float()).to(x.dtype).view(x.shape)
        if ctx.needs_input_grad[1]:
            dweight = (dy_BN.T @ x.flatten(0, -2).float()).to(weight_NK.dtype)
        if ctx.needs_input_grad[2]:
            dbias = dy_BN.sum(0).to(ctx.bias_dtype)
        return dx, dweight, dbias
