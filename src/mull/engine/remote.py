"""One question to a server that speaks the OpenAI chat format, and what its answers mean. Text in, text out.

    ask ─► POST url/chat/completions ─┬─ 200 and a completion ───────────────────────► Answer
                                      ├─ 408 409 425 429 5xx, not reached ──► Refused(again)   nothing was billed
                                      ├─ time ran out, cut, garbage ────────► Refused(again, billed)   perhaps it was
                                      ├─ 401 402 403 404 3xx ───────────────► UserError   no other question fares better
                                      └─ any other 4xx ─────────────────────► Refused   in the server's own words

No token ids come back, so that this is no `Engine`. The key is read from the environment when it is needed; wherever a
server repeats it, it is blotted out. Left out on purpose: streaming, tools, and asking many (`crowd`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
from pydantic import Field, model_validator

from mull.core.config import Config
from mull.core.errors import UserError
from mull.core.said import Said, said
from mull.core.types import FinishReason
from mull.engine.purse import Prices, Usage

MAX_BODY = 64 << 20
"""Bytes of an answer; a thought of a million tokens has some four."""
CONNECT_SECONDS = 30.0
MAX_WORDS = 300
"""Characters of a server's own words that are repeated in messages."""
AGAIN = frozenset({408, 409, 425, 429})
"""Statuses besides 5xx after which the same question may be asked again."""
STOPS = frozenset({"stop", "eos", "end_turn"})
OURS = frozenset({"model", "messages", "stream", "n"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RemoteConfig(Config):
    """A model behind an OpenAI-compatible API."""

    incidental = frozenset(
        {"key_env", "concurrency", "timeout", "retries", "backoff", "prices", "budget", "max_failures"}
    )

    url: str = Field(description='where the API begins, as in "https://api.deepseek.com/v1"')
    model: str = Field(min_length=1, description="the model's name there")
    key_env: str = Field(default="", description="the environment variable that holds the key; none: no key is sent")
    concurrency: int = Field(default=8, ge=1, le=4096, description="questions in flight")
    timeout: float = Field(default=600.0, gt=0, description="seconds for one answer, from question to last byte")
    retries: int = Field(default=5, ge=0, description="further attempts after the first")
    backoff: float = Field(default=1.0, gt=0, description="seconds before the second attempt; doubled each time")
    prices: Prices | None = Field(default=None, description="of a million tokens, { input = …, output = … }")
    budget: float | None = Field(default=None, gt=0, description="the stage stops before it has spent more")
    max_failures: float = Field(default=0.1, ge=0, le=1, description="share of questions that may stay unanswered")
    extra: dict[str, Any] = Field(default_factory=dict, description="further keys of each question's body")
    omit: tuple[str, ...] = Field(default=(), description='keys that this server refuses, such as "seed"')

    @model_validator(mode="after")
    def _usable(self) -> RemoteConfig:
        # Checked here and not key by key: a message about one key would repeat its value, which may be a secret.
        if self.key_env and not _NAME.fullmatch(self.key_env):
            raise ValueError("key_env is the name of an environment variable, such as DEEPSEEK_API_KEY, not the key")
        parts = _split(self.url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError('url is where the API begins, as in "https://api.deepseek.com/v1"')
        if parts.username or parts.password:
            raise ValueError("url must hold no user or password; name the variable of the key in key_env")
        if parts.path.rstrip("/").endswith("/chat/completions"):
            raise ValueError("url ends before /chat/completions; leave that out")
        if self.budget is not None and (self.prices is None or not (self.prices.input or self.prices.output)):
            raise ValueError("a budget needs prices, as in prices = { input = 0.55, output = 2.19 }")
        taken = sorted(OURS & {*self.extra, *self.omit})
        if taken:
            raise ValueError(f"extra and omit cannot change {taken[0]!r}")
        return self

    def lacks(self) -> str:
        """What the environment lacks, "" when nothing."""
        if self.key_env and not os.environ.get(self.key_env, "").strip():
            return f"the environment variable {self.key_env} is not set; put the key for {self.url} there"
        return ""


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


@dataclass(frozen=True)
class Answer:
    """What the model said, why it ended, and the tokens that the server counted.

    Example: `(await client.ask(body)).said.reply`
    """

    said: Said
    finish: FinishReason
    usage: Usage


class Refused(Exception):
    """No answer. `again`: worth another attempt, after `wait` seconds if the server said so; `billed`: perhaps paid."""

    def __init__(self, why: str, *, again: bool = False, billed: bool = False, wait: float | None = None) -> None:
        super().__init__(why)
        self.again, self.billed, self.wait = again, billed, wait


class Client:
    """Asks one server; `welcome` says that it has answered us before.

    Example: `async with Client(config) as client: await client.ask(body)`

    Raises:
        UserError: the key is missing, or is nothing that a header can carry.
    """

    def __init__(self, config: RemoteConfig, welcome: bool = False) -> None:
        lacking = config.lacks()
        if lacking:
            raise UserError(lacking)
        self.config = config
        self._welcome = welcome
        self._key = os.environ.get(config.key_env, "").strip() if config.key_env else ""
        if not self._key.isascii() or not self._key.isprintable():
            raise UserError(f"the environment variable {config.key_env} holds characters that no key has; set it again")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._url = f"{config.url.rstrip('/')}/chat/completions"
        limits = httpx2.Limits(max_connections=config.concurrency, max_keepalive_connections=config.concurrency)
        # `ask` has one clock for all of it: a server that sends a byte now and then must not keep its place for ever.
        timeout = httpx2.Timeout(None, connect=min(config.timeout, CONNECT_SECONDS))
        self._http = httpx2.AsyncClient(headers=headers, timeout=timeout, limits=limits)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def ask(self, body: dict[str, Any]) -> Answer:
        """The answer to one question, asked once.

        Raises:
            Refused: there is none.
            UserError: no question would be answered: a wrong key, model or URL, or no credit.
        """
        try:
            async with asyncio.timeout(self.config.timeout):
                status, headers, text = await self._post(body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Refused(f"not reached ({self._blot(str(error)) or type(error).__name__})", again=True) from None
        except TimeoutError:
            raise Refused(f"no answer within {self.config.timeout:g} s", again=True, billed=True) from None
        except httpx2.HTTPError as error:
            raise Refused(f"cut off ({type(error).__name__})", again=True, billed=True) from None
        if status != 200:
            self._refuse(status, headers, text)
        try:
            answer = self._read(json.loads(text))
        except (ValueError, RecursionError) as error:
            words = self._blot(str(error))
            raise Refused(f"an answer that is no chat completion ({words})", again=True, billed=True) from None
        self._welcome = True
        return answer

    async def _post(self, body: dict[str, Any]) -> tuple[int, Any, bytes]:
        async with self._http.stream("POST", self._url, content=json.dumps(body).encode()) as response:
            parts, size = [], 0
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > MAX_BODY:
                    raise Refused(f"an answer of more than {MAX_BODY >> 20} MB", billed=True)
            return response.status_code, response.headers, b"".join(parts)

    def _refuse(self, status: int, headers: Any, text: bytes) -> None:
        """Raises what a status means."""
        config, words = self.config, self._blot(server_words(text))
        said = f" ({words})" if words else ""
        if status in (403, 404) and self._welcome:  # this one question, then: a filter, not the key or the address
            raise Refused(f"{status}{said}")
        if status in (401, 403):
            key = f"check the key in {config.key_env}" if config.key_env else "name the variable of a key in key_env"
            raise UserError(f"{config.url} answered {status}{said}: {key}")
        if status == 402:
            raise UserError(f"{config.url} answered 402{said}: the account has no credit; top it up and run again")
        if status == 404:
            raise UserError(f"{config.url} answered 404{said}: check model = {config.model!r} and url")
        if 300 <= status < 400:
            raise UserError(f"{config.url} answered {status}: it has moved; set url to its new address")
        again = status in AGAIN or status >= 500
        raise Refused(f"{status}{said}", again=again, wait=retry_after(headers.get("Retry-After")) if again else None)

    def _read(self, value: Any) -> Answer:
        """A chat completion.

        Raises:
            ValueError: it is none.
        """
        choices = value.get("choices") if isinstance(value, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            error = value.get("error") if isinstance(value, dict) else None
            raise ValueError(server_words(json.dumps({"error": error}).encode()) if error else "it has no message")
        clean = {key: self._sound(item) for key, item in message.items()}
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        finish = FinishReason.LENGTH if reason == "length" else FinishReason.CANCELLED
        return Answer(said(clean), FinishReason.STOP if reason in STOPS else finish, usage_of(value.get("usage")))

    def _sound(self, value: Any) -> Any:
        """Text that can be written anywhere: no half characters, and never our key."""
        if isinstance(value, str):
            return self._blot(value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), None)
        if isinstance(value, list):
            return [self._sound(item) for item in value]
        return {key: self._sound(item) for key, item in value.items()} if isinstance(value, dict) else value

    def _blot(self, text: str, most: int | None = MAX_WORDS) -> str:
        return (text.replace(self._key, "[key]") if self._key else text)[:most]


def usage_of(value: Any) -> Usage:
    """The tokens of an answer's `usage`; what is missing or no whole number is unknown."""
    given = value if isinstance(value, dict) else {}
    details = given.get("completion_tokens_details")
    reasoning = (details if isinstance(details, dict) else given).get("reasoning_tokens")
    return Usage(_count(given.get("prompt_tokens")), _count(given.get("completion_tokens")), _count(reasoning))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def server_words(text: bytes) -> str:
    """An error's message in one line: OpenAI's `error.message`, others' `message` or `detail`, or the body as it is."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(text.decode("utf-8", "replace").split())
    for key in ("error", "message", "detail"):
        if isinstance(value, dict) and value.get(key):
            value = value[key]
    return " ".join((value if isinstance(value, str) else json.dumps(value) if value else "").split())


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date; None where it says nothing readable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        seconds = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else None
