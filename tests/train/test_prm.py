"""Process reward models: the loss against plain Python, what is read of a chain, and a hidden rule that is found."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.core.files import sha256_directory
from mull.core.run import Run
from mull.core.types import Message
from mull.model.load import LoadedModel
from mull.model.scalar import load_scalar, scalar_of
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.recipe.execute import run_recipe
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe
from mull.tasks.steps import Chain, Ids
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.optim import OptimConfig
from mull.train.prm import Item, base_rate, batch_loss, items_of, measure
from mull.train.scalar import Asked, ScalarLearner

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
CHAT = Chat(TOKENIZER)
PROMPT = (Message("user", "3 5 8 make 4"),)
BASE = {
    "kind": "pretrain", "documents": 100,
    "model": {"hidden": 16, "layers": 2, "heads": 2, "kv_heads": 1, "feed_forward": 32},
}  # fmt: skip


def words(tokens: tuple[int, ...]) -> list[str]:
    return list(TOKENIZER.convert_ids_to_tokens(tokens))


def learner(micro: int = 4096) -> ScalarLearner:
    model = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), TOKENIZER, 0)
    scalar = scalar_of(LoadedModel(model, TOKENIZER, "-"))
    torch.nn.init.normal_(scalar.score.weight, generator=torch.Generator().manual_seed(1))
    return ScalarLearner(scalar, OptimConfig(lr=1e-3), 10, micro_batch_tokens=micro)


def test_the_loss_is_the_mean_over_all_labelled_steps_of_the_batch() -> None:
    items = [
        Item(Asked((1, 7, 8, 9, 10), (2, 4)), (1.0, 0.25), "a"),
        Item(Asked((1, 9, 7), (2,)), (0.0,), "b"),
        Item(Asked((1, 12, 13, 7, 9, 8, 10), (1, 3, 5, 6)), (0.5, 1.0, 0.75, 0.0), "c"),
    ]
    for micro in (4096, 8):  # one micro-batch, and one a chain
        made = learner(micro)
        scores = [[float(s) for s in rows[0]] for rows in made.score([(item.asked,) for item in items])]
        terms = []
        for item, row in zip(items, scores, strict=True):
            for y, s in zip(item.labels, row, strict=True):
                p = 1 / (1 + math.exp(-s))
                terms.append(-y * math.log(p) - (1 - y) * math.log(1 - p))
        found = made.fit([(item.asked,) for item in items], batch_loss(items))["loss"]
        assert found == pytest.approx(sum(terms) / 7, rel=1e-5)
    assert base_rate(items) == pytest.approx(3.5 / 7) and math.isnan(base_rate([]))


def test_text_becomes_steps_that_end_where_they_are_scored() -> None:
    chain = Chain(PROMPT, ("3 5 + 8 no", "3 8 + 0 yes"), (0.5, None))
    [item] = items_of(CHAT, [chain], True, 0, "f")
    said = words(item.asked.tokens)
    assert said == [BOS, "3", "5", "8", "make", "4", "<think>", *["3", "5", "+", "8", "no", "3", "8", "+", "0", "yes"]]
    assert [said[p] for p in item.asked.places] == ["no"] and item.labels == (0.5,)
    [item] = items_of(CHAT, [chain], False, 0, "f")
    assert "<think>" not in words(item.asked.tokens)


def test_sampled_ids_are_used_as_they_are_and_those_of_another_model_refused() -> None:
    prompt, said = CHAT.encode(PROMPT), CHAT.encode_reply("<think> 3 5 + 8 no so")[:6]
    chain = Chain(PROMPT, ("3 5 + 8 no",), (1.0,), Ids(prompt, said, (5,)))
    [item] = items_of(CHAT, [chain], True, 0, "f")
    assert item.asked == Asked(prompt + said, (len(prompt) + 5,))
    other = [Ids(prompt, (*said[:5], 9), (5,)), Ids(prompt[1:], said, (5,)), Ids(prompt, (*said[:5], 999), (5,))]
    for ids in other:
        with pytest.raises(UserError, match="f: chain 1: its token ids are not this model's"):
            items_of(CHAT, [Chain(PROMPT, ("3 5 + 8 no",), (1.0,), ids)], True, 0, "f")
    with pytest.raises(UserError, match="f: chain 1: 'hello' is no word"):
        items_of(CHAT, [Chain(PROMPT, ("hello",), (1.0,))], True, 0, "f")
    with pytest.raises(UserError, match="within 5 tokens; raise max_tokens"):
        items_of(CHAT, [chain], True, 5, "f")


def test_what_is_measured_by_hand() -> None:
    made = learner()
    items = [
        Item(Asked((1, 7, 8, 9, 10), (2, 4)), (1.0, 0.2), "a"),
        Item(Asked((1, 9, 7), (2,)), (0.0,), "b"),
        Item(Asked((1, 8, 11), (2,)), (0.8,), "a"),
    ]
    said = [1 / (1 + math.exp(-float(s))) for rows in made.score([(item.asked,) for item in items]) for s in rows[0]]
    labels = [1.0, 0.2, 0.0, 0.8]
    found = measure(made, items, 0.6)
    assert found["steps"] == 4 and found["prompts"] == 2 and found["base_rate"] == 0.6
    assert found["brier"]["mean"] == pytest.approx(sum((p - y) ** 2 for p, y in zip(said, labels, strict=True)) / 4)
    assert found["base_brier"] == pytest.approx((0.16 + 0.16 + 0.36 + 0.04) / 4)
    assert found["brier_gain"]["mean"] == pytest.approx(found["base_brier"] - found["brier"]["mean"])
    right = [(p > 0.5) == (y > 0.5) for p, y in zip(said, labels, strict=True)]
    assert found["accuracy"]["mean"] == sum(right) / 4 and found["base_accuracy"]["mean"] == 0.5
    pairs = [(said[i] > said[j]) + (said[i] == said[j]) / 2 for i in (0, 3) for j in (1, 2)]
    assert found["auc"]["mean"] == pytest.approx(sum(pairs) / 4)
    assert measure(made, [], 0.6) == {}


def chains(path: Path, count: int, seed: int = 0) -> str:
    """Chains of two to four attempts; one is good with .9 where it ends in "yes", with .2 where it ends in "no"."""
    rng, lines = random.Random(seed), []
    for _ in range(count):
        prompt = " ".join(str(rng.randint(1, 10)) for _ in range(3)) + f" make {rng.randint(0, 10)}"
        verdicts = [rng.choice(("yes", "no")) for _ in range(rng.randint(2, 4))]
        steps = [" ".join(str(rng.randint(0, 10)) for _ in range(3)) + f" {v}" for v in verdicts]
        labels = [float(rng.random() < (0.9 if v == "yes" else 0.2)) for v in verdicts]
        lines.append(json.dumps({"prompt": prompt, "steps": steps, "labels": labels}) + "\n")
    path.write_text("".join(lines))
    return str(path)


def recipe(files: list[str], **more: Any):
    stage = {"kind": "prm", "init": "base", "data": files, "batch": 16, "held_out": 0.3, "optim": {"lr": 1e-2}, **more}
    return parse_recipe({"name": "t", "threads": 1, "stages": {"base": BASE, "score": stage}})


def test_a_hidden_rule_beats_the_base_rate_on_held_out_prompts_and_resumes_exactly(tmp_path: Path) -> None:
    made = recipe([chains(tmp_path / "a.jsonl", 400)], epochs=2)
    held = run_recipe(made, tmp_path / "whole", Quiet())["score"]["held_out"]
    assert held["steps"] > 200 and 0.45 < held["base_rate"] < 0.65
    assert held["brier_gain"]["low"] > 0.05 and held["auc"]["low"] > 0.75
    assert held["accuracy"]["low"] > held["base_accuracy"]["high"]
    model = Run(tmp_path / "whole").stage("score").model
    assert load_scalar(model).model.score.weight.any()

    class StopsAt(Quiet):
        def update(self, done: int, metrics: dict[str, float]) -> None:
            if done == 20 and "grad_norm" in metrics and "tokens" not in metrics:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(made, tmp_path / "cut", StopsAt())
    run_recipe(made, tmp_path / "cut", Quiet())
    assert sha256_directory(Run(tmp_path / "cut").stage("score").model) == sha256_directory(model)


def test_mistakes_are_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^stages\.score\.data\.1: .*no such file"):
        recipe([str(tmp_path / "none.jsonl")])
    with pytest.raises(UserError, match=r"^stages\.score\.neutral"):
        recipe([chains(tmp_path / "a.jsonl", 3)], neutral="fine")
    file = tmp_path / "b.jsonl"
    file.write_text('{"prompt": "3", "steps": ["5"], "labels": [2]}\n')
    with pytest.raises(UserError, match=r"^stages\.score\.data\.1: .*row 1: a label is"):
        recipe([str(file)])
    sampled = {"kind": "sample", "model": "base", "tasks": ["chain_mod:dev"]}
    score = {"kind": "prm", "init": "base", "data": ["chains"]}
    with pytest.raises(UserError, match=r"^stages\.score\.data\.1: stage 'chains' makes no steps"):
        parse_recipe({"name": "t", "stages": {"base": BASE, "chains": sampled, "score": score}})
    with pytest.raises(UserError, match=r"held out; lower held_out"):
        run_recipe(recipe([chains(tmp_path / "a.jsonl", 2)], held_out=0.999), tmp_path / "run", Quiet())
