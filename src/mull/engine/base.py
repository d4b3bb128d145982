"""What an engine is: requests in, completions out, token ids at both ends.

An engine declares what it can do, so that a strategy which needs more says so at once. Left out on purpose: text
(`core.chat` converts) and verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from mull.core.errors import UserError
from mull.core.types import Completion


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy; `top_k` 0, `top_p` 1 and `min_p` 0 are off.

    Raises:
        UserError: a value out of range.

    Example: `Sampling(max_tokens=256, temperature=0.6, top_p=0.95)`
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise UserError(f"max_tokens must be 1 or more, not {self.max_tokens}")
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature must be 0 (greedy) or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k < 0:
            raise UserError(f"top_k must be 0 (off) or more, not {self.top_k}")
        if not 0 <= self.min_p < 1:
            raise UserError(f"min_p must be at least 0 and below 1, not {self.min_p}")


class Controller(Protocol):
    """Decides, before each token of one sample, whether to force it."""

    def next(self, generated: Sequence[int]) -> int | None:
        """The token id to put at position `len(generated)`, or None to sample it."""
        ...


@dataclass(frozen=True)
class Request:
    """`n` samples for one prompt. Random numbers of sample i at position t depend on (seed, id, i, t) only.

    `controller(i)` makes sample i's controller. Ids are unique among the requests in flight.

    Example: `Request("p1", (1, 5, 9), Sampling(64), n=16, seed=0, stop_ids=frozenset({2}))`
    """

    id: str
    prompt_ids: tuple[int, ...]
    sampling: Sampling
    n: int = 1
    seed: int = 0
    stop_ids: frozenset[int] = frozenset()
    controller: Callable[[int], Controller] | None = None


@dataclass(frozen=True)
class Finished:
    """One sample that ended, with its request's place in the list. Example: `Finished(0, completion)`"""

    request: int
    completion: Completion


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do. Example: `engine.capabilities.force_tokens`"""

    force_tokens: bool = False
    cancel: bool = False
    logprobs: bool = False
    fork_prefix: bool = False
    continue_prefix: bool = False


class Engine(Protocol):
    """Turns requests into completions. Text and spans of a completion are left for `core.chat` to fill in."""

    @property
    def capabilities(self) -> Capabilities: ...

    def generate(self, requests: Sequence[Request]) -> list[tuple[Completion, ...]]:
        """All samples of every request, in order."""
        ...

    def stream(self, requests: Sequence[Request]) -> Iterator[Finished]:
        """Samples as they end."""
        ...

    def cancel(self, request_id: str) -> None:
        """End a request's samples at their next token; they come back as cancelled."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor], version: int) -> None:
        """Sample from these weights from now on."""
        ...

    def rest(self) -> None:
        """No request comes for a while (a learner needs the memory): hand back what can be made again."""
        ...
