"""2N steps = N, save, load into fresh objects, N: bit for bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.core.errors import StageFailed
from mull.train.checkpoint import load_checkpoint, save_checkpoint
from mull.train.learner import Learner
from mull.train.optim import OptimConfig
from mull.train.schedule import ScheduleConfig

EMBEDDING = "model.embed_tokens.weight"
SCHEDULE = ScheduleConfig(warmup=3, decay="cosine")
ALGORITHM = AlgorithmConfig(name="dapo", kl_coefficient=0.1, reference_every=2, minibatches=2)


def new_learner(llama: Any, optim: str = "adamw", seed: int = 0, tied: bool = True) -> Learner:
    return Learner(
        llama(torch.float32, seed=seed, tied=tied),
        OptimConfig(name=optim, lr=1e-2, weight_decay=0.1, schedule=SCHEDULE),  # type: ignore[arg-type]
        8,
        micro_batch_tokens=40,
        algorithm=ALGORITHM,
        reference=llama(torch.float32, seed=seed, tied=tied),
    )


def advance(learner: Learner, rollouts, steps: int) -> list[dict[str, float]]:
    """Steps whose data come from the global random states too, as a careless task might."""
    log = []
    for _ in range(steps):
        seed = random.randrange(1000) + int(torch.randint(1000, ())) + int(np.random.randint(1000))
        groups = rollouts(seed=seed, version=learner.version)
        log.append(learner.update(groups, advantages(groups, learner.algorithm)))
    return log


def seed_all() -> None:
    random.seed(1)
    torch.manual_seed(2)
    np.random.seed(3)


@pytest.mark.parametrize("optim", ["adamw", "muon"])
@pytest.mark.parametrize("tied", [True, False])
def test_resuming_is_exact(llama, rollouts, tmp_path: Path, optim: str, tied: bool) -> None:
    seed_all()
    straight = new_learner(llama, optim, tied=tied)
    log = advance(straight, rollouts, 6)

    seed_all()
    first = new_learner(llama, optim, tied=tied)
    advance(first, rollouts, 3)
    save_checkpoint(tmp_path / "step-3", first, {"cursor": 3})
    seed_all()
    second = new_learner(llama, optim, seed=9, tied=tied)
    assert load_checkpoint(tmp_path / "step-3", second) == {"cursor": 3}
    assert second.version == 3
    assert advance(second, rollouts, 3) == log[3:]
    assert all(torch.equal(w, straight.weights()[name]) for name, w in second.weights().items())


def test_the_engine_on_the_same_model_sees_loaded_weights(llama, rollouts, tmp_path: Path) -> None:
    saved, other = new_learner(llama), new_learner(llama, seed=9)
    save_checkpoint(tmp_path / "c", saved)
    live = other.model.get_parameter(EMBEDDING)
    load_checkpoint(tmp_path / "c", other)
    assert other.model.get_parameter(EMBEDDING) is live
    assert torch.equal(live, saved.model.get_parameter(EMBEDDING))


def test_saving_over_a_checkpoint_replaces_it_whole(llama, rollouts, tmp_path: Path) -> None:
    learner = new_learner(llama)
    save_checkpoint(tmp_path / "c", learner, {"n": 1})
    advance(learner, rollouts, 1)
    save_checkpoint(tmp_path / "c", learner, {"n": 2})
    fresh = new_learner(llama, seed=4)
    assert load_checkpoint(tmp_path / "c", fresh) == {"n": 2} and fresh.version == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_what_does_not_fit_is_refused(llama, rollouts, tmp_path: Path) -> None:
    learner = new_learner(llama)
    advance(learner, rollouts, 1)
    save_checkpoint(tmp_path / "c", learner)
    with pytest.raises(ValueError, match="another model"):
        load_checkpoint(tmp_path / "c", new_learner(llama, tied=False))
    with pytest.raises(ValueError, match="optimizer 'adamw'"):
        load_checkpoint(tmp_path / "c", new_learner(llama, "muon"))
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none", learner)


def test_weights_that_are_not_finite_become_no_checkpoint(llama, tmp_path: Path) -> None:
    learner = Learner(llama(), OptimConfig(), 9)
    with torch.no_grad():
        learner.model.get_input_embeddings().weight[0, 0] = float("inf")
    with pytest.raises(StageFailed, match="embed_tokens.weight is not finite"):
        save_checkpoint(tmp_path / "c", learner)
    assert not (tmp_path / "c").exists()
