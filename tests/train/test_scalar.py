"""Scores and their training: packed or apart, shared beginnings or not, against a plain model; saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForSequenceClassification

from mull.algo.preference import bradley_terry, pointwise
from mull.core.errors import StageFailed, UserError
from mull.model.load import LoadedModel
from mull.model.scalar import load_scalar, save_scalar, scalar_of
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.optim import OptimConfig
from mull.train.scalar import Asked, ScalarLearner

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
PAIRS = [
    [Asked((1, 5, 6, 7, 9), (4,)), Asked((1, 5, 6, 8), (3,))],
    [Asked((1, 5, 6, 7, 9, 9), (5,)), Asked((1, 5, 6, 7, 9, 9, 4), (6,))],
    [Asked((4, 3), (1,)), Asked((7, 3, 2), (2,))],
    [Asked((1, 5, 6), (2,)), Asked((1, 5, 6), (2,))],
]


def scalar(seed: int = 0, double: bool = True) -> Any:
    trunk = small_model(TinyConfig(hidden=16, layers=2, heads=2, kv_heads=1, feed_forward=24), TOKENIZER, seed)
    model = scalar_of(LoadedModel(trunk, TOKENIZER, "tiny"))
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.score.weight)
    return model.double() if double else model


def plain(model: Any, asked: Asked) -> torch.Tensor:
    """The same model as transformers runs it, one sequence at a time."""
    hidden = model.model(input_ids=torch.tensor([asked.tokens]), use_cache=False).last_hidden_state
    return model.score(hidden)[0, list(asked.places), 0]


def twin(model: Any) -> Any:
    other = LlamaForSequenceClassification(model.config)
    other.set_attn_implementation("eager")
    other.to(next(model.parameters()).dtype)
    other.load_state_dict(model.state_dict())
    return other.eval()


@pytest.mark.parametrize("limit", [1, 12, 400])
def test_scores_are_those_of_a_plain_model(limit: int) -> None:
    model = scalar()
    groups = [*PAIRS, [Asked((1, 5, 2, 7, 3), (1, 3, 4))], [Asked((1, 5, 2, 7), (0, 3)), Asked((1, 5, 2, 8), (1, 3))]]
    found = ScalarLearner(model, OptimConfig(), 1, micro_batch_tokens=limit).score(groups)
    other = twin(model)
    for group, rows in zip(groups, found, strict=True):
        for asked, row in zip(group, rows, strict=True):
            torch.testing.assert_close(row, plain(other, asked).detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("limit", [1, 12, 400])
def test_the_gradient_of_pairs_does_not_depend_on_packing(limit: int, monkeypatch: Any) -> None:
    model, gradients = scalar(), {}
    learner = ScalarLearner(model, OptimConfig(), 1, micro_batch_tokens=limit)

    def keep(share: float) -> float:
        gradients.update({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        return 0.0

    monkeypatch.setattr(learner.optimizer, "step", keep)
    metrics = learner.fit(PAIRS, lambda g, rows: (g + 1) * bradley_terry(*rows).sum())
    other = twin(model)
    losses = [(g + 1) * bradley_terry(plain(other, a), plain(other, b)).sum() for g, (a, b) in enumerate(PAIRS)]
    loss = torch.stack(losses).mean()
    loss.backward()
    assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, parameter in other.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-3)


def test_it_learns_an_order_and_a_label() -> None:
    learner = ScalarLearner(scalar(double=False), OptimConfig(lr=1e-2), 40)
    for _ in range(40):
        metrics = learner.fit(PAIRS[:3], lambda g, rows: bradley_terry(*rows).sum())
    assert metrics["loss"] < 0.05 and learner.version == 40
    labelled = [[Asked((1, 5, 6, 7), (3,))], [Asked((1, 5, 6, 8), (3,))]]
    for _ in range(60):
        metrics = learner.fit(labelled, lambda g, rows: pointwise(rows[0], torch.tensor([float(g)])).sum())
    first, second = (rows[0].item() for rows in learner.score(labelled))
    assert metrics["loss"] < 0.2 and first < 0 < second


def test_a_new_head_scores_nothing_and_the_saved_one_is_read_as_transformers_does(tmp_path: Path) -> None:
    trunk = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=24), TOKENIZER, 0)
    model = scalar_of(LoadedModel(trunk, TOKENIZER, "tiny"))
    assert all(not row.any() for rows in ScalarLearner(model, OptimConfig(), 1).score(PAIRS) for row in rows)
    torch.nn.init.normal_(model.score.weight)
    wanted = ScalarLearner(model, OptimConfig(), 1).score(PAIRS)
    save_scalar(model, TOKENIZER, tmp_path / "model")
    again = load_scalar(tmp_path / "model")
    assert again.tokenizer.get_vocab() == TOKENIZER.get_vocab()
    for ours, theirs in zip(ScalarLearner(again.model, OptimConfig(), 1).score(PAIRS), wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    theirs = LlamaForSequenceClassification.from_pretrained(tmp_path / "model")
    last = theirs(input_ids=torch.tensor([PAIRS[0][0].tokens])).logits
    torch.testing.assert_close(last[0], wanted[0][0].detach(), atol=1e-6, rtol=1e-5)


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="within the 2 tokens"):
        Asked((1, 2), (2,))
    with pytest.raises(ValueError, match="no group"):
        ScalarLearner(scalar(), OptimConfig(), 1).fit([], lambda g, rows: rows[0].sum())
    with pytest.raises(UserError, match="no model directory"):
        load_scalar(tmp_path)
    trunk = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=24), TOKENIZER, 0)
    trunk.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no model with one score"):
        load_scalar(tmp_path)
    learner = ScalarLearner(scalar(), OptimConfig(), 1)
    before = {k: v.clone() for k, v in learner.model.state_dict().items()}
    with pytest.raises(StageFailed, match="the loss is nan"):
        learner.fit(PAIRS, lambda g, rows: rows[0].sum() * float("nan"))
    assert all(torch.equal(v, before[k]) for k, v in learner.model.state_dict().items())
