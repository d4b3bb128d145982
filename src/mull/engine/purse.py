"""What a server's answers cost, and whether one more may be asked for.

    spent  = known tokens × prices + the bounds of attempts whose tokens nobody told
    asking = spent + the bounds of what is in flight + the bound of the next  ≤  budget

An attempt's bound is what it can cost at most: the bytes of its prompt (a token is at least one byte) with some for
the template, and the token limit. A server that bills more than the limit it was given breaks the bound. Left out on
purpose: prices of cached prompts and of nights, which make it cheaper only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from mull.core.config import Config

MILLION = 1_000_000
BYTES_A_TOKEN = 4
"""For estimates before anything was answered: bytes of UTF-8 of a prompt that make a token, in English about four."""
TEMPLATE_TOKENS = 16
"""Tokens that a chat template puts around a message, generously."""


class Prices(Config):
    """What a million tokens cost, in whatever currency the server bills."""

    input: float = Field(default=0.0, ge=0, description="a million prompt tokens")
    output: float = Field(default=0.0, ge=0, description="a million completion tokens, thoughts included")


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer as the server counted them, None where it did not say; `completion` includes `reasoning`.

    Example: `Usage(prompt=20, completion=400, reasoning=380)`
    """

    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True)
class Most:
    """The most tokens that an attempt can be billed for. Example: `most_of(messages, 4096)`"""

    prompt: int
    completion: int


def most_of(messages: Sequence[Mapping[str, str]], max_tokens: int) -> Most:
    """The bound of asking this once."""
    size = sum(len(message["content"].encode()) + TEMPLATE_TOKENS for message in messages)
    return Most(size + TEMPLATE_TOKENS, max_tokens)


def guess_of(messages: Sequence[Mapping[str, str]]) -> int:
    """About how many tokens a prompt has: a token for every four bytes, and those of the template."""
    return sum(len(message["content"].encode()) // BYTES_A_TOKEN + TEMPLATE_TOKENS for message in messages)


@dataclass
class Purse:
    """Adds up tokens and money. Without prices everything costs nothing.

    Example: `purse = Purse(Prices(input=0.55, output=2.19), budget=5.0); purse.paid(usage, most); purse.spent`
    """

    prices: Prices = field(default_factory=Prices)
    budget: float | None = None
    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None
    answers: int = 0
    told: int = 0
    """Answers whose tokens the server told."""
    untold: int = 0
    """Attempts that may have been billed and of which nobody told the tokens: no usage, a cut connection."""
    bounds: float = 0.0
    """What those cost at most."""
    held: float = 0.0
    """The bounds of what is in flight."""

    def price(self, most: Most) -> float:
        """What so many tokens cost."""
        return (most.prompt * self.prices.input + most.completion * self.prices.output) / MILLION

    @property
    def spent(self) -> float:
        """What was spent, at most."""
        return self.price(Most(self.prompt or 0, self.completion or 0)) + self.bounds

    def allows(self, most: Most) -> bool:
        """Whether an attempt more stays within the budget, whatever those in flight turn out to cost."""
        return self.budget is None or self.spent + self.held + self.price(most) <= self.budget

    def hold(self, most: Most) -> None:
        """An attempt sets out."""
        self.held += self.price(most)

    def release(self, most: Most) -> None:
        """An attempt came back; what it cost is told apart."""
        self.held -= self.price(most)

    def paid(self, usage: Usage, most: Most) -> None:
        """An answer came."""
        self.answers += 1
        if usage.prompt is None or usage.completion is None:
            self.lost(most)
            return
        self.told += 1
        self.prompt = (self.prompt or 0) + usage.prompt
        self.completion = (self.completion or 0) + usage.completion
        if usage.reasoning is not None:
            self.reasoning = (self.reasoning or 0) + usage.reasoning

    def lost(self, most: Most) -> None:
        """An attempt that the server may have billed without our knowing for how much."""
        self.untold += 1
        self.bounds += self.price(most)

    def summary(self) -> dict[str, Any]:
        """For the stage's summary: tokens are null where no answer told them, cost without prices."""
        priced = self.prices.input > 0 or self.prices.output > 0
        tokens = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "reasoning_tokens": self.reasoning,
        }
        return {**tokens, "untold": self.untold, "cost": round(self.spent, 6) if priced else None}
