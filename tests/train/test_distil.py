"""Distillation: the gradient against plain models, that the student nears its teacher, exact resumes, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mull.algo.samples import Example
from mull.core.errors import UserError
from mull.core.files import sha256_directory
from mull.core.run import Run
from mull.recipe.execute import run_recipe
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe
from mull.train.distil import examples_of
from mull.train.learner import Learner
from mull.train.optim import OptimConfig

SMALL = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "feed_forward": 32}
TEACHER: dict[str, Any] = {"kind": "pretrain", "documents": 400, "model": SMALL}
STUDENT: dict[str, Any] = {"kind": "pretrain", "documents": 20, "model": {**SMALL, "hidden": 8}}
DISTIL: dict[str, Any] = {"kind": "distil", "init": "small", "teacher": "large", "checkpoint_every": 2,
                          "optim": {"lr": 1e-2}}  # fmt: skip


@pytest.mark.parametrize("kind", ["forward", "reverse", "jsd"])
def test_gradients_are_those_of_plain_models(llama, kind: Any) -> None:
    examples = [
        Example((3, 5, 7, 2, 9), (0, 0, 1.0, 0.5, 1.0)), Example((4, 4, 8), (0, 0, 2.0)), Example((3, 5, 1), (0, 0, 0)),
    ]  # fmt: skip
    student, teacher = llama(seed=0), llama(seed=1)
    learner, found = Learner(student, OptimConfig(), 10, micro_batch_tokens=6), {}

    def keep(share: float) -> float:
        found.update({name: p.grad.clone() for name, p in student.named_parameters()})
        return 0.0

    learner.optimizer.step = keep  # type: ignore[method-assign]
    metrics = learner.distil(examples, teacher.requires_grad_(False), kind, temperature=2.0)
    plain, fixed = llama(seed=0, attention="sdpa"), llama(seed=1, attention="sdpa")
    loss = torch.zeros((), dtype=torch.float64)
    for example in examples:
        ids = torch.tensor([example.tokens])
        q, p = (torch.log_softmax(model(input_ids=ids).logits[0, :-1] / 2.0, -1) for model in (plain, fixed))
        loss = loss + torch.dot(4.0 * distance(p.detach(), q, kind), torch.tensor(example.weights[1:]).double()) / 4.5
    loss.backward()
    assert metrics["loss"] == pytest.approx(float(loss.detach()))
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(found[name], parameter.grad)


def distance(p: Tensor, q: Tensor, kind: str) -> Tensor:
    m = torch.log((p.exp() + q.exp()) / 2)
    forward, reverse = (p.exp() * (p - q)).sum(-1), (q.exp() * (q - p)).sum(-1)
    between = ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1)) / 2
    return {"forward": forward, "reverse": reverse, "jsd": between}[kind]


def test_forced_tokens_are_not_learned(rollouts) -> None:
    [group] = rollouts(prompts=1)
    for example, scored in zip(examples_of([group]), group.samples, strict=True):
        done = scored.completion
        assert example.tokens == done.prompt_ids + done.token_ids
        marked = {i - len(done.prompt_ids) for i, weight in enumerate(example.weights) if weight}
        assert marked == set(range(len(done.token_ids))) - done.forced


def recipe(more: dict[str, Any], student: dict[str, Any] = STUDENT):
    stages = {"large": TEACHER, "small": student, "taught": {**DISTIL, **more}}
    return parse_recipe({"name": "t", "threads": 1, "stages": stages})


@pytest.mark.parametrize("on", ["data", "tasks"])
def test_the_student_nears_its_teacher_and_resumes_to_the_same_weights(on: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    said = "<think> 3 5 + 8 8 * 9 4 - 5 no </think> <answer> 3 5 + 8 * </answer>"
    rows.write_text("".join(json.dumps({"prompt": f"{n} 5 8 make 4", "completion": said}) + "\n" for n in range(1, 9)))
    own = {"tasks": ["countdown_mod:train"], "steps": 12, "prompts": 8, "samples": 2, "sampling": {"max_tokens": 24}}
    made = recipe({"data": [str(rows)], "epochs": 6, "batch_tokens": 100} if on == "data" else own)
    run_recipe(made, tmp_path / "whole", Quiet())
    apart = [row["divergence"] for row in Run(tmp_path / "whole").stage("taught").metrics()]
    assert len(apart) >= 8 and apart[-1] < 0.75 * apart[0] and min(apart) > 0

    class StopsAt(Quiet):
        stage = ""

        def begin(self, stage: str, total: int, unit: str) -> None:
            self.stage = stage

        def update(self, done: int, metrics: dict[str, float]) -> None:
            if self.stage == "taught" and done == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(made, tmp_path / "cut", StopsAt())
    run_recipe(made, tmp_path / "cut", Quiet())
    hashes = [sha256_directory(Run(tmp_path / name).stage("taught").model) for name in ("whole", "cut")]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "name data .* or tasks"),
        ({"data": ["x"], "tasks": ["countdown_mod:train"]}, "one of the two"),
        ({"tasks": ["countdown_mod:nope"]}, r"stages\.taught\.tasks: .*no split 'nope'"),
        ({"tasks": ["countdown_mod:train"], "teacher": "lagre"}, "did you mean the stage 'large'"),
        ({"data": ["none.jsonl"]}, "no such file"),
    ],
)
def test_mistakes_are_named(more: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=message):
        recipe(more)


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    run_recipe(recipe({"tasks": ["countdown_mod:train"], "steps": 1}), tmp_path / "run", Quiet(), until="small")
    other = tmp_path / "run" / "stages" / "large" / "model" / "tokenizer.json"
    other.write_text(other.read_text().replace('"make"', '"made"'))
    made = recipe({"tasks": ["countdown_mod:train"], "steps": 1, "teacher": str(other.parent)})
    with pytest.raises(UserError, match="its vocabulary is not the student's"):
        run_recipe(made, tmp_path / "again", Quiet())
