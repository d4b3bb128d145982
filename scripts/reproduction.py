"""The scorecards of several runs of one recipe, side by side, as a Markdown table.

    python scripts/reproduction.py runs/seed-0 runs/seed-1 runs/seed-2

One row a claim: how many runs it holds in, and before → after with the interval of the change for each. Left out on
purpose: a pooled interval; three seeds are too few for one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mull.core.files import read_json
from mull.recipe.claims import Claim, scorecard
from mull.recipe.evidence import Evidence, read_run

MARKS = {True: "✓", False: "✕", None: "–"}


def main(paths: list[str]) -> None:
    """Print the table."""
    if not paths:
        sys.exit("name run directories: python scripts/reproduction.py runs/seed-0 runs/seed-1")
    columns = [claims_of(Path(path)) for path in paths]
    seeds = [read_json(Path(path) / "run.json")["seed"] for path in paths]
    print("| claim | holds | " + " | ".join(f"seed {seed}" for seed in seeds) + " |")
    print("|---" * (len(paths) + 2) + "|")
    for name in columns[0]:
        found = [column[name] for column in columns]
        holds = f"{sum(claim.holds is True for claim in found)} of {len(found)}"
        print(f"| `{name}` | {holds} | " + " | ".join(map(cell, found)) + " |")


def claims_of(path: Path) -> dict[str, Claim]:
    """Claim → its row on the scorecard."""
    evidence = Evidence(read_run(path))
    return {claim.id: claim for claim in scorecard(evidence, evidence.pairs())}


def cell(claim: Claim) -> str:
    """`✓ 14.1% → 58.3% [+40.1, +48.2]`"""
    if claim.before is None or claim.after is None:
        return f"{MARKS[claim.holds]} {claim.reason or 'not measured'}"
    low, high = claim.ci_low, claim.ci_high
    interval = "no interval" if low is None or high is None else f"{low:+.3f}, {high:+.3f}"
    sides = f"{shown(claim.before)} → {shown(claim.after)}"
    return f"{MARKS[claim.holds]} {sides} [{interval}], n {claim.n}/{claim.families}"


def shown(value: float) -> str:
    """A share or a count, or bytes as megabytes."""
    return f"{value / 1e6:.0f} MB" if value > 1e5 else f"{value:.3f}"


if __name__ == "__main__":
    main(sys.argv[1:])
