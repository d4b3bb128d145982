"""Collecting a step's groups, with a scripted engine at the edge: everything behind it is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.errors import UserError
from mull.core.types import Completion, FinishReason, Problem
from mull.engine.base import Request
from mull.engine.local import LocalEngine
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.rewards.score import RewardConfig, scorer
from mull.rollout.collect import CollectConfig, Collected, SamplingConfig, collect
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import load_task
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
CHAT = Chat(TOKENIZER)
PROBLEMS = load_task("chain_mod:dev?limit=40")
BY_ID = {problem.id: problem for problem in PROBLEMS}


class ScriptedEngine:
    """Answers rightly where `script(problem, sample)` says so, and remembers what it was asked."""

    def __init__(self, script: Callable[[Problem, int], bool]) -> None:
        self.script = script
        self.rounds: list[list[Request]] = []

    def generate(self, requests: Sequence[Request]) -> list[tuple[Completion, ...]]:
        self.rounds.append(list(requests))
        return [tuple(self._completion(request, i) for i in range(request.n)) for request in requests]

    def _completion(self, request: Request, sample: int) -> Completion:
        problem = BY_ID[request.id.rpartition("#")[0]]
        right = int(problem.data["answer"])
        said = right if self.script(problem, sample) else (right + 1) % 11
        ids = tuple(TOKENIZER(f"<think> so </think> <answer> {said} </answer> <eos>")["input_ids"])
        return Completion(request.prompt_ids, ids, (-1.0,) * len(ids), FinishReason.STOP, sample=sample)


def run(engine: Any, seed: int = 0, tokens: int = 32, **config: Any) -> Collected:
    settings = parse_config(CollectConfig, config, "stages.zero")
    score = scorer(CHAT, RewardConfig(), tokens)
    return collect(engine, CHAT, TaskIterator({"dev": PROBLEMS}, seed=seed), score, settings,
                   SamplingConfig(max_tokens=tokens), seed)  # fmt: skip


def mixed(problem: Problem, sample: int) -> bool:
    return sample % 2 == 0


def test_one_round_keeps_constant_groups() -> None:
    engine = ScriptedEngine(lambda problem, sample: True)
    found = run(engine, prompts=5, group_size=4)
    assert found.kept == found.all and len(found.kept) == 5 and len(engine.rounds) == 1
    assert all(group.rewards == (1.0,) * 4 for group in found.kept)


def test_constant_groups_are_replaced_until_the_batch_is_full() -> None:
    hopeless = {problem.id for problem in PROBLEMS[::2]}
    engine = ScriptedEngine(lambda problem, sample: problem.id not in hopeless and mixed(problem, sample))
    found = run(engine, prompts=6, group_size=4, max_rounds=20)
    assert len(found.kept) == 6 and not hopeless & {group.problem.id for group in found.kept}
    assert [group.draw for group in found.all] == list(range(len(found.all)))  # all of them, in the order drawn
    asked = [len(requests) for requests in engine.rounds]
    informative = iter(group.problem.id not in hopeless for group in found.all)
    missing = 6
    for size in asked:  # each round asks for what is missing, no more
        assert size == missing
        missing -= sum(next(informative) for _ in range(size))
    assert missing == 0


def test_rounds_are_capped() -> None:
    engine = ScriptedEngine(lambda problem, sample: False)
    found = run(engine, prompts=3, group_size=2, max_rounds=4)
    assert found.kept == () and len(engine.rounds) == 4 and len(found.all) == 12


def test_requests_carry_what_fixes_their_randomness() -> None:
    engine = ScriptedEngine(mixed)
    run(engine, seed=3, prompts=4, group_size=2)
    (requests,) = engine.rounds
    assert len({request.id for request in requests}) == 4
    for number, request in enumerate(requests):
        problem = BY_ID[request.id.rpartition("#")[0]]
        assert request.id == f"{problem.id}#{number}" and request.seed == 3
        assert request.prompt_ids == CHAT.encode(problem.messages) and request.stop_ids == CHAT.stop_ids


def test_same_seed_same_groups_from_a_real_model() -> None:
    model = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), TOKENIZER, seed=0)

    def sampled(seed: int, slots: int) -> list[tuple[int, ...]]:
        found = run(LocalEngine(model, slots=slots), seed, prompts=3, group_size=3, tokens=12)
        return [scored.completion.token_ids for group in found.all for scored in group.samples]

    first = sampled(0, slots=64)
    assert first == sampled(0, slots=2) and first != sampled(1, slots=64)
    assert len(set(first)) > 1


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SamplingConfig, {"top_p": 0.95}, r"sampling\.top_p: top_p below 1 in training.*got 0\.95"),
        (SamplingConfig, {"top_k": 40}, r"sampling\.top_k: truncated sampling in training"),
        (SamplingConfig, {"min_p": 0.1}, r"sampling\.min_p: truncated sampling in training"),
        (SamplingConfig, {"temperature": 0}, r"sampling\.temperature: .*greater than 0"),
        (CollectConfig, {"group_size": 1}, r"sampling\.group_size: a group of one has nothing to compare with"),
        (CollectConfig, {"groupsize": 8}, r"unknown key; did you mean 'group_size'\?"),
    ],
)
def test_settings_that_ruin_runs_are_refused(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(kind, values, "sampling")
