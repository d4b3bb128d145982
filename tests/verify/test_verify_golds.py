"""Reference answers of real data sets: each is right against itself, and wrong against another that is different.

"Without the string path" means that equal spelling alone decides nothing: a formula has to be read as one. What is
words by nature (a name, a weekday, a time with "p.m.") is compared as words.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mull.core.types import Problem, VerdictKind
from mull.verify import verify
from mull.verify.compare import same
from mull.verify.latex import plain
from mull.verify.values import Collection, Quantity, Value, Words, read

DATA = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data"
pytestmark = pytest.mark.skipif(not (DATA / "gsm8k").exists(), reason="shared/data is not here (set MULL_SHARED)")

NOT_READ = {
    "\\$\\dfrac23 \\approx \\$0.67", "s^2 \\le 8r^2", "\\frac{1}{7}\\triangle ABC", "(\\text{H})",
    "4\\!:\\!51\\!:\\!06 \\text{ p.m.}", "\\text{October 30}", "\\text{A5}_{11}", "8\\!:\\!34 \\text{ p.m.}",
    "\\begin{pmatrix} 1 & -1 \\\\ 1 & \\phantom -1 \\end{pmatrix}",
}  # fmt: skip
"""Compared letter by letter."""
EMPTY = 2
"""Rows of MATH-train whose answer is empty: a fault of the data."""


def golds(name: str) -> list[str]:
    if name == "gsm8k":
        texts = [line for part in ("train", "test") for line in (DATA / f"gsm8k/{part}.jsonl").read_text().splitlines()]
        return [json.loads(text)["answer"].rpartition("####")[2].strip() for text in texts]
    if name == "math-train":
        return [str(row["answer"]) for row in json.loads((DATA / "math/train.json").read_text())]
    if name == "math-500":
        return [json.loads(line)["answer"] for line in (DATA / "math/math500.jsonl").read_text().splitlines()]
    rows = json.loads((DATA / "aime/train_before_2023.json").read_text())
    for part in ("aime2024", "aime2025-I", "aime2025-II"):
        rows += [json.loads(line) for line in (DATA / f"aime/{part}.jsonl").read_text().splitlines()]
    return [str(row["answer"]) for row in rows]


def leaves(value: Value) -> Iterator[Value]:
    if isinstance(value, Collection):
        for element in value.elements:
            yield from leaves(element)
    else:
        yield value


def is_read(gold: str) -> bool:
    """Is every part of it a number, a formula, an equation, or words without a formula in them?"""
    parts = list(leaves(read(gold)))
    return all(not isinstance(part, Words) or not re.search(r"[\\^_=<>+*/0-9]", part.canonical) for part in parts)


def respelt(gold: str) -> str:
    """The same in another spelling, so that nothing is equal letter by letter."""
    return "$ " + gold.replace("\\frac", "\\dfrac") + " $"


@pytest.mark.parametrize("name", ["gsm8k", "math-train", "math-500", "aime"])
def test_a_reference_answer_is_right_against_itself(name: str) -> None:
    rows = golds(name)
    found = {gold for gold in rows if gold and not (is_read(gold) and same(read(gold), read(respelt(gold))))}
    assert found <= NOT_READ
    assert sum(gold in found for gold in rows) <= 0.002 * len(rows)
    wrong = [gold for gold in rows if not verify(problem(gold), f"\\boxed{{{gold}}}").correct]
    assert wrong == [""] * (EMPTY if name == "math-train" else 0)


def problem(gold: str) -> Problem:
    return Problem("row", (), "math", {"answer": gold})


def core(gold: str) -> str:
    """What is left without units, a name, layout and a base."""
    bare = re.sub(r"\\text\s*\{[^{}]*\}|\^\\circ|^[a-z]\s*=|_\{?\d+\}?$|\\[,!;$ ]|\s|[.]$", "", plain(gold))
    return bare.replace(",", "").lstrip("0") or "0"


@pytest.mark.parametrize("name", ["gsm8k", "math-train", "math-500", "aime"])
def test_another_reference_answer_is_wrong(name: str) -> None:
    rows = golds(name)
    for seed in range(2):
        others = random.Random(seed).sample(rows, len(rows))
        for gold, other in zip(rows, others, strict=True):
            verdict = verify(problem(gold), f"\\boxed{{{other}}}")
            assert verdict.kind not in (VerdictKind.ERROR, VerdictKind.TIMEOUT), (gold, other, verdict)
            if verdict.correct and core(gold) != core(other):
                a, b = read(gold), read(other)
                # 4/5 and 80 %, 3/8 and \frac38, 40_9 and 36: equal numbers
                equal = isinstance(a, Quantity) and isinstance(b, Quantity) and (a.number is not None)
                assert equal and value(gold) == value(other), (gold, other)


def value(gold: str) -> object:
    found = read(gold)
    assert isinstance(found, Quantity) and found.number is not None
    if found.unit.startswith("_"):
        return int(found.canonical, int(found.unit[1:]))
    return found.number / 100 if found.percent else found.number
