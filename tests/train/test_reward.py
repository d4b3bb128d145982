"""Reward models: what is read of a reply, what is held out, and that a hidden rule is found up to its noise."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mull.core.chat import Chat
from mull.core.errors import UserError
from mull.core.files import sha256_directory
from mull.core.run import Run
from mull.core.types import Message
from mull.model.scalar import load_scalar
from mull.model.tiny import word_tokenizer
from mull.recipe.execute import run_recipe
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe
from mull.tasks.preferences import Labelled, Pair
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.reward import items_of, part_of, split

CHAT = Chat(word_tokenizer(vocabulary(), PAD, BOS, EOS))
BASE = {
    "kind": "pretrain", "documents": 100,
    "model": {"hidden": 16, "layers": 2, "heads": 2, "kv_heads": 1, "feed_forward": 32},
}  # fmt: skip
REPLY = "<think> 3 5 + 8 </think> <answer> 3 5 + </answer>"


def recipe(files: list[str], **more: Any):
    stage = {"kind": "reward_model", "init": "base", "data": files, "judged": "whole", "batch": 16, "held_out": 0.3,
             "optim": {"lr": 1e-2}, **more}  # fmt: skip
    return parse_recipe({"name": "t", "threads": 1, "stages": {"base": BASE, "score": stage}})


def pairs(path: Path, count: int, noise: float, seed: int = 0) -> str:
    """Replies of one length; the better one ends in "yes", but for the share `noise` of the rows."""
    rng, lines = random.Random(seed), []
    for _ in range(count):
        prompt = " ".join(str(rng.randint(0, 10)) for _ in range(3)) + " make " + str(rng.randint(0, 10))
        said = [" ".join(str(rng.randint(0, 10)) for _ in range(4)) + f" {word}" for word in ("yes", "no")]
        if rng.random() < noise:
            said.reverse()
        lines.append(json.dumps({"prompt": prompt, "chosen": said[0], "rejected": said[1]}) + "\n")
    path.write_text("".join(lines))
    return str(path)


def test_what_is_read_of_a_reply() -> None:
    assert part_of(CHAT, REPLY, "whole") == REPLY
    assert part_of(CHAT, REPLY, "answer") == "<answer> 3 5 + </answer>"
    assert part_of(CHAT, REPLY, "thought") == "3 5 + 8"
    assert part_of(CHAT, "4 yes", "answer") == "4 yes"
    for text, judged in (("4 yes", "thought"), ("<think> 3 </think>", "answer"), ("<think> </think> 4", "thought")):
        with pytest.raises(UserError, match=f"it has no {judged}"):
            part_of(CHAT, text, judged)  # type: ignore[arg-type]


def test_items_score_the_token_that_ends_the_reply() -> None:
    prompt = (Message("user", "3 5 8 make 4"),)
    [item] = items_of(CHAT, [Pair(prompt, "4 yes", "4 no")], "answer", 0, "f")
    for asked, word in zip(item.asked, ("yes", "no"), strict=True):
        words = CHAT.tokenizer.convert_ids_to_tokens(asked.tokens)
        assert words == [BOS, "3", "5", "8", "make", "4", "4", word, EOS] and asked.places == (8,)
    same = Pair(prompt, "<think> 3 </think> 4", "<think> 5 </think> 4")
    assert len(items_of(CHAT, [same, Labelled(prompt, "4", 1.0)], "answer", 0, "f")) == 1  # the answers are the same
    with pytest.raises(UserError, match="nothing to learn from is within 5 tokens"):
        items_of(CHAT, [Pair(prompt, "4 yes", "4 no")], "answer", 5, "f")


def test_prompts_are_held_out_whole() -> None:
    made = [
        Pair((Message("user", f"{n % 11} {n // 11 % 11} 1 make 4"),), "yes", f"no {k}")
        for n in range(121)
        for k in range(3)
    ]
    taught, held = split(items_of(CHAT, made, "whole", 0, "f"), 0.25)
    assert len(taught) + len(held) == 363 and 0.15 < len(held) / 363 < 0.35
    assert not {item.prompt for item in taught} & {item.prompt for item in held}


def test_a_hidden_rule_is_found_up_to_its_noise_and_resumes_exactly(tmp_path: Path) -> None:
    made = recipe([pairs(tmp_path / "a.jsonl", 600, noise=0.1)], epochs=3)
    found = run_recipe(made, tmp_path / "whole", Quiet())["score"]
    held = found["held_out"]["pairs"]
    assert held["n"] > 100 and held["low"] > 0.75 and held["share"] == pytest.approx(0.9, abs=0.08)
    assert found["held_out"]["longer_wins"]["share"] == 0.0  # equal lengths: length tells nothing
    assert found["held_out"]["where_the_shorter_is_better"] == {"share": None, "n": 0}
    model = Run(tmp_path / "whole").stage("score").model
    assert load_scalar(model).model.score.weight.any()

    class StopsAt(Quiet):
        def update(self, done: int, metrics: dict[str, float]) -> None:
            if done == 30 and "grad_norm" in metrics and "tokens" not in metrics:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(made, tmp_path / "cut", StopsAt())
    run_recipe(made, tmp_path / "cut", Quiet())
    assert sha256_directory(Run(tmp_path / "cut").stage("score").model) == sha256_directory(model)


def test_pure_noise_is_not_found(tmp_path: Path) -> None:
    made = recipe([pairs(tmp_path / "a.jsonl", 400, noise=0.5, seed=3)])
    held = run_recipe(made, tmp_path / "run", Quiet())["score"]["held_out"]["pairs"]
    assert held["low"] < 0.5 < held["high"]


def test_labels_are_learned_too(tmp_path: Path) -> None:
    file, rng = tmp_path / "a.jsonl", random.Random(0)
    prompts = [f"{rng.randint(0, 10)} {rng.randint(0, 10)} 1 make 4" for _ in range(200)]
    rows = [
        {"prompt": prompt, "response": f"{rng.randint(0, 10)} {word}", "label": word == "yes"}
        for prompt in prompts
        for word in ("yes", "no")
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run_recipe(recipe([str(file)], epochs=3), tmp_path / "run", Quiet())["score"]["held_out"]
    assert set(found) == {"labels"} and found["labels"]["low"] > 0.8


def test_mistakes_are_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stages\.score\.data\.1: .*no such file"):
        recipe([str(tmp_path / "none.jsonl")])
    with pytest.raises(UserError, match=r"stages\.score\.judged"):
        recipe([pairs(tmp_path / "a.jsonl", 3, 0)], judged="all")
    stages = {
        "base": BASE,
        "score": {"kind": "reward_model", "init": "base", "data": [pairs(tmp_path / "a.jsonl", 3, 0)]},
    }
    wrong = {**stages, "zero": {"kind": "rl", "init": "score", "tasks": ["countdown_mod:train"]}}
    with pytest.raises(UserError, match="stage 'score' makes no model"):
        parse_recipe({"name": "t", "stages": wrong})
