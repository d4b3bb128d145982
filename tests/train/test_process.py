"""Process supervision: rewards where steps end, advantages by the paper's formula, and an rl stage that resumes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.errors import UserError
from mull.core.files import sha256_directory
from mull.core.run import Run
from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Verdict, VerdictKind
from mull.model.load import LoadedModel
from mull.model.scalar import save_scalar, scalar_of
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.recipe.execute import run_recipe
from mull.recipe.progress import Quiet
from mull.recipe.schema import parse_recipe
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.optim import OptimConfig
from mull.train.process import ProcessConfig, ProcessSupervision, outcome_alone
from mull.train.rl import RLConfig
from mull.train.scalar import ScalarLearner

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
CHAT = Chat(TOKENIZER)
SHAPE = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "feed_forward": 16}
PROMPT = (Message("user", "3 5 + 2 * compute"),)
TEXTS = (
    "<think> 3 5 + 8 2 * 5 so </think> <answer> 5 </answer>",
    "<think> 3 5 + 7 2 * 3 so </think> <answer> 3 </answer>",
    "<think> 3 5 + 8 2 *",  # cut off
    "<answer> 5 </answer>",  # no step
)


def scalar(words: list[str] | None = None):
    tokenizer = word_tokenizer(words, PAD, BOS, EOS) if words else TOKENIZER
    model = scalar_of(LoadedModel(small_model(TinyConfig(**SHAPE), tokenizer, 3), tokenizer, "-"))
    torch.nn.init.normal_(model.score.weight, generator=torch.Generator().manual_seed(1))
    return model, tokenizer


def supervision(**config: Any) -> ProcessSupervision:
    return ProcessSupervision(ScalarLearner(scalar()[0], OptimConfig(), 1), CHAT, ProcessConfig(model="-", **config))


def group(excluded: str = "") -> Group:
    rows = []
    for number, text in enumerate(TEXTS):
        ids = CHAT.encode_reply(text)
        ids = ids[:-1] if number == 2 else ids
        done = Completion(CHAT.encode(PROMPT), ids, (-1.0,) * len(ids), FinishReason.STOP, text=text, sample=number)
        rows.append(Scored(done, Verdict(VerdictKind.WRONG), float(number == 0)))
    if excluded:
        rows[1] = replace(rows[1], excluded=excluded)
    return Group(Problem("p", PROMPT, "number", {"answer": "5"}, task="chain_mod"), tuple(rows))


def probability(made: ProcessSupervision, completion: Completion, end: int) -> float:
    """σ of the score of one token, from the plain model, unpacked."""
    model = made.scorer.model
    plain, _ = scalar()
    plain.load_state_dict(model.state_dict())
    plain.set_attn_implementation("eager")
    ids = torch.tensor([completion.prompt_ids + completion.token_ids])
    with torch.no_grad():
        hidden = plain.model(input_ids=ids).last_hidden_state[0, len(completion.prompt_ids) + end]
        return float(torch.sigmoid(plain.score.weight[0] @ hidden))


def test_the_rewards_and_the_papers_advantages() -> None:
    made, one = supervision(), group()
    outcome = [[0.5, -0.5, 0.25, -0.25]]
    [found] = made([one], outcome)
    ends = [(4, 7), (4, 7), (4,), ()]  # in tokens: <think> 3 5 + 8 2 * 5
    rewards = [[probability(made, s.completion, end) for end in row] for s, row in zip(one.samples, ends, strict=True)]
    every = [r for row in rewards for r in row]
    mean = sum(every) / 5
    deviation = math.sqrt(sum((r - mean) ** 2 for r in every) / 5)
    for number, (scored, row) in enumerate(zip(one.samples, found, strict=True)):
        length = len(scored.completion.token_ids)
        index = [*ends[number]]
        if number < 2:
            index[-1] = length - 1  # the answer belongs to the last step
        wanted = [
            sum((r - mean) / (deviation + 1e-4) for i, r in zip(index, rewards[number], strict=True) if i >= t)
            for t in range(length)
        ]
        assert row == pytest.approx(tuple(wanted), abs=1e-4)
    assert not any(found[3]) and found[2][5:] == (0.0, 0.0)

    [both] = supervision(mode="both", weight=0.5)([one], outcome)
    for a, b, c in zip(both, found, outcome[0], strict=True):
        assert a == pytest.approx(tuple(c + 0.5 * x for x in b))
    assert outcome_alone([one], outcome) is outcome


def test_an_excluded_sample_has_no_reward_and_moves_nobody_elses() -> None:
    made = supervision(mode="both")
    [with_it] = made([group("timeout")], [[0.0] * 4])
    rest = replace(group(), samples=tuple(s for i, s in enumerate(group().samples) if i != 1))
    [without] = made([rest], [[0.0] * 3])
    assert with_it[1] == 0.0
    for a, b in zip([with_it[0], *with_it[2:]], without, strict=True):
        assert a == pytest.approx(b, abs=1e-5)


BASE = {"kind": "pretrain", "documents": 300, "model": {**SHAPE, "layers": 2}, "optim": {"lr": 1e-2}}


def labelled(path: Path) -> str:
    rows = [
        {"prompt": f"{n % 11} 5 + compute", "steps": [f"{n % 11} 5 + {v}"], "labels": [v == 8]}
        for n in range(22)
        for v in (8, 3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def recipe(tmp: Path, process: dict[str, Any], **more: Any):
    rl = {
        "kind": "rl", "init": "base", "tasks": ["chain_mod:dev?limit=8"], "steps": 4, "prompts": 2, "group_size": 4,
        "sampling": {"max_tokens": 48}, "checkpoint_every": 1, "process": process, "optim": {"lr": 1e-2}, **more,
    }  # fmt: skip
    score = {"kind": "prm", "init": "base", "data": [labelled(tmp / "steps.jsonl")], "optim": {"lr": 1e-2}, "batch": 8}
    return parse_recipe({"name": "t", "threads": 1, "stages": {"zero": rl, "score": score, "base": BASE}})


def test_a_stage_with_it_resumes_exactly_and_learns_where_no_answer_was_right(tmp_path: Path) -> None:
    made = recipe(tmp_path, {"model": "score"})
    assert list(made.stages) == ["base", "score", "zero"]
    run_recipe(made, tmp_path / "whole", Quiet())
    whole = Run(tmp_path / "whole").stage("zero")
    assert max(row["grad_norm"] for row in whole.metrics()) > 0
    rows = [row for step in range(4) for row in whole.read_rollouts(step)]
    assert any(row["trained"] for row in rows)  # an untrained base: not one answer is right, yet steps differ
    assert not any(row["reward"] for row in rows)

    class StopsAt(Quiet):
        def update(self, done: int, metrics: dict[str, float]) -> None:
            if done == 2 and "pass_rate" in metrics:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(made, tmp_path / "cut", StopsAt())
    run_recipe(made, tmp_path / "cut", Quiet())
    assert sha256_directory(Run(tmp_path / "cut").stage("zero").model) == sha256_directory(whole.model)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^stages\.zero\.process\.model: stage 'base' makes no score"):
        recipe(tmp_path, {"model": "base"})
    with pytest.raises(UserError, match=r"^stages\.zero\.process\.model: nowhere: no model directory"):
        recipe(tmp_path, {"model": "nowhere"})
    with pytest.raises(UserError, match=r"did you mean the stage 'score'"):
        recipe(tmp_path, {"model": "scor"})
    with pytest.raises(UserError, match=r"^stages\.zero\.process\.mode"):
        recipe(tmp_path, {"model": "score", "mode": "outcome"})
    for algorithm, said in (({"name": "rloo"}, "advantages of its own"),
                            ({"name": "grpo", "kl_coefficient": 0.1, "kl_in": "reward", "kl_estimator": "k1"},
                             "replaces the reward")):  # fmt: skip
        values = {"kind": "rl", "init": "-", "tasks": ["chain_mod:dev"], "algorithm": algorithm}
        with pytest.raises(UserError, match=said):
            parse_config(RLConfig, {**values, "process": {"model": "score"}}, "zero")
        parse_config(RLConfig, {**values, "process": {"model": "score", "mode": "both"}}, "zero")


def test_a_model_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    model, tokenizer = scalar([*vocabulary()[:-1], "maybe"])
    save_scalar(model, tokenizer, tmp_path / "other")
    made = recipe(tmp_path, {"model": str(tmp_path / "other")})
    with pytest.raises(UserError, match="its vocabulary is not the policy's"):
        run_recipe(made, tmp_path / "run", Quiet())
