"""One GRPO step, mull beside TRL's `GRPOTrainer`: generate, score, update; the same model, prompts and lengths.

    python benchmarks/rl_step.py --setup DIR            makes TRL's environment in DIR, once
    python benchmarks/rl_step.py --peer DIR [--models tiny1k tiny32k smollm2] [--dtypes float32 bfloat16]

8 prompts × 8 completions, temperature 1, the whole distribution, one update, no KL, micro-batches of 8 rows (TRL) or
1,024 tokens (mull), one thread. Every run is a process of its own with a short step to warm up before the one that
counts; the configurations take turns, `--repeats` times, and medians are printed. Lengths are forced (see
`rl_step_mull` and `rl_step_trl` for how); V256 are uneven, "64" all equal. Useful tokens are the forced lengths.

Unit: CPU seconds of the process, which mean something beside other work; wall seconds on CUDA. Memory is the peak
above what the imports took (on CUDA: allocated on the device). bfloat16 means bf16 weights here and `bf16=True` there,
which is autocast over fp32 weights. Left out on purpose: quality; both sides make one step of the same algorithm.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rl_step_work import MODELS, SMOLLM2, WORKS

HERE = Path(__file__).parent
PARTS = ("generate", "logprobs", "backward", "total")
Rows = dict[str, list[dict[str, Any]]]


def setup(folder: Path) -> None:
    """TRL in its own environment; torch first, of our own version, so that both sides compute alike."""
    python = folder / "bin" / "python"
    torch = importlib.metadata.version("torch").split("+")[0]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", f"torch=={torch}"],
        [str(python), "-m", "pip", "install", "--quiet", "trl"],
    ):
        subprocess.run(command, check=True)


def child(python: str, script: str, extra: list[str]) -> dict[str, Any]:
    """One configuration once, in a process of its own; `error` where it failed."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, str(HERE / script), *extra], capture_output=True, text=True, env={**os.environ, **threads, **quiet}
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def configurations(options: argparse.Namespace) -> dict[str, tuple[str, str, str]]:
    """Name → (interpreter, script, batching) of everything that can run here; a missing peer is said once."""
    found = {"mull": (sys.executable, "rl_step_mull.py", "continuous")}
    python = options.peer and options.peer.expanduser().absolute() / "bin" / "python"
    if not python or not python.exists():
        print("TRL is skipped: make its environment with --setup DIR, then pass --peer DIR", file=sys.stderr)
        return found
    for batching in options.batching:
        found[f"TRL {batching}"] = (str(python), "rl_step_trl.py", batching)
    return found


def measure(options: argparse.Namespace, model: str, work: str, dtype: str) -> Rows:
    """All configurations in turn, `repeats` times over."""
    rows: Rows = {}
    for _ in range(options.repeats):
        for name, (python, script, batching) in configurations(options).items():
            extra = ["--model", model, "--work", work, "--dtype", dtype, "--device", options.device]
            result = child(python, script, [*extra, "--batching", batching])
            if "error" in result:
                print(f"{name} failed: {result['error']}", file=sys.stderr)
                continue
            rows.setdefault(name, []).append(result)
            print(f"  {name}: {result[options.clock]['total']:.1f} s", file=sys.stderr, flush=True)
    return rows


def summary(rows: Rows, clock: str) -> dict[str, dict[str, float]]:
    """Medians of each part, of memory, and of useful tokens a second; `other` is what no part holds."""
    found = {}
    for name, results in rows.items():
        line = {part: statistics.median(r[clock].get(part, 0.0) for r in results) for part in PARTS}
        line["other"] = line["total"] - sum(line[part] for part in PARTS[:-1])
        line["rate"] = statistics.median(r["tokens"] / r[clock]["total"] for r in results)
        line["memory"] = statistics.median(r["memory"] for r in results)
        found[name] = line
    return found


def show(title: str, found: dict[str, dict[str, float]]) -> None:
    """A table, and how many times as much each peer needs."""
    print(f"\n{title}")
    print(f"{'':<16}{'generate':>10}{'logprobs':>10}{'backward':>10}{'other':>8}{'total':>9}{'tokens/s':>10}{'MB':>8}")
    for name, r in found.items():
        parts = f"{r['generate']:>10.2f}{r['logprobs']:>10.2f}{r['backward']:>10.2f}{r['other']:>8.2f}"
        print(f"{name:<16}{parts}{r['total']:>9.2f}{r['rate']:>10.1f}{r['memory']:>8.0f}")
    ours = found.get("mull")
    for name, r in found.items():
        if ours and name != "mull":
            print(
                f"{name} / mull: {r['total'] / ours['total']:.2f}x time, {r['memory'] / ours['memory']:.2f}x memory",
                flush=True,
            )


def machine(peer: Path | None) -> dict[str, str]:
    """Processor and versions, for the record."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    found = {"cpu": model, **{name: importlib.metadata.version(name) for name in ("torch", "transformers")}}
    if peer and (peer / "bin" / "python").exists():
        ask = "import importlib.metadata as m; print(*(m.version(n) for n in ('trl', 'transformers', 'torch')))"
        done = subprocess.run([str(peer / "bin" / "python"), "-c", ask], capture_output=True, text=True)
        found["peer (trl, transformers, torch)"] = done.stdout.strip()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--setup", type=Path, metavar="DIR", help="make TRL's environment there and leave")
    parser.add_argument("--peer", type=Path, metavar="DIR", help="TRL's environment")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["tiny1k", "tiny32k"])
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=["v256"])
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], default=["float32"])
    parser.add_argument("--batching", nargs="+", choices=["static", "continuous"], default=["static", "continuous"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.setup:
        setup(options.setup.expanduser())
        return
    options.clock = "cpu" if options.device == "cpu" else "wall"
    everything: dict[str, Any] = {"machine": machine(options.peer)}
    for model in options.models:
        if model == "smollm2" and not Path(SMOLLM2).expanduser().exists():
            print(f"smollm2 is skipped: put SmolLM2-135M-Instruct into {SMOLLM2}", file=sys.stderr)
            continue
        for work in options.works:
            for dtype in options.dtypes:
                title = f"{model}, {work}, {dtype}"
                print(title, file=sys.stderr, flush=True)
                rows = measure(options, model, work, dtype)
                everything[title] = {"runs": rows, "medians": summary(rows, options.clock)}
                if not options.json:
                    show(f"{title} ({options.clock} seconds)", everything[title]["medians"])
    print(json.dumps(everything) if options.json else f"\n{everything['machine']}")


if __name__ == "__main__":
    main()
