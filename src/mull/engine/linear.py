"""Linear layers in the form that this machine multiplies fastest when only a few rows are decoded at once.

    y = x Wᵀ + b      W as training keeps it: [N, K]; while decoding on a CPU two more forms of it:
    wide              Wᵀ, [K, N], in float32: read in the order in which a product needs it
    packed            bfloat16 in oneDNN's own order: half the bytes, for few rows, which only wait for memory

A float32 model uses `wide`. A 16-bit model uses `packed` for up to `FEW` rows, and `wide` beyond where this machine
multiplies float32 faster than its type (processors without 16-bit matrix units); inputs and outputs stay in the
model's type, so that only the order of summation changes. Copies are made anew when weights have changed, never used
for gradients, and end where `limit` bytes are used up; the layers beyond are left as they are. Any `nn.Linear` of any
model family is served, through the instance's `forward`. Left out on purpose: fusing layers, and quantised copies:
a sampler must be the policy that is trained. Legend: B rows, K inputs, N outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from mull.model.processor import FEW, few_shapes, float32_is_faster

COPY_BYTES = 2 << 30
"""Copies may take this much memory."""
DECODING_ROWS = 32
"""Where it is measured which type is faster."""


def can_pack(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies this type in an order of its own here. The operators are those of torch's compiler."""
    mkldnn = torch.ops.mkldnn
    return (
        dtype == torch.bfloat16
        and torch.backends.mkldnn.is_available()  # type: ignore[attr-defined]
        and hasattr(mkldnn, "_linear_pointwise")
        and mkldnn._is_mkldnn_bf16_supported()
    )


class Forms:
    """The copies of one weight. Example: `Forms(layer.weight).product(x, layer.bias)`"""

    def __init__(self, weight: Tensor, rooms: dict[int, Tensor] | None = None) -> None:
        self.weight = weight
        self._rooms = {} if rooms is None else rooms
        self.wide_KN: Tensor | None = None
        self.packed: Tensor | None = None
        self._state: tuple[int, ...] | None = None

    @staticmethod
    def bytes(weight: Tensor) -> int:
        """What the copies of a weight will take; 0 where there would be none."""
        if weight.device.type != "cpu":
            return 0
        wide = 4 if float32_is_faster(weight.dtype, DECODING_ROWS) else 0
        return weight.numel() * (wide + (2 if can_pack(weight.dtype) else 0))

    @torch.no_grad()
    def renew(self, always: bool) -> None:
        """Copy the weight if it is not what it was at the last call."""
        weight = self.weight.detach()
        state = _fingerprint(weight)
        if not always and state is not None and state == self._state:
            return
        self._state = state
        if float32_is_faster(weight.dtype, DECODING_ROWS):
            if self.wide_KN is None:
                self.wide_KN = torch.empty(weight.shape[::-1], dtype=torch.float32)
            self.wide_KN.copy_(weight.T)
        if can_pack(weight.dtype):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, FEW)

    def product(self, x: Tensor, bias_N: Tensor | None) -> Tensor:
        """`x Wᵀ + b` for `[…, K]`, in the type of x."""
        rows = x.numel() // x.shape[-1]
        if self.packed is not None and (self.wide_KN is None or rows <= FEW):
            x_BK = self._padded(x.flatten(0, -2), few_shapes(rows))
            y_BN = torch.ops.mkldnn._linear_pointwise(x_BK, self.packed, bias_N, "none", [], "")
            return y_BN[:rows].view(*x.shape[:-1], -1)
        return self.product_float32(x.flatten(0, -2), bias_N).view(*x.shape[:-1], -1).to(x.dtype)

    def _padded(self, x_BK: Tensor, rows: int) -> Tensor:
        """The rows and some more, of which nothing is wanted, in a place that is made once."""
        if rows == len(x_BK):
            return x_BK
        room = self._rooms.get(x_BK.shape[1])
        if room is None or len(room) < rows:
            room = self._rooms[x_BK.shape[1]] = x_BK.new_zeros(rows, x_BK.shape[1])
        room[: len(x_BK)] = x_BK
        return room[:rows]

    def product_float32(self, x_BK: Tensor, bias_N: Tensor | None) -> Tensor:
        """`x Wᵀ + b` by the float32 copy, not rounded to the model's type."""
        assert self.wide_KN is not None
        x_BK = x_BK.float()
        return torch.mm(x_BK, self.wide_KN) if bias_N is None else torch.addmm(bias_N.float(), x_BK, self.wide_KN)


def _fingerprint(weight: Tensor) -> tuple[int, ...] | None:
    """Address and sum of the bits, read as 64-bit words; None where they can't be. Runs at the speed of memory.

    Autograd's count of writes would not do: fused optimizers do not raise it.
    """
    if not weight.is_contiguous() or weight.numel() * weight.element_size() % 8:
        return None
    return weight.data_ptr(), int(weight.view(-1).view(torch.int64).sum())


class DecodingWeights:
    """Copies of a model's linear layers, and the context in which the layers use them.

    Example: `with DecodingWeights(model).used(): …decode…`
    """

    def __init__(self, model: nn.Module, limit: int = COPY_BYTES) -> None:
        self.model = model
        self.limit = limit
        self._forms: dict[int, Forms] = {}
        self._rooms: dict[int, Tensor] = {}
        self._forgotten = False

    def forget(self) -> None:
        """Make all copies anew before they are used again."""
        self._forgotten = True

    def drop(self) -> None:
        """Free all copies; they are made again when they are used again."""
        self._forms.clear()
        self._rooms.clear()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Layers multiply by up-to-date copies; afterwards every layer is as it was."""
        layers = self._layers()
        kept = self._forms
        self._forms = {}
        for layer in layers:
            old = kept.get(id(layer.weight))
            form = old if old is not None and old.weight is layer.weight else Forms(layer.weight, self._rooms)
            self._forms[id(layer.weight)] = form
        for form in self._forms.values():
            form.renew(self._forgotten)
        self._forgotten = False
        for layer in layers:
            layer.forward = partial(_forward, layer, self._forms[id(layer.weight)])  # type: ignore[method-assign]
        try:
            yield
        finally:
            for layer in layers:
                del layer.forward

    def logits(self, hidden_BD: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """`x Wᵀ + b` in float32 for a head's weight; where a copy makes that cheap, never rounded to 16 bits."""
        found = self._forms.get(id(weight))
        if found is None:
            return linear(hidden_BD, weight, bias).float()
        if found.wide_KN is None:
            return found.product(hidden_BD, bias).float()
        return found.product_float32(hidden_BD, bias)

    def _layers(self) -> list[nn.Linear]:
        """The layers that get copies, in the model's order, as far as the memory goes."""
        chosen: list[nn.Linear] = []
        counted: set[int] = set()
        left = self.limit
        for layer in self.model.modules():
            if type(layer) is not nn.Linear or "forward" in vars(layer):
                continue  # a subclass or a wrapped layer computes something else
            size = Forms.bytes(layer.weight)
            cost = 0 if id(layer.weight) in counted else size
            if size and cost <= left:
                left -= cost
                counted.add(id(layer.weight))
                chosen.append(layer)
        return chosen


def _forward(layer: nn.Linear, forms: Forms, x: Tensor) -> Tensor:
    if torch.is_grad_enabled():  # whoever trains between two tokens trains the weights, not a copy
        return linear(x, layer.weight, layer.bias)
    return forms.product(x, layer.bias)
