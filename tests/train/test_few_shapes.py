"""What 16-bit training does on a CPU for the sake of its kernels changes no gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mull.algo.advantages import advantages
from mull.core.types import Group
from mull.model import wide
from mull.model.processor import few_shapes
from mull.train import learner as module
from mull.train.learner import Learner
from mull.train.optim import OptimConfig


def update(model, groups: list[Group]) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Metrics and gradients of an update that is not taken."""
    learner, gradients = Learner(model, OptimConfig(), 10, micro_batch_tokens=64), {}

    def keep(share: float) -> float:
        gradients.update({name: p.grad.clone() for name, p in model.named_parameters()})
        return 0.0

    learner.optimizer.step = keep  # type: ignore[method-assign]
    return learner.update(groups, advantages(groups, learner.algorithm)), gradients


def test_a_filled_stream_changes_nothing(llama, rollouts, monkeypatch) -> None:
    sizes: list[int] = []
    real = module.hidden_states
    monkeypatch.setattr(module, "hidden_states", lambda *given: sizes.append(given[1].shape[1]) or real(*given))
    metrics, gradients = update(llama(), rollouts())
    plain = list(sizes)
    monkeypatch.setattr(module, "narrow_on_cpu", lambda tensor: True)
    same, others = update(llama(), rollouts())
    filled = sizes[len(plain) :]
    assert sum(filled) > sum(plain) and all(few_shapes(size) == size for size in filled)
    assert same == pytest.approx(metrics)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient)


@pytest.mark.parametrize("faster", [True, False])
def test_16_bit_gradients_point_where_exact_ones_do(llama, rollouts, monkeypatch, faster: bool) -> None:
    monkeypatch.setattr(wide, "float32_is_faster", lambda dtype, rows: faster)
    _, exact = update(llama(torch.float64), rollouts())
    _, narrow = update(llama(torch.bfloat16), rollouts())
    for name, gradient in exact.items():
        assert torch.cosine_similarity(narrow[name].double().flatten(), gradient.flatten(), dim=0) > 0.99
