"""The learner of a model with adapters: its own reference, small checkpoints, an exact resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.core.config import parse_config
from mull.core.errors import UserError
from mull.model.lora import LoraConfig, add_lora
from mull.train.checkpoint import load_checkpoint, save_checkpoint
from mull.train.learner import Learner
from mull.train.optim import OptimConfig
from mull.train.rl import RLConfig

KL = AlgorithmConfig(name="dapo", kl_coefficient=0.3)
OPTIM = OptimConfig(lr=1e-2)


def adapted(llama) -> torch.nn.Module:
    model = llama(torch.float32)
    add_lora(model, LoraConfig(rank=2, alpha=4.0), seed=0)
    return model


def train(learner: Learner, rollouts, steps: range) -> list[float]:
    losses = []
    for step in steps:
        groups = rollouts(seed=step, version=-1)
        weights = advantages(groups, learner.algorithm, learner.kl_penalties(groups))
        losses.append(learner.update(groups, weights)["loss"])
    return losses


@pytest.mark.parametrize("where", ["loss", "reward"])
def test_the_adapters_switched_off_are_the_reference(llama, rollouts, where: str) -> None:
    algorithm = AlgorithmConfig(name="grpo", kl_coefficient=0.3, kl_in=where, kl_estimator="k1")  # type: ignore[arg-type]
    own = Learner(adapted(llama), OPTIM, 9, algorithm=algorithm)
    given = Learner(adapted(llama), OPTIM, 9, algorithm=algorithm, reference=llama(torch.float32))
    assert train(own, rollouts, range(3)) == pytest.approx(train(given, rollouts, range(3)), rel=1e-5)


def test_frozen_weights_neither_move_nor_fill_checkpoints_and_the_resume_is_exact(
    llama, rollouts, tmp_path: Path
) -> None:
    learner = Learner(adapted(llama), OPTIM, 9, algorithm=KL)
    frozen = {n: p.detach().clone() for n, p in learner.model.named_parameters() if not p.requires_grad}
    train(learner, rollouts, range(2))
    save_checkpoint(tmp_path / "c", learner)
    wanted = train(learner, rollouts, range(2, 4))
    assert all(torch.equal(p, frozen[n]) for n, p in learner.model.named_parameters() if n in frozen)
    state = learner.state_dict()["weights"]
    assert state and all("lora_" in name for name in state)

    again = Learner(adapted(llama), OPTIM, 9, algorithm=KL)
    load_checkpoint(tmp_path / "c", again)
    assert train(again, rollouts, range(2, 4)) == wanted
    for name, tensor in again.weights().items():
        assert torch.equal(tensor, learner.weights()[name]), name


def test_a_reference_that_would_move_is_refused() -> None:
    table = {"kind": "rl", "init": "x", "tasks": ["countdown"], "lora": {}}
    assert parse_config(RLConfig, table, "zero").lora == LoraConfig()
    with pytest.raises(UserError, match="reference_every"):
        parse_config(RLConfig, {**table, "algorithm": {"kl_coefficient": 0.1, "reference_every": 4}}, "zero")
