"""Reward models at work: what they read, when they count, and that the verdict pays nothing where they do."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.errors import UserError
from mull.core.types import Completion, FinishReason, Message, Problem
from mull.model.load import LoadedModel
from mull.model.scalar import scalar_of
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.rewards.judge import RewardModel
from mull.rewards.learned import RewardModelUse, part_of
from mull.rewards.score import RewardConfig, scorer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

TOKENIZER = word_tokenizer(vocabulary(general=True), PAD, BOS, EOS)
CHAT = Chat(TOKENIZER)
GENERAL = Problem("r", (Message("user", "7 3 9 tell"),), "text", {"answer": "3 7 9 thanks"}, domain="general")
MATHS = Problem("m", (Message("user", "3 5 + compute"),), "number", {"answer": "8"})
BEST = "<think> 7 3 9 no so </think> <answer> 3 7 9 thanks </answer>"
OTHER = "<think> so </think> <answer> 9 7 </answer>"
BROKEN = "<think> so <answer> 3 7 9 thanks </answer>"


@pytest.fixture(scope="module")
def model() -> Any:
    trunk = small_model(TinyConfig(hidden=16, layers=2, heads=2, kv_heads=1, feed_forward=24), TOKENIZER, 3)
    scalar = scalar_of(LoadedModel(trunk, TOKENIZER, "tiny"))
    torch.manual_seed(1)
    torch.nn.init.normal_(scalar.score.weight)
    return scalar


def plain(model: Any, prompt: str, text: str) -> float:
    """The score of the last token as transformers computes it, one sequence at a time, on a copy of the model."""
    model = copy.deepcopy(model)
    model.set_attn_implementation("eager")
    ids = TOKENIZER(f"<bos> {prompt} {text} <eos>")["input_ids"]
    hidden = model.model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state
    return float(model.score(hidden)[0, -1, 0].detach())


def completion(text: str, version: int = 0) -> Completion:
    ids = tuple(TOKENIZER(text + " <eos>")["input_ids"])
    return Completion((1,), ids, (-1.0,) * len(ids), FinishReason.STOP, version=version)


def judge(model: Any, name: str = "helpful", **use: Any) -> RewardModel:
    return RewardModel(name, parse_config(RewardModelUse, {"model": "-", **use}, "models"), model, CHAT, 64)


@pytest.mark.parametrize(
    ("judged", "read"),
    [
        ("answer", "<answer> 3 7 9 thanks </answer>"),
        ("whole", BEST),
        ("thought", "7 3 9 no so"),
    ],
)
def test_it_earns_the_sigmoid_of_the_score_of_what_is_judged(model: Any, judged: str, read: str) -> None:
    score = scorer(CHAT, RewardConfig(), 99, [judge(model, judged=judged, weight=0.5)])
    [found] = score([(GENERAL, completion(BEST))])
    expected = 0.5 / (1 + torch.exp(torch.tensor(-plain(model, "7 3 9 tell", read))).item())
    assert found.parts == {"helpful": pytest.approx(expected, abs=1e-6)}
    assert found.reward == pytest.approx(expected, abs=1e-6)
    assert found.verdict.correct  # recorded, and worth nothing
    [raw] = scorer(CHAT, RewardConfig(), 99, [judge(model, judged=judged, shape="raw")])([(GENERAL, completion(BEST))])
    assert raw.reward == pytest.approx(plain(model, "7 3 9 tell", read), abs=1e-5)


def test_rules_judge_what_can_be_verified_and_models_the_rest(model: Any) -> None:
    score = scorer(CHAT, RewardConfig(), 99, [judge(model)])
    right = completion("<think> 3 5 + 8 so </think> <answer> 8 </answer>")
    maths, general, broken = score([(MATHS, right), (GENERAL, completion(OTHER)), (GENERAL, completion(BROKEN))])
    assert maths.parts == {"accuracy": 1.0} and maths.reward == 1.0
    assert set(general.parts) == {"helpful"} and general.reward > 0 and not general.verdict.correct
    assert broken.reward == 0.0  # form gates a model's reward as it gates a verdict's


def test_several_models_add_up_and_each_counts_from_its_step(model: Any) -> None:
    models = [judge(model, "safe", judged="whole"), judge(model, "helpful", from_step=5)]
    score = scorer(CHAT, RewardConfig(), 99, models)
    early, late = score([(GENERAL, completion(BEST, 4)), (GENERAL, completion(BEST, 5))])
    assert "helpful" not in early.parts and early.reward == early.parts["safe"] > 0
    assert late.parts["helpful"] > 0 and late.reward == pytest.approx(sum(late.parts.values()))
    assert late.parts["safe"] == early.parts["safe"]


def test_many_at_a_time_or_one_is_the_same(model: Any) -> None:
    asked = [
        (replace(GENERAL, messages=(Message("user", f"{n} 3 9 tell"),)), completion(t))
        for n in (1, 2, 7)
        for t in (BEST, OTHER, BROKEN)
    ]
    score = scorer(CHAT, RewardConfig(format="free"), 99, [judge(model)])
    together = [one.reward for one in score(asked)]
    assert together == pytest.approx([score([one])[0].reward for one in asked], abs=1e-6)
    assert len(set(together)) > 3


def test_a_reply_without_the_part_that_is_judged_earns_nothing(model: Any) -> None:
    score = scorer(CHAT, RewardConfig(format="free"), 99, [judge(model, judged="thought")])
    assert score([(GENERAL, completion("<answer> 3 7 9 </answer>"))])[0].reward == 0.0


@pytest.mark.parametrize(
    ("form", "text", "paid"),
    [
        ("additive", "3 7 9 thanks", False),
        ("additive", "<think> 3 7 9 thanks 3 7", False),
        ("additive", "<answer> 3 7 9 </answer>", True),
        ("free", "3 7 9 thanks", True),
        ("free", "<think> 3 7 9 thanks 3 7", False),
    ],
)
def test_it_pays_only_where_a_right_answer_would_be_paid(model: Any, form: str, text: str, paid: bool) -> None:
    config = parse_config(RewardConfig, {"format": form}, "reward")
    score = scorer(CHAT, config, 99, [judge(model, judged="whole")])
    assert (score([(GENERAL, completion(text))])[0].parts["helpful"] > 0) is paid
    cut = replace(completion(text), finish=FinishReason.LENGTH)
    assert score([(GENERAL, cut)])[0].parts["helpful"] == 0.0


def test_a_model_cannot_bear_the_name_of_a_rule() -> None:
    with pytest.raises(UserError, match="'accuracy' is the name of a rule's part"):
        parse_config(RewardConfig, {"models": {"accuracy": {"model": "x"}}}, "stages.final.reward")
    with pytest.raises(UserError, match="reward.models.good.model: this key is required"):
        parse_config(RewardConfig, {"models": {"good": {}}}, "stages.final.reward")


def test_parts_of_a_reply() -> None:
    assert part_of(CHAT, BEST, "thought") == "7 3 9 no so"
    assert part_of(CHAT, "hello", "answer") == "hello"
    with pytest.raises(UserError, match="it has no thought"):
        part_of(CHAT, "hello", "thought")
