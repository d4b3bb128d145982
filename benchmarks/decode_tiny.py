"""Tokens per second of the local engine beside transformers' `generate`, on the embedded world's shape of model.

    python benchmarks/decode_tiny.py [--slots 256] [--prompts 64] [--group 16] [--tokens 100] [--threads 1]

Same random weights, same prompts, same wanted lengths (geometric, capped at twice their mean, fixed seed). Only useful
tokens count: `generate` decodes a batch of `slots` rows until its longest row is done, and what it writes past a row's
own end is waste. Runs are interleaved, medians reported, in wall seconds and in CPU seconds of this process (the second
means something beside other work). Left out on purpose: real weights; the arithmetic is the same.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mull.engine.base import Request, Sampling
from mull.engine.local import LocalEngine
from mull.model.attention import ATTENTION

VOCABULARY, EOS, PAD = 40, 2, 0


def build(attention: str) -> LlamaForCausalLM:
    """307k parameters: width 96, 3 layers, 4 heads over 2 key/value heads, feed-forward 256."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=96, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
            pad_token_id=PAD, bos_token_id=1, eos_token_id=EOS,
        )
    )  # fmt: skip
    model.set_attn_implementation(attention)
    return model.eval()


def work(prompts: int, group: int, mean: int) -> list[tuple[tuple[int, ...], list[int]]]:
    """Prompts of 6 to 10 tokens, each with the lengths its samples will have."""
    rng = random.Random(0)
    return [
        (
            tuple(rng.randrange(3, VOCABULARY) for _ in range(rng.randint(6, 10))),
            [min(2 * mean, 1 + int(rng.expovariate(1 / mean))) for _ in range(group)],
        )
        for _ in range(prompts)
    ]


def ours(jobs: list[tuple[tuple[int, ...], list[int]]], slots: int) -> Callable[[], int]:
    """Samples of a prompt end at different lengths, so each length is a request; equal ones share a prompt pass."""
    engine = LocalEngine(build(ATTENTION), slots=slots)
    requests = [
        Request(f"{number}/{place}", prompt, Sampling(length))
        for number, (prompt, lengths) in enumerate(jobs)
        for place, length in enumerate(lengths)
    ]
    return lambda: sum(len(row[0].token_ids) for row in engine.generate(requests))


def theirs(jobs: list[tuple[tuple[int, ...], list[int]]], slots: int) -> Callable[[], int]:
    """Left-padded batches of `slots` rows through `generate` with sampling, each to its longest row's length."""
    model = build("sdpa")
    rows = [(prompt, length) for prompt, lengths in jobs for length in lengths]
    model.generation_config.eos_token_id = None

    def run() -> int:
        for start in range(0, len(rows), slots):
            part = rows[start : start + slots]
            width = max(len(prompt) for prompt, _ in part)
            ids = torch.tensor([[PAD] * (width - len(prompt)) + list(prompt) for prompt, _ in part])
            mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt, _ in part])
            model.generate(
                ids, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=max(n for _, n in part)
            )  # fmt: skip
        return sum(length for _, length in rows)

    return run


def timed(run: Callable[[], int]) -> tuple[float, float]:
    """Useful tokens per wall second and per CPU second."""
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = run()
    return tokens / (time.perf_counter() - wall), tokens / (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (
        ("slots", 256),
        ("prompts", 64),
        ("group", 16),
        ("tokens", 100),
        ("threads", 1),
        ("repeats", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", choices=["mull", "transformers"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    jobs = work(options.prompts, options.group, options.tokens)
    runs = {"mull": ours(jobs, options.slots), "transformers": theirs(jobs, options.slots)}
    if options.only:
        runs = {options.only: runs[options.only]}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, run in runs.items():
            found[name].append(timed(run))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    if options.json:
        print(json.dumps({name: {"wall": wall, "cpu": cpu} for name, (wall, cpu) in medians.items()}))
        return
    for name, (wall, cpu) in medians.items():
        print(f"{name:<13}{wall:>9,.0f} tokens/s   {cpu:>9,.0f} tokens per CPU second")
    if len(medians) == 2:
        ratios = [a / b for a, b in zip(medians["mull"], medians["transformers"], strict=True)]
        print(f"ratio        {ratios[0]:>8.1f}x             {ratios[1]:>8.1f}x")


if __name__ == "__main__":
    main()
