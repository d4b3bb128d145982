"""Verdicts a second beside math-verify, in one run on one thread; every pair is new, nothing is served from a cache.

    python benchmarks/verify.py [--data DIR] [--json]

Pairs: integers and fractions (half of them equal, drawn with a seed), and LaTeX: the reference answers of MATH-500 that
are no plain numbers, each against itself in another spelling and against its neighbour. Without the data a built-in
list of LaTeX pairs is timed. Both graders get the same two final answers; math-verify gets them in dollars, as its
documentation has it. What is compared is what a user calls: `mull.verify.verify` here, `verify(parse(gold),
parse(answer))` there. The pairs file, where it is there, is judged by both too: right verdicts outside debatable rows.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from math_verify import parse
from math_verify import verify as peer_verify

from mull.core.types import Problem, VerdictKind
from mull.verify import numeric, verify
from mull.verify.values import read

Pair = tuple[str, str]
LATEX = [
    ("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}"), ("2\\pi", "6.28"), ("(x+1)^2", "x^2+2x+1"), ("\\ln 4", "2\\ln 2"),
    ("[0,1)", "[0,1)"), ("\\{1,2\\}", "\\{2,1\\}"), ("y=2x+3", "2x-y+3=0"), ("3+4i", "3-4i"), ("e^{i\\pi}", "-1"),
    ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"), ("\\sin x", "\\cos x"),
    ("\\frac{9}{4}\\pi", "\\frac94\\pi"), ("3\\frac{1}{2}", "3.5"), ("2-2p", "2(1-p)"), ("5\\text{ inches}", "5"),
]  # fmt: skip


def ours(pair: Pair) -> bool:
    """mull's verdict."""
    verdict = verify(Problem("row", (), "math", {"answer": pair[0]}), pair[1])
    assert verdict.kind is not VerdictKind.ERROR, verdict.reason
    return verdict.correct


def peers(pair: Pair) -> bool:
    """math-verify's verdict."""
    return bool(peer_verify(parse(f"${pair[0]}$"), parse(f"${pair[1]}$")))


def integers(rng: random.Random, n: int) -> list[Pair]:
    """`12345` against itself or another."""
    values = [rng.randrange(-(10**9), 10**9) for _ in range(n)]
    return [(str(v), str(v if i % 2 else v + rng.randrange(1, 99))) for i, v in enumerate(values)]


def fractions(rng: random.Random, n: int) -> list[Pair]:
    """`\\frac{a}{b}` against `a/b`, or another fraction."""
    pairs = []
    for i in range(n):
        top, bottom = rng.randrange(1, 99999), rng.randrange(2, 99999)
        pairs.append((f"\\frac{{{top}}}{{{bottom}}}", f"{top + (i % 2)}/{bottom}"))
    return pairs


def latex(data: Path) -> list[Pair]:
    """Reference answers of MATH-500 against themselves in another spelling, and against their neighbours."""
    path = data / "math" / "math500.jsonl"
    if not path.exists():
        return LATEX
    golds = [json.loads(line)["answer"] for line in path.read_text().splitlines()]
    golds = list(dict.fromkeys(gold for gold in golds if "\\" in gold or any(c.isalpha() for c in gold)))
    respelt = [gold.replace("\\frac", "\\dfrac").replace("\\left", "").replace("\\right", "") + " " for gold in golds]
    return [pair for i, gold in enumerate(golds) for pair in ((gold, respelt[i]), (gold, respelt[i - 1]))]


def seconds(grade: Callable[[Pair], bool], pairs: list[Pair]) -> list[float]:
    """The time of each pair."""
    times = []
    for pair in pairs:
        read.cache_clear()
        started = time.perf_counter()
        grade(pair)
        times.append(time.perf_counter() - started)
    return times


def right(grade: Callable[[Pair], bool], rows: list[dict]) -> str:
    """Right verdicts and false positives on rows with final answers that are not debatable."""
    wrong = [row for row in rows if grade((row["gold"], row["pred"])) != row["expected"]]
    positives = sum(not row["expected"] for row in wrong)
    return f"{1 - len(wrong) / len(rows):.3f} of {len(rows)}, {positives} false positives"


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--n", type=int, default=400, help="integer and fraction pairs each")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = random.Random(0)
    ours(("\\sin 1", "\\cos 2")), peers(("1", "2")), numeric.equal("x", "y")  # imports are not what is timed
    kinds = {
        "integers": integers(rng, arguments.n),
        "fractions": fractions(rng, arguments.n),
        "LaTeX": latex(arguments.data),
    }
    report: dict[str, dict] = {}
    for name, pairs in kinds.items():
        mine, theirs = seconds(ours, pairs), seconds(peers, pairs)
        report[name] = {
            "pairs": len(pairs),
            "mull_us": round(statistics.median(mine) * 1e6, 1),
            "math_verify_us": round(statistics.median(theirs) * 1e6, 1),
            "times_in_all": round(sum(theirs) / sum(mine), 1),
            "times_by_median": round(statistics.median(theirs) / statistics.median(mine), 1),
            "mull_max_ms": round(max(mine) * 1e3, 1),
            "math_verify_max_ms": round(max(theirs) * 1e3, 1),
        }
    path = arguments.data / "verify" / "pairs.jsonl"
    if path.exists():
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows = [row for row in rows if row["kind"] == "answer" and "debatable" not in row["origin"]]
        report["pairs.jsonl"] = {"mull": right(ours, rows), "math_verify": right(peers, rows)}
    if arguments.json:
        print(json.dumps(report))
        return
    for name, row in report.items():
        print(name, ", ".join(f"{key} {value}" for key, value in row.items()), sep=": ")


if __name__ == "__main__":
    main()
