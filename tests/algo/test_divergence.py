"""Distillation's divergences against whole distributions, their gradients by finite differences, in any chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from mull.algo import divergence as module
from mull.algo.divergence import Side, divergence

KINDS = ["forward", "reverse", "jsd"]


def sides(count: int = 5, **more: Any) -> tuple[Side, Side]:
    torch.manual_seed(0)
    student, teacher = (
        Side(torch.randn(count, d, dtype=torch.float64), torch.randn(11, d, dtype=torch.float64), **more)
        for d in (3, 4)
    )
    return student, teacher


def logits(side: Side) -> Tensor:
    z = side.hidden_ND @ side.weight_VD.T * side.scale
    return torch.tanh(z / side.softcap) * side.softcap if side.softcap else z


@pytest.mark.parametrize("more", [{}, {"scale": 0.5}, {"softcap": 2.0}])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_distributions(kind: Any, temperature: float, more: dict[str, float], monkeypatch: Any) -> None:
    student, teacher = sides(**more)
    q, p = (torch.log_softmax(logits(side) / temperature, -1) for side in (student, teacher))

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return kl_div(b, a, reduction="none", log_target=True).sum(-1)

    m = torch.log(0.3 * p.exp() + 0.7 * q.exp())
    wanted = {"forward": kl(p, q), "reverse": kl(q, p), "jsd": 0.3 * kl(p, m) + 0.7 * kl(q, m)}[kind]
    for elements in (1 << 23, 22):
        monkeypatch.setattr(module, "CHUNK_ELEMENTS", elements)
        found = divergence(student, teacher, kind, temperature, beta=0.3)
        torch.testing.assert_close(found, temperature**2 * wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_finite_differences(kind: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 22)
    student, teacher = sides()
    hidden, weight = (x.clone().requires_grad_() for x in (student.hidden_ND, student.weight_VD))
    assert torch.autograd.gradcheck(lambda h, w: divergence(Side(h, w), teacher, kind, 1.5), (hidden, weight))


def test_equal_distributions_are_no_distance_apart_and_pull_nowhere() -> None:
    student, _ = sides()
    for kind in KINDS:
        hidden = student.hidden_ND.clone().requires_grad_()
        found = divergence(Side(hidden, student.weight_VD), student, kind)  # type: ignore[arg-type]
        found.sum().backward()
        assert hidden.grad is not None
        torch.testing.assert_close(found.detach(), torch.zeros_like(found))
        torch.testing.assert_close(hidden.grad, torch.zeros_like(hidden.grad), atol=1e-12, rtol=0)


def test_the_teacher_gets_no_gradient_and_16_bits_are_summed_in_32() -> None:
    student, teacher = sides()
    wide = teacher.hidden_ND.clone().requires_grad_()
    hidden = student.hidden_ND.bfloat16().requires_grad_()
    found = divergence(Side(hidden, student.weight_VD.bfloat16()), Side(wide, teacher.weight_VD))
    found.sum().backward()
    assert wide.grad is None and hidden.grad is not None and found.dtype == torch.float64


def test_bad_input_is_refused() -> None:
    student, teacher = sides()
    cases: list[tuple[Side, dict[str, Any], str]] = [
        (Side(teacher.hidden_ND[:2], teacher.weight_VD), {}, "5 tokens, the teacher 2"),
        (Side(teacher.hidden_ND, teacher.weight_VD[:7]), {}, "11 words, the teacher 7"),
        (teacher, {"temperature": 0.0}, "temperature above 0"),
        (teacher, {"kind": "jsd", "beta": 1.0}, "between 0 and 1"),
    ]
    for other, more, message in cases:
        with pytest.raises(ValueError, match=message):
            divergence(student, other, **more)
    assert divergence(*sides(0)).shape == (0,)
