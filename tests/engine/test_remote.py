"""One question and many, asked of a real server on this machine whose answers are scripted: that edge is isolated."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from mull.core.config import parse_config
from mull.core.errors import Stopped, UserError
from mull.core.said import Said
from mull.core.types import FinishReason
from mull.engine.crowd import Crowd, Question, said_of
from mull.engine.journal import Journal
from mull.engine.purse import Most, Prices, Purse, Usage
from mull.engine.remote import Answer, Client, Refused, RemoteConfig, retry_after, usage_of

KEY = "sk-very-secret-0123456789"
ASKED = {"model": "m", "messages": [{"role": "user", "content": "6 × 7?"}], "max_tokens": 9}
MOST = Most(50, 100)


def remote(openai: Any, **more: Any) -> RemoteConfig:
    given = {"url": openai.url, "model": "m", "concurrency": 4, "backoff": 0.001, "retries": 2, **more}
    return parse_config(RemoteConfig, given, "remote")


def ask(config: RemoteConfig, **more: Any) -> Answer:
    async def run() -> Answer:
        async with Client(config, **more) as client:
            return await client.ask(dict(ASKED))

    return asyncio.run(run())


def questions(count: int) -> list[Question]:
    return [Question(f"q{i}", {**ASKED, "seed": i}, MOST) for i in range(count)]


class Asking:
    """A crowd with its journal on disk; naps are counted, not slept."""

    def __init__(self, path: Path, config: RemoteConfig, **more: Any) -> None:
        self.naps: list[float] = []
        self.journal = Journal(path / "answers.jsonl", Purse(config.prices or Prices(), config.budget))
        self.crowd = Crowd(config, self.journal, "stages.a.remote", sleep=self._nap, **more)

    async def _nap(self, seconds: float) -> None:
        self.naps.append(seconds)
        await asyncio.sleep(0)

    def run(self, asked: list[Question]) -> dict[str, Any]:
        try:
            self.crowd.ask(asked)
            return self.crowd.summary(asked)
        finally:
            self.journal.close()


def replies(path: Path) -> dict[str, str]:
    with Journal(path / "answers.jsonl", Purse()) as journal:
        return {key: said_of(journal[key])[0].reply for key in (f"q{i}" for i in range(200)) if key in journal}


def test_a_question_and_its_answer(openai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    openai.script = lambda body, number: openai.say("42", reasoning_content="6 × 7")
    found = ask(remote(openai, key_env="SOME_KEY"))
    assert found == Answer(Said("6 × 7", "42"), FinishReason.STOP, Usage(20, 30, 10))
    assert openai.seen == [ASKED] and openai.keys == [f"Bearer {KEY}"]
    openai.script = lambda body, number: openai.say("<think>6", finish="length", usage=None)
    assert ask(remote(openai)) == Answer(Said("6", "", False), FinishReason.LENGTH, Usage())
    assert openai.keys[-1] is None


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, r"answered 401 \(no such key\): check the key in SOME_KEY"),
        (402, "the account has no credit"),
        (403, "check the key in SOME_KEY"),
        (404, "check model = 'm' and url"),
        (307, "set url to its new address"),
    ],
)
def test_what_no_other_question_would_mend(
    openai: Any, monkeypatch: pytest.MonkeyPatch, status: int, line: str
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    openai.script = lambda body, number: (status, {"error": {"message": "no such key"}}, {"Location": "/v2"})
    with pytest.raises(UserError, match=line):
        ask(remote(openai, key_env="SOME_KEY"))


def test_a_server_that_knows_us_refuses_only_the_question(openai: Any) -> None:
    openai.script = lambda body, number: (403, {"error": "flagged"}, {})
    with pytest.raises(Refused, match=r"403 \(flagged\)") as refused:
        ask(remote(openai), welcome=True)
    assert not refused.value.again and not refused.value.billed


@pytest.mark.parametrize(
    ("answer", "why", "again", "billed"),
    [
        (
            (400, {"error": {"message": "max_tokens is\n too large"}}, {}),
            r"400 \(max_tokens is too large\)",
            False,
            False,
        ),
        ((422, {"detail": [{"msg": "no seed"}]}, {}), r'422 \(\[{"msg": "no seed"}\]\)', False, False),
        ((429, {}, {"Retry-After": "7"}), "429", True, False),
        ((503, b"<html>busy</html>", {}), r"503 \(<html>busy</html>\)", True, False),
        ((200, b"{'no json", {}), "no chat completion", True, True),
        ((200, b"[" * 100_000, {}), "no chat completion", True, True),
        ((200, {"choices": []}, {}), "it has no message", True, True),
        ((200, {"error": {"message": "upstream died"}}, {}), "upstream died", True, True),
        ("cut", "cut off", True, True),
        ("hang", "no answer within 0.05 s", True, True),
    ],
)
def test_what_is_no_answer(openai: Any, answer: Any, why: str, again: bool, billed: bool) -> None:
    openai.script = lambda body, number: answer
    with pytest.raises(Refused, match=why) as refused:
        ask(remote(openai, timeout=0.05 if answer == "hang" else 30))
    assert (refused.value.again, refused.value.billed) == (again, billed)
    assert refused.value.wait == (7 if "Retry-After" in str(answer) else None)


def test_nobody_there(openai: Any) -> None:
    with pytest.raises(Refused, match="not reached") as refused:
        ask(remote(openai, url="http://127.0.0.1:9/v1"))
    assert refused.value.again and not refused.value.billed


def test_the_key_is_repeated_nowhere(openai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    config = remote(openai, key_env="SOME_KEY")
    openai.script = lambda body, number: (401, {"error": {"message": f"bad key {KEY}"}}, {})
    with pytest.raises(UserError) as error:
        ask(config)
    assert KEY not in str(error.value) and "bad key [key]" in str(error.value)
    openai.script = lambda body, number: (
        400,
        ("x" * 290 + KEY).encode(),
        {},
    )  # cut within the key, were it not blotted
    with pytest.raises(Refused) as refused:
        ask(config)
    assert KEY[:8] not in str(refused.value)
    openai.script = lambda body, number: openai.say(f"it is {KEY} \ud800", reasoning=KEY)
    assert ask(config).said == Said("[key]", "it is [key] �")
    with pytest.raises(UserError) as wrong:
        remote(openai, key_env=KEY)
    assert KEY not in str(wrong.value) and "not the key" in str(wrong.value)
    monkeypatch.setenv("SOME_KEY", "sk-\nSet-Cookie")
    with pytest.raises(UserError, match="SOME_KEY holds characters") as broken:
        ask(config)
    assert "Cookie" not in str(broken.value)
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(UserError, match="SOME_KEY is not set"):
        ask(config)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"url": "api.deepseek.com"}, "url is where the API begins"),
        ({"url": "http://[::1"}, "url is where the API begins"),
        ({"url": "https://me:pw@host/v1"}, "no user or password"),
        ({"url": "https://host/v1/chat/completions"}, "leave that out"),
        ({"budget": 1.0}, "a budget needs prices"),
        ({"extra": {"n": 4}}, "cannot change 'n'"),
        ({"prices": {"inputs": 1.0}}, "did you mean 'input'"),
    ],
)
def test_a_configuration_that_cannot_be(openai: Any, more: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as error:
        remote(openai, **more)
    assert "pw" not in str(error.value)


def test_numbers_in_headers_and_usage() -> None:
    assert [retry_after(text) for text in ("3", "0.5", "-1", "soon", "inf", "nan", None)] == [
        3,
        0.5,
        0,
        None,
        None,
        None,
        None,
    ]
    later = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True))
    assert later is not None and 80 < later <= 90
    assert usage_of({"prompt_tokens": 1, "completion_tokens": True, "reasoning_tokens": 3}) == Usage(1, None, 3)
    assert usage_of("7") == Usage()


def test_all_are_answered_once_and_never_too_many_at_a_time(openai: Any, tmp_path: Path) -> None:
    gate = threading.Barrier(4)

    def script(body: dict[str, Any], number: int) -> Any:
        if number < 8:
            gate.wait(10)  # so that four are in flight for certain
        return openai.say(str(body["seed"]))

    openai.script = script
    done: list[int] = []
    asking = Asking(tmp_path, remote(openai), report=lambda number, metrics: done.append(number))
    summary = asking.run(questions(40))
    assert replies(tmp_path) == {f"q{i}": str(i) for i in range(40)} and openai.peak == 4
    assert sorted(body["seed"] for body in openai.seen) == list(range(40)) and done == list(range(1, 41))
    assert summary == {
        "requests": 40, "answers": 40, "retries": 0, "failures": 0, "prompt_tokens": 800, "completion_tokens": 1200,
        "reasoning_tokens": 400, "untold": 0, "cost": None,
    }  # fmt: skip
    Asking(tmp_path, remote(openai)).run(questions(44))
    assert sorted(body["seed"] for body in openai.seen[40:]) == [40, 41, 42, 43]


def test_again_as_the_server_asks(openai: Any, tmp_path: Path) -> None:
    answers: list[Any] = [(429, {}, {"Retry-After": "3"}), (500, {}, {}), "cut", (429, {}, {"Retry-After": "9999"})]
    openai.script = lambda body, number: answers[number] if number < len(answers) else openai.say("42")
    asking = Asking(tmp_path, remote(openai, retries=4, prices={"output": 2.0}))
    summary = asking.run(questions(1))
    assert (summary["retries"], summary["failures"], summary["untold"]) == (4, 0, 1)
    assert summary["cost"] == pytest.approx(130 * 2e-6)  # the answer's 30 tokens, and the 100 that were cut at most
    # 3 s as asked, two short back-offs of ours, and no more than two minutes whatever a server asks for.
    assert sum(asking.naps) == pytest.approx(123, abs=0.01) and max(asking.naps) <= 0.25


def test_failures_are_counted_and_too_many_end_it(openai: Any, tmp_path: Path) -> None:
    def script(body: dict[str, Any], number: int) -> Any:
        return (400, {"error": {"message": "too long"}}, {}) if body["seed"] in (3, 7) else openai.say("42")

    openai.script = script
    summary = Asking(tmp_path, remote(openai, max_failures=0.2)).run(questions(10))
    assert (summary["failures"], summary["reasons"]) == (2, {"400 (too long)": 2})
    assert len(openai.seen) == 10  # no 400 is tried again
    openai.script = lambda body, number: (500, {}, {})
    with pytest.raises(
        UserError, match=r"of 30 requests failed for good, most often \(5\): 500; .*stages.a.remote.max_f"
    ):
        Asking(tmp_path, remote(openai, max_failures=0.15, retries=0, concurrency=1)).run(questions(30))
    assert len(replies(tmp_path)) == 8
    before = len(openai.seen)
    with pytest.raises(UserError, match="20 of 60"):  # not one answer: nobody waits for all sixty
        Asking(tmp_path / "b", remote(openai, max_failures=1.0, retries=0, concurrency=1)).run(questions(60))
    assert len(openai.seen) - before == 20


def test_a_wrong_key_ends_it_and_what_is_paid_stays(openai: Any, tmp_path: Path) -> None:
    bad, good = threading.Event(), threading.Event()

    def script(body: dict[str, Any], number: int) -> Any:
        if body["seed"] == 0:
            good.wait(10)  # the other is on its way
            bad.set()
            return 401, {}, {}
        if body["seed"] == 1:
            good.set()
            bad.wait(10)
        return openai.say("42")

    openai.script = script
    with pytest.raises(UserError, match="answered 401: name the variable of a key in key_env"):
        Asking(tmp_path, remote(openai, concurrency=2)).run(questions(50))
    assert replies(tmp_path)["q1"] == "42" and len(openai.seen) < 10


def test_the_budget_stops_before_it_is_exceeded_and_can_be_raised(openai: Any, tmp_path: Path) -> None:
    prices = {"input": 1.0, "output": 10.0}  # an answer costs 320 millionths, and at most 1,050
    with pytest.raises(
        Stopped, match=r"spent after 10 of 30 requests, and the next could cost 0.00105: raise stages.a"
    ):
        Asking(tmp_path, remote(openai, prices=prices, budget=0.004, concurrency=3)).run(questions(30))
    spent = len(openai.seen) * 320
    assert spent <= 4000 < spent + 1050
    summary = Asking(tmp_path, remote(openai, prices=prices, budget=0.02)).run(questions(30))
    assert len(openai.seen) == 30 and summary["cost"] == pytest.approx(30 * 320e-6)
    with pytest.raises(Stopped, match="0 of a budget of 0.001 spent after 0 of 30"):
        Asking(tmp_path / "b", remote(openai, prices=prices, budget=0.001)).run(questions(30))
    assert len(openai.seen) == 30


def test_stopping_keeps_what_is_in_flight(openai: Any, tmp_path: Path) -> None:
    def stops() -> bool:
        return len(openai.seen) >= 5

    with pytest.raises(Stopped, match=r"stopped after \d of 40 requests") as stopped:
        Asking(tmp_path, remote(openai, concurrency=2), stop=stops).run(questions(40))
    assert len(replies(tmp_path)) == len(openai.seen) < 10 and f"after {len(openai.seen)} of" in str(stopped.value)


def test_nothing_but_known_keys_goes_out(openai: Any, tmp_path: Path) -> None:
    Asking(tmp_path, remote(openai)).run(questions(1))
    line = [json.loads(text) for text in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [next(iter(each)) for each in line] == ["sent", "answered"]
    assert line[1]["record"]["finish"] == "stop" and line[1]["usage"]["completion"] == 30
