"""The table of docs/algorithms.md: every algorithm of recipes/algorithms.toml over several seeds.

    for seed in 0 1 2; do mull run recipes/algorithms.toml --set seed=$seed --out runs/algorithms-$seed; done
    python benchmarks/algorithms.py runs/algorithms-*

Each run trains all algorithms from one base model on the same problems with the same number of samples; a row is the
mean over runs of test pass@1 with a 95% interval that clusters by seed and family together. Reads run directories only.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from mull.core.run import Run
from mull.stats import cluster_mean

TASKS = ("countdown_mod", "chain_mod")


def problems(run: Run, stage: str) -> list[dict[str, Any]]:
    """One row a problem: its share of right samples, its family (of this run's seed) and the mean thinking tokens."""
    seed, rows = run.read()["seed"], {}
    directory = run.stage(stage)
    for step in directory.rollout_steps():
        for row in directory.read_rollouts(step):
            rows.setdefault(row["problem_id"], []).append(row)
    return [
        {
            "task": group[0]["task"],
            "family": f"{seed}/{group[0]['task']}/{group[0]['family']}",
            "right": sum(r["verdict"] == "correct" for r in group) / len(group),
            "thinking": sum(r["thinking_tokens"] for r in group) / len(group),
        }
        for group in rows.values()
    ]


def row(name: str, runs: list[Run], stage: str) -> str:
    """A line of the table."""
    per_run = [problems(run, stage) for run in runs]
    every = [p for found in per_run for p in found]
    whole = cluster_mean([p["right"] for p in every], [p["family"] for p in every])
    seeds = ", ".join(f"{statistics.fmean(p['right'] for p in found):.3f}" for found in per_run)
    parts = [statistics.fmean(p["right"] for p in every if p["task"] == task) for task in TASKS]
    thinking = statistics.fmean(p["thinking"] for p in every)
    trained = [run.stage(stage.removesuffix("-test")).metrics() for run in runs if stage != "before"]
    clipped = [r["clip_fraction"] for rows in trained for r in rows if r.get("clip_fraction") is not None]
    clip = f"{statistics.fmean(clipped):.1%}" if clipped else ""
    interval = f"{whole.mean:.3f} [{whole.low:.3f}, {whole.high:.3f}]"
    return f"| {name} | {interval} | {seeds} | {parts[0]:.3f} | {parts[1]:.3f} | {thinking:.0f} | {clip} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    runs = [Run(path) for path in parser.parse_args().runs]
    stages = [name for name in runs[0].stages if name == "before" or name.endswith("-test")]
    done = [s for s in stages if all(run.stage(s).read().get("status") == "done" for run in runs)]
    print("| algorithm | pass@1 | by seed | countdown | chains | thinking tokens | clipped |")
    print("|---|---|---|---|---|---|---|")
    for stage in done:
        print(row("base" if stage == "before" else stage.removesuffix("-test"), runs, stage))


if __name__ == "__main__":
    main()
