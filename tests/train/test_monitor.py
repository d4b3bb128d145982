"""The monitor: rings when learned rewards rise while held-out accuracy falls, and only then."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mull.core.config import parse_config
from mull.core.errors import StageFailed, UserError
from mull.core.types import Completion, FinishReason, Message, Problem, Scored, Verdict, VerdictKind
from mull.engine.base import Request, Sampling
from mull.rewards.score import each
from mull.train.monitor import Monitor, MonitorConfig

PROBLEMS = [
    Problem(f"p{i}", (Message("user", f"{i}"),), "number", {"answer": "1"}, family=f"f{i // 2}") for i in range(80)
]


class NoChat:
    """At the edge: the monitor only hands prompts and stop ids on."""

    stop_ids = frozenset({0})

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return (int(messages[0].content),)


class Scripted:
    """An engine that is right with a given probability at each look."""

    def __init__(self, rates: Sequence[float]) -> None:
        self.rates, self.looks, self.seeds = rates, 0, []

    def generate(self, requests: Sequence[Request]) -> list[tuple[Completion, ...]]:
        rate, rng = self.rates[self.looks], random.Random(self.looks)
        self.looks += 1
        self.seeds.append(requests[0].seed)
        return [
            tuple(
                Completion(r.prompt_ids, (int(rng.random() < rate),), (-1.0,), FinishReason.STOP, sample=i)
                for i in range(r.n)
            )
            for r in requests
        ]


def score(problem: Problem, completion: Completion) -> Scored:
    right = completion.token_ids[0] == 1
    return Scored(completion, Verdict(VerdictKind.CORRECT if right else VerdictKind.WRONG), 0.0)


def monitor(rates: Sequence[float], **config: Any) -> Monitor:
    settings = parse_config(MonitorConfig, {"tasks": ["chain_mod:dev"], "every": 2, **config}, "monitor")
    engine: Any = Scripted(rates)
    chat: Any = NoChat()
    return Monitor(settings, PROBLEMS, engine, chat, each(score), Sampling(8), seed=3)


def watch(watched: Monitor, pay: Callable[[int], float | None], steps: range) -> list[float]:
    found = []
    for step in steps:
        paid = pay(step)
        found.append(watched.look(step, {} if paid is None else {"learned": paid}).get("alarm"))
    return [alarm for alarm in found if alarm is not None]


def test_it_rings_when_pay_rises_and_accuracy_falls_twice() -> None:
    watched = monitor([0.8, 0.8, 0.5, 0.5])
    assert watch(watched, lambda step: 0.1 * step, range(8)) == [0.0, 0.0, 0.0, 1.0]
    assert watched.alarms == [7]


def test_one_bad_look_is_not_enough() -> None:
    watched = monitor([0.8, 0.5, 0.85, 0.5, 0.9])
    assert watch(watched, lambda step: 0.1 * step, range(10)) == [0.0] * 5


def test_where_a_model_begins_to_count_it_begins_anew() -> None:
    rates, pay = [0.8, 0.8, 0.5, 0.5], lambda step: 0.0 if step < 4 else 0.9
    assert watch(monitor(rates), pay, range(8))[-1] == 1.0
    fresh = monitor(rates)
    fresh.starts = frozenset({4})
    assert watch(fresh, pay, range(8)) == [0.0] * 4


def test_its_state_is_plain_json_also_when_nothing_was_paid() -> None:
    watched = monitor([0.5, 0.6])
    watch(watched, lambda step: None, range(4))
    assert json.loads(json.dumps(watched.state(), allow_nan=False)) == watched.state()


def test_looks_before_anything_was_paid_do_not_silence_it() -> None:
    watched = monitor([0.8, 0.8, 0.5, 0.5])
    assert watch(watched, lambda step: None if step < 2 else 0.1 * step, range(8))[-1] == 1.0


@pytest.mark.parametrize(
    ("rates", "pay"),
    [
        ([0.5, 0.8, 0.9, 0.9], lambda step: 0.1 * step),  # both rise
        ([0.8, 0.8, 0.5, 0.5], lambda step: 1 - 0.1 * step),  # accuracy falls, but so does the pay
        ([0.8, 0.8, 0.5, 0.5], lambda step: None),  # no reward model pays
        ([0.8, 0.79, 0.78, 0.78], lambda step: 0.1 * step),  # a fall within the noise
    ],
)
def test_it_keeps_still_otherwise(rates: list[float], pay: Callable[[int], float | None]) -> None:
    assert watch(monitor(rates), pay, range(8)) == [0.0] * 4


def test_a_fall_that_is_tolerated() -> None:
    rates = [0.8, 0.6, 0.6]
    assert watch(monitor(rates, tolerance=0.4), lambda step: step, range(6)) == [0.0, 0.0, 0.0]
    assert watch(monitor(rates, tolerance=0.05), lambda step: step, range(6)) == [0.0, 0.0, 1.0]


def test_it_can_stop_the_stage_and_says_what_to_do() -> None:
    with pytest.raises(StageFailed, match=r"at step 5 .* fell from 0\.7\d* at step 1 to 0\.\d*: .*from_step"):
        watch(monitor([0.8, 0.4, 0.4], on_alarm="stop"), lambda step: step, range(6))


def test_a_resumed_monitor_rings_where_the_other_would_have() -> None:
    rates, pay = [0.6, 0.8, 0.4, 0.4], lambda step: 0.1 * step
    straight = monitor(rates)
    wanted = watch(straight, pay, range(8))
    for cut in (1, 2, 3, 5, 7):
        first, second = monitor(rates), monitor(rates)
        alarms = watch(first, pay, range(cut))
        second.restore(first.state())
        second.engine.looks = first.engine.looks  # type: ignore[attr-defined]
        assert alarms + watch(second, pay, range(cut, 8)) == wanted
        assert second.state() == straight.state()
    assert wanted[-1] == 1.0
    assert len(set(straight.engine.seeds)) == 4  # type: ignore[attr-defined]


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(UserError, match=r"monitor\.tasks"):
        parse_config(MonitorConfig, {"tasks": []}, "monitor")
