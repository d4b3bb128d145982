"""Rows to verdicts: many at once, in order, from threads, asyncio or a file.

    caller ─ judge_all ─> window of WINDOW chunks in flight ─> threads ─> verify ─> (rarely) pool's workers
           <─ (row, verdict) in the order of the rows, whoever was ready first

A row is a final answer (`prediction`), a whole `response`, or a `program`, with the reference answer (`gold`) or the
`tests` it is held against. What most rows need is done in tens of microseconds in the calling thread's turn; only what
waits for a worker or a sandbox waits. Left
out on purpose: processes for the fast part, which would cost more to feed than it costs to do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Message, Problem, Verdict
from mull.verify.code_tests import has_tests
from mull.verify.extract import CONVENTIONS, DEFAULT, Thought
from mull.verify.own import PREFIX
from mull.verify.registry import check_gold, verify, verify_response

CHUNK = 16
"""Rows that one thread takes at a time."""
WINDOW = 8
"""Chunks in flight for each thread: what a slow row can make wait."""
TEXTS = ("prediction", "response", "program")
CODE = ("code-io", "code-call", "code-check")
_KEYS = frozenset(("id", "gold", *TEXTS, "verifier", "question"))


@dataclass(frozen=True)
class Reading:
    """How rows are read. Example: `Reading(verifier="math", thought="required")`"""

    verifier: str = "math"
    thought: Thought = "closed"
    conventions: tuple[str, ...] = DEFAULT
    strangers: bool = False
    """Rows come from whoever can reach us: they may not name files of ours (`python:…`)."""


@dataclass(frozen=True)
class Row:
    """One answer to be judged. Example: `Row("7", problem, "\\\\boxed{42}", whole=True)`"""

    id: Any
    problem: Problem
    text: str
    whole: bool
    """A whole response with its thought, not a final answer."""


def read_row(value: Any, where: str, reading: Reading) -> Row:
    """A JSON object as a row; `where` names it in messages.

    `gold` is the reference answer, or an object with all the data that the row's verifier needs. Where the row holds
    tests itself, all its other fields are these data. A `program` is taken as it is: no fenced block is looked for.

    Raises:
        UserError: a field is missing or of the wrong kind, or the reference answer cannot be read.
    """
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: an object with fields is needed, not {type(value).__name__}")
    tested = "gold" not in value and has_tests(value)
    for key in ("id",) if tested else ("id", "gold"):
        if key not in value:
            raise UserError(
                f"{where}: no field {key!r}; a row has id, gold and prediction or response, or id, tests and program"
            )
    if not isinstance(value["id"], str | int) or isinstance(value["id"], bool):
        raise UserError(f"{where}: the id must be text or an integer, not {value['id']!r:.60}")
    given = [key for key in TEXTS if key in value]
    if len(given) != 1:
        raise UserError(
            f"{where}: exactly one of prediction, response and program is needed, not {' and '.join(given) or 'none'}"
        )
    text = value[given[0]]
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        raise UserError(f"{where}: the {given[0]} must be text, not {text!r:.60}")
    question = value.get("question") or ""
    verifier = value.get("verifier") or reading.verifier
    if not isinstance(question, str) or not isinstance(verifier, str):
        raise UserError(f"{where}: question and verifier must be text")
    if reading.strangers and verifier.startswith(PREFIX) and verifier != reading.verifier:
        raise UserError(f"{where}: a verifier of one's own is named with --verifier when the server is started")
    raw = given[0] == "program"
    if (tested or raw) and verifier not in CODE and not verifier.startswith(PREFIX):
        raise UserError(f"{where}: a row of {'tests' if tested else 'a program'} names its verifier: {', '.join(CODE)}")
    gold = {key: field for key, field in value.items() if key not in _KEYS} if tested else value["gold"]
    data = dict(gold) if isinstance(gold, Mapping) else {"answer": gold}
    if raw:
        data["raw"] = True
    messages = (Message("user", question),) if question else ()
    problem = Problem(str(value["id"]), messages, verifier, data)
    check_gold(problem, where)
    return Row(value["id"], problem, text, given[0] == "response")


def no_constant(name: str) -> float:
    """For `json.loads`: NaN and Infinity are no JSON, and a reference answer of NaN would be a broken row.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is no JSON")


def check_reading(reading: Reading) -> None:
    """Raises:
    UserError: it names a convention that does not exist, or the thought is neither closed nor required.
    """
    for name in reading.conventions:
        if name not in CONVENTIONS:
            raise UserError(f"unknown convention {name!r}; known: {', '.join(CONVENTIONS)}")
    if reading.thought not in ("closed", "required"):
        raise UserError(f"the thought can be closed or required, not {reading.thought!r}")


def judge(row: Row, reading: Reading) -> Verdict:
    """The verdict on one row."""
    if row.whole:
        return verify_response(row.problem, row.text, reading.thought, reading.conventions)
    return verify(row.problem, row.text)


def judge_all(rows: Iterable[Row], reading: Reading, threads: int = 4) -> Iterator[tuple[Row, Verdict]]:
    """Each row with its verdict, in the order of the rows; reads on as it is read from."""

    def work(chunk: Sequence[Row]) -> list[tuple[Row, Verdict]]:
        return [(row, judge(row, reading)) for row in chunk]

    pending: deque[Future[list[tuple[Row, Verdict]]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as executor:
        try:
            for chunk in _chunks(rows):
                pending.append(executor.submit(work, chunk))
                if len(pending) >= WINDOW * threads:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _chunks(rows: Iterable[Row]) -> Iterator[tuple[Row, ...]]:
    remaining = iter(rows)
    while chunk := tuple(islice(remaining, CHUNK)):
        yield chunk


async def verify_async(problem: Problem, answer_text: str | None) -> Verdict:
    """`verify` for asyncio: the event loop goes on while a worker is asked."""
    return await asyncio.to_thread(verify, problem, answer_text)


def as_json(row: Row, verdict: Verdict) -> dict[str, Any]:
    """What is written for a row."""
    return {
        "id": row.id,
        "verdict": str(verdict.kind),
        "reason": verdict.reason,
        "method": verdict.method,
        "ms": round(verdict.ms, 3),
        **({} if verdict.score is None else {"score": verdict.score}),
    }
