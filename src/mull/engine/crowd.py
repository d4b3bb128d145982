"""Many questions to one server: so many in flight, again where that helps, within a budget, nothing asked twice.

    worker 1…concurrency: next question ─► budget? ─► sent ─► ask ─┬─ answer ─► journal, synced ─► next question
            (one thread)        ▲          waits for those         ├─ again ─► 2^k × backoff, or as told ─► budget?
                                │          in flight to come back  └─ not again ─► failed, counted ─► next question
                                └─ nobody takes one any more: stop(), the budget, a wrong key, too many failures

What is in flight when that happens is awaited and kept: it is paid. A failed question is asked again only when the
stage is taken up again. Left out on purpose: what the questions are.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mull.core.errors import Stopped, UserError
from mull.core.said import Said
from mull.core.types import FinishReason
from mull.engine.journal import Journal
from mull.engine.purse import Most
from mull.engine.remote import Answer, Client, Refused, RemoteConfig

LONGEST_WAIT = 120.0
"""Seconds; no server's Retry-After keeps us longer."""
LONGEST_BACKOFF = 60.0
NAP = 0.25
"""Seconds between looks at whether somebody asked to stop."""
HOPELESS = 20
"""Failures without a single answer after which nobody goes on."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Question:
    """A body to send, the name that its answer is kept under, and what it can cost. `note` is kept with the answer.

    Example: `Question("5f0c…", {"model": "m", "messages": […]}, Most(40, 256), {"problem_id": "a", "sample": 0})`
    """

    key: str
    body: dict[str, Any]
    most: Most
    note: dict[str, Any] = field(default_factory=dict)


@dataclass
class Crowd:
    """Asks all of `ask`'s questions that the journal does not answer yet; `failed` then says how many for what.

    `report` is told how many are answered or failed, and what it cost so far.

    Example: `Crowd(config, journal).ask(questions)`
    """

    config: RemoteConfig
    journal: Journal
    key: str = "remote"
    """Where the recipe configures it, for messages."""
    stop: Callable[[], bool] = lambda: False
    report: Callable[[int, dict[str, float]], None] = lambda done, metrics: None
    sleep: Sleep = asyncio.sleep
    failed: dict[str, str] = field(default_factory=dict)
    """Question → why it has no answer."""
    _halt: Exception | None = None
    _flying: int = 0

    def ask(self, questions: Sequence[Question]) -> None:
        """Returns when every question is answered or has failed for good.

        Raises:
            Stopped: somebody asked to stop, or the budget is spent; what was answered is kept.
            UserError: the server refuses us altogether, or too many questions failed.
        """
        missing = [question for question in questions if question.key not in self.journal]
        if not missing:
            return
        self._total, self._done = len(questions), len(questions) - len(missing)
        self._began, self._answered = time.monotonic(), 0
        self._queue = iter(missing)
        asyncio.run(self._run(min(self.config.concurrency, len(missing))))
        if isinstance(self._halt, Stopped) and not self._halt.args:  # what was in flight then is counted by now
            raise Stopped(f"stopped after {self._done} of {self._total} requests")
        if self._halt is not None:
            raise self._halt

    async def _run(self, workers: int) -> None:
        self._landed = asyncio.Condition()
        async with Client(self.config, welcome=self.journal.purse.answers > 0) as client:
            await asyncio.gather(*(self._work(client) for _ in range(workers)))

    async def _work(self, client: Client) -> None:
        while not self._halting():
            question = next(self._queue, None)
            if question is None:
                return
            try:
                await self._settle(client, question)
            except Exception as error:  # what others have in flight is paid: they bring it in before this is raised
                self._halt = self._halt or error
                return

    async def _settle(self, client: Client, question: Question) -> None:
        """Ask until there is an answer or no hope of one."""
        for attempt in range(self.config.retries + 1):
            if not await self._within_budget(question.most):
                return
            try:
                answer = await self._attempt(client, question)
            except Refused as refused:
                if refused.again and attempt < self.config.retries:
                    await self._wait(attempt, refused.wait)
                    if self._halting():
                        return
                    continue
                self._fail(question, str(refused))
                return
            self._answered += answer is not None
            self._advance()
            return

    async def _attempt(self, client: Client, question: Question) -> Answer:
        """One attempt, in the journal before it sets out and when it is back."""
        key, most = question.key, question.most
        self.journal.sent(key, most)
        self._flying += 1
        try:
            answer = await client.ask(question.body)
            record = {**question.note, **as_record(answer)}
            self.journal.answered(key, record, answer.usage, most)
            return answer
        except Refused as refused:
            (self.journal.lost if refused.billed else self.journal.refused)(key, str(refused), most)
            raise
        except UserError as error:
            self.journal.refused(key, str(error), most)
            raise
        finally:
            self._flying -= 1
            async with self._landed:
                self._landed.notify_all()

    async def _within_budget(self, most: Most) -> bool:
        """Waits until the budget allows an attempt; False when it never will, or somebody asked to stop."""
        async with self._landed:
            while not self._halting():
                if self.journal.purse.allows(most):
                    return True
                if not self._flying:
                    self._halt = Stopped(self._at_budget(most))
                    break
                await self._landed.wait()
            self._landed.notify_all()
        return False

    async def _wait(self, attempt: int, asked: float | None) -> None:
        """As long as the server asked for, or twice as long as the last time; never in step with the others."""
        wait = min(self.config.backoff * 2**attempt, LONGEST_BACKOFF) * random.uniform(0.5, 1.0)
        if asked is not None:
            wait = max(min(asked, LONGEST_WAIT), wait)
        while wait > 0 and not self._halting():
            await self.sleep(min(wait, NAP))
            wait -= NAP

    def _fail(self, question: Question, why: str) -> None:
        self.failed[question.key] = why
        self._advance()
        hopeless = len(self.failed) >= HOPELESS and not self._answered and len(self.failed) == self._done
        if hopeless or len(self.failed) > self.config.max_failures * self._total:
            self._halt = self._halt or self._too_many()

    def _halting(self) -> bool:
        if self._halt is None and self.stop():
            self._halt = Stopped()
        return self._halt is not None

    def _advance(self) -> None:
        self._done += 1
        purse = self.journal.purse
        metrics = {"requests_a_minute": 60 * self._answered / max(time.monotonic() - self._began, 1e-3)}
        if purse.told:
            metrics["tokens"] = float((purse.prompt or 0) + (purse.completion or 0))
        if self.config.prices is not None:
            metrics["cost"] = purse.spent
        self.report(self._done, metrics)

    def _too_many(self) -> UserError:
        why, times = Counter(self.failed.values()).most_common(1)[0]
        return UserError(
            f"{self.config.url}: {len(self.failed)} of {self._total} requests failed for good, most often ({times}): "
            f"{why}; what was answered is kept: mend it and run again, or raise {self.key}.max_failures"
        )

    def _at_budget(self, most: Most) -> str:
        purse = self.journal.purse
        return (
            f"{purse.spent:.4g} of a budget of {self.config.budget:g} spent after {self._done} of {self._total} "
            f"requests, and the next could cost {purse.price(most):.4g}: raise {self.key}.budget"
        )

    def summary(self, questions: Sequence[Question]) -> dict[str, Any]:
        """Requests, retries, failures, tokens and cost, over all the times the stage was taken up."""
        journal = self.journal
        failed = [journal.whys.get(question.key, "") for question in questions if question.key not in journal]
        counts = {"requests": journal.attempts, "answers": journal.purse.answers, "retries": journal.retries}
        reasons = {"reasons": dict(Counter(failed).most_common(5))} if failed else {}
        return {**counts, "failures": len(failed), **reasons, **journal.purse.summary()}


def as_record(answer: Answer) -> dict[str, Any]:
    """An answer as plain values, for the journal."""
    said = answer.said
    return {"thought": said.thought, "reply": said.reply, "closed": said.closed, "finish": str(answer.finish),
            "tokens": answer.usage.completion, "thinking_tokens": answer.usage.reasoning}  # fmt: skip


def said_of(record: dict[str, Any]) -> tuple[Said, FinishReason]:
    """What `as_record` wrote."""
    return Said(record["thought"], record["reply"], record["closed"]), FinishReason(record["finish"])
