"""Linear layers in the form that this machine multiplies fastest when only a few rows are decoded at once.

    y = x Wᵀ + b      W as training keeps it: [N, K];      while decoding on a CPU: a copy of Wᵀ, [K, N], in float32

Every product then reads its weights in the order in which it needs them. A 16-bit model gets copies only where this
machine multiplies float32 faster than its type (processors without 16-bit matrix units); inputs and outputs stay in the
model's type, so that only the order of summation changes. Copies are made anew when weights have changed, never used
for gradients, and end where `limit` bytes are used up; the layers beyond are left as they are. Any `nn.Linear` of any
model family is served, through the instance's `forward`. Left out on purpose: fusing layers, and quantised copies:
a sampler must be the policy that is trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

COPY_BYTES = 2 << 30
"""Copies may take this much memory."""


@cache
def float32_is_faster(dtype: torch.dtype) -> bool:
    """Does this machine multiply float32 faster than `dtype`, casts included? Measured once, at 32 rows."""
    if dtype == torch.float32:
        return True
    if dtype not in (torch.bfloat16, torch.float16):
        return False
    with torch.inference_mode():
        x, weight = torch.ones(32, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
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


class DecodingWeights:
    """Copies of a model's linear layers, and the context in which the layers use them.

    Example: `with DecodingWeights(model).used(): …decode…`
    """

    def __init__(self, model: nn.Module, limit: int = COPY_BYTES) -> None:
        self.model = model
        self.limit = limit
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}
        self._seen: dict[int, tuple[int, int]] = {}

    def forget(self) -> None:
        """Make all copies anew before they are used again."""
        self._seen.clear()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Layers multiply by up-to-date copies; afterwards every layer is as it was."""
        layers = self._layers()
        self._renew(layers)
        for layer in layers:
            weight_KN, bias_N = self._copies[id(layer.weight)][1], layer.bias
            layer.forward = partial(_forward, layer, weight_KN, None if bias_N is None else bias_N.detach().float())
        try:
            yield
        finally:
            for layer in layers:
                del layer.forward

    def logits(self, hidden_BD: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """`x Wᵀ + b` in float32, for a head's weight; by its copy where there is one."""
        found = self._copies.get(id(weight))
        if found is None:
            return linear(hidden_BD, weight, bias).float()
        return _product(hidden_BD.float(), found[1], None if bias is None else bias.float())

    def _layers(self) -> list[nn.Linear]:
        """The layers that get copies, in the model's order, as far as the memory goes."""
        chosen: list[nn.Linear] = []
        counted: set[int] = set()
        left = self.limit
        for layer in self.model.modules():
            if type(layer) is not nn.Linear or "forward" in vars(layer):
                continue  # a subclass or a wrapped layer computes something else
            weight = layer.weight
            if weight.device.type != "cpu" or not float32_is_faster(weight.dtype):
                continue
            cost = 0 if id(weight) in counted else 4 * weight.numel()
            if cost <= left:
                left -= cost
                counted.add(id(weight))
                chosen.append(layer)
        return chosen

    @torch.no_grad()
    def _renew(self, layers: list[nn.Linear]) -> None:
        """Copy what has changed: another storage, or written to since (autograd counts writes in place)."""
        wanted = {id(layer.weight): layer.weight for layer in layers}
        self._copies = {key: pair for key, pair in self._copies.items() if key in wanted and pair[0] is wanted[key]}
        for key, weight in wanted.items():
            state = None if weight.is_inference() else (weight.data_ptr(), weight._version)
            if key in self._copies and state is not None and self._seen.get(key) == state:
                continue
            if key in self._copies:
                self._copies[key][1].copy_(weight.T)
            else:
                self._copies[key] = weight, weight.detach().T.to(torch.float32).contiguous()
            if state is not None:
                self._seen[key] = state


def _forward(layer: nn.Linear, weight_KN: Tensor, bias_N: Tensor | None, x: Tensor) -> Tensor:
    if torch.is_grad_enabled():  # whoever trains between two tokens trains the weights, not a copy
        return linear(x, layer.weight, layer.bias)
    rows_BK = x.flatten(0, -2)
    out_BN = _product(rows_BK if x.dtype == torch.float32 else rows_BK.float(), weight_KN, bias_N)
    return out_BN.view(*x.shape[:-1], -1).to(x.dtype)


def _product(x_BK: Tensor, weight_KN: Tensor, bias_N: Tensor | None) -> Tensor:
    return torch.mm(x_BK, weight_KN) if bias_N is None else torch.addmm(bias_N, x_BK, weight_KN)
