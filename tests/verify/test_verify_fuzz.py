"""Random text: nothing raises, nothing takes long, and memory stays where it was."""

from __future__ import annotations

import random
import resource
import time

import pytest

from mull.core.types import Problem, VerdictKind
from mull.verify import verify
from mull.verify.extract import find_answer
from mull.verify.limits import excess
from mull.verify.values import read

_COMMANDS = (
    "\\frac \\sqrt \\boxed{ <answer> </answer> #### \\pm \\cup \\text{ \\sin \\ln \\begin{pmatrix} \\end{pmatrix} \\\\ "
    "\\infty \\le \\ge e^{ \\log_2 \\binom ^\\circ \\overline{3} \\sum_{k=1}^{n} \\prod_{j=1} \\lfloor \\rfloor \\int "
    "or and \\% x= </think> <think> \\cdot 10^{9} !!! ² ½ ١ \x00 \ud800 99999999999999999999"
)
PIECES = [*"{}()[]$|!%^_=,.+-*/<>:;&0123456789xyniek ", *_COMMANDS.split(), "the answer is ", " or "]
GOLDS = (
    "42 \\frac{1}{2} x^2+1 \\sin(x) (1,2) \\{1,2\\} [0,1) \\text{cat} y=2x+1 \\sum_{k=1}^{n}k e^{x} n! "
    "\\lfloor(x)\\rfloor"
)


def texts(seed: int, n: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(PIECES, k=rng.randint(1, 40))) for _ in range(n)]


def fast(n: int) -> tuple[float, int]:
    """The longest that one text took in seconds of this thread, and kB that memory grew after the first fifth."""
    longest, start = 0.0, 0
    for turn in range(5):
        for text in texts(turn, n // 5):
            started = time.thread_time()
            found = find_answer(text)
            if found and not excess(found.text):
                read(found.text)
            longest = max(longest, time.thread_time() - started)
        start = start or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return longest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start


def everything(n: int) -> float:
    """The longest that one whole check took; the kinds of its verdicts are checked."""
    longest, golds = 0.0, GOLDS.split()
    allowed = {
        VerdictKind.CORRECT,
        VerdictKind.WRONG,
        VerdictKind.NO_ANSWER,
        VerdictKind.AMBIGUOUS,
        VerdictKind.INVALID,
    }
    verify(Problem("row", (), "math", {"answer": "\\lfloor 1.5 \\rfloor"}), "1")  # workers take a moment to start
    for number, text in enumerate(texts(99, n)):
        gold = golds[number % len(golds)]
        started = time.perf_counter()
        verdict = verify(Problem("row", (), "math", {"answer": gold}), text)
        longest = max(longest, time.perf_counter() - started)
        assert verdict.kind in allowed | {VerdictKind.TIMEOUT}, (gold, text, verdict)
    return longest


def test_random_text() -> None:
    assert fast(20_000)[0] < 0.5
    assert everything(1_500) < 4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_random_texts() -> None:
    longest, grown = fast(1_000_000)
    assert longest < 0.5
    assert grown < 60_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_thousand_through_everything() -> None:
    assert everything(20_000) < 4
