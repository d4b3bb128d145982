"""One engine of `decode.py` in a process of its own: reads work from standard input, answers with what it cost.

    python benchmarks/decode_peers.py ENGINE MODEL DTYPE DEVICE

Runs under the engine's own interpreter, so it imports only the standard library and that engine. A line of JSON in
(`{"prompts": [[…]], "lengths": [[…]]}`), a line out (`{"tokens": n, "cpu": seconds, "wall": seconds}`). Sampling is at
temperature 1 without truncation, stop tokens are ignored. Left out on purpose: loading and compiling, which are not
timed; a small piece of work warms every engine up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

Run = Callable[[list[list[int]], list[list[int]]], int]
"""Decodes lengths[i] samples of prompt i; returns the useful tokens."""


def mull(path: str, dtype: str, device: str) -> Run:
    """Samples of a prompt with different lengths are requests of their own; equal prompts are computed once."""
    import torch
    from transformers import AutoModelForCausalLM

    from mull.engine.base import Request, Sampling
    from mull.engine.local import LocalEngine
    from mull.model.attention import ATTENTION

    torch.set_num_threads(1)
    loaded: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype))
    model = loaded.to(device)
    model.set_attn_implementation(ATTENTION)
    engine = LocalEngine(model, slots=64)

    def run(prompts: list[list[int]], lengths: list[list[int]]) -> int:
        requests = [
            Request(f"{i}/{j}", tuple(prompt), Sampling(length))
            for i, (prompt, row) in enumerate(zip(prompts, lengths, strict=True))
            for j, length in enumerate(row)
        ]
        return sum(len(c.token_ids) for row in engine.generate(requests) for c in row)

    return run


def transformers_static(path: str, dtype: str, device: str) -> Run:
    """One left-padded batch through `generate`, decoded to its longest row's length; only useful tokens count."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    loaded: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype))
    model = loaded.to(device).eval()
    model.generation_config.eos_token_id = None

    def run(prompts: list[list[int]], lengths: list[list[int]]) -> int:
        rows = [prompt for prompt, row in zip(prompts, lengths, strict=True) for _ in row]
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
        longest = max(map(max, lengths))
        model.generate(
            ids, attention_mask=mask, do_sample=True, top_k=0, top_p=1.0, temperature=1.0, max_new_tokens=longest,
            pad_token_id=0,
        )  # fmt: skip
        return sum(map(sum, lengths))

    return run


def transformers_continuous(path: str, dtype: str, device: str) -> Run:
    """`continuous_batching_context_manager`, with prompts shared between requests."""
    import torch
    from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

    torch.set_num_threads(1)
    loaded: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype))
    model = loaded.to(device).eval()
    how = GenerationConfig(do_sample=True, top_k=0, top_p=1.0, temperature=1.0, eos_token_id=-1, pad_token_id=0)
    limits: dict[str, Any] = {} if device != "cpu" else {"num_blocks": 320, "page_size": 64, "max_batch_tokens": 4096}
    batching = ContinuousBatchingConfig(**limits)

    def run(prompts: list[list[int]], lengths: list[list[int]]) -> int:
        tokens, left = 0, sum(map(len, lengths))
        with model.continuous_batching_context_manager(
            generation_config=how, continuous_batching_config=batching, persistent_manager=True
        ) as manager:
            for prompt, row in zip(prompts, lengths, strict=True):
                for length in row:
                    manager.add_request(prompt, max_new_tokens=length, eos_token_id=-1)
            while left:
                result = manager.get_result(timeout=1)
                if result is not None and result.is_finished():
                    tokens, left = tokens + len(result.generated_tokens), left - 1
                assert result is not None or manager.is_running(), "continuous batching has stopped"
        return tokens

    return run


def vllm(path: str, dtype: str, device: str) -> Run:
    """In one process, with prefix caching; compiled where that is vLLM's default."""
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]

    engine = LLM(
        path, dtype=dtype, skip_tokenizer_init=True, max_model_len=1024, max_num_seqs=64, enable_prefix_caching=True,
        seed=0, gpu_memory_utilization=0.5,
    )  # fmt: skip

    def run(prompts: list[list[int]], lengths: list[list[int]]) -> int:
        engine.reset_prefix_cache()  # a second run must not find the first one's prompts
        rows = [(prompt, n) for prompt, row in zip(prompts, lengths, strict=True) for n in row]
        settings = [
            SamplingParams(temperature=1.0, max_tokens=n, min_tokens=n, ignore_eos=True, detokenize=False)
            for _, n in rows
        ]
        found = engine.generate([{"prompt_token_ids": prompt} for prompt, _ in rows], settings, use_tqdm=False)
        return sum(len(one.outputs[0].token_ids) for one in found)

    return run


def llama_cpp(path: str, dtype: str, device: str) -> Run:
    """llama.cpp's C interface: one context, a sequence a sample, all live sequences in each batch, its own sampler.

    Prompts are computed once and copied to their samples by `llama_memory_seq_cp`.
    """
    import llama_cpp as c  # type: ignore[import-not-found]

    c.llama_backend_init()
    settings = c.llama_model_default_params()
    settings.n_gpu_layers = 0 if device == "cpu" else 999
    model = c.llama_model_load_from_file(path.encode(), settings)
    shape = c.llama_context_default_params()
    shape.n_ctx, shape.n_batch, shape.n_ubatch, shape.n_seq_max = 64 * 384, 2048, 512, 64
    shape.n_threads = shape.n_threads_batch = 1
    shape.kv_unified, shape.no_perf = False, True  # one stream a sequence is faster where prompts differ
    context = c.llama_init_from_model(model, shape)
    memory = c.llama_get_memory(context)
    batch = c.llama_batch_init(2048, 0, 64)

    def decode(items: list[tuple[int, int, int, bool]]) -> None:
        """(token, position, sequence, wants logits)"""
        batch.n_tokens = len(items)
        for i, (token, position, sequence, wanted) in enumerate(items):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, wanted
            batch.seq_id[i][0] = sequence
        assert c.llama_decode(context, batch) == 0, "llama_decode failed"

    def run(prompts: list[list[int]], lengths: list[list[int]]) -> int:
        c.llama_memory_clear(memory, True)
        samplers, made, tokens, sequence = {}, {}, [], 0
        wanted: dict[int, int] = {}
        places: dict[int, int] = {}
        for prompt, row in zip(prompts, lengths, strict=True):
            decode([(token, at, sequence, at == len(prompt) - 1) for at, token in enumerate(prompt)])
            for j, length in enumerate(row):
                samplers[sequence + j] = c.llama_sampler_init_dist(sequence + j)
                tokens.append(c.llama_sampler_sample(samplers[sequence + j], context, -1))
                wanted[sequence + j], made[sequence + j], places[sequence + j] = length, 1, len(prompt)
                if j:
                    c.llama_memory_seq_cp(memory, sequence, sequence + j, -1, -1)
            sequence += len(row)
        live = {s: tokens[s] for s in wanted}
        while True:
            for s in [s for s in live if made[s] == wanted[s]]:
                c.llama_memory_seq_rm(memory, s, -1, -1)
                del live[s]
            if not live:
                break
            decode([(token, places[s], s, True) for s, token in live.items()])
            for i, s in enumerate(live):
                live[s] = c.llama_sampler_sample(samplers[s], context, i)
                made[s], places[s] = made[s] + 1, places[s] + 1
        for sampler in samplers.values():
            c.llama_sampler_free(sampler)
        return sum(made.values())

    return run


ENGINES = {
    "mull": mull, "transformers": transformers_static, "transformers-cb": transformers_continuous, "vllm": vllm,
    "llama.cpp-f16": llama_cpp, "llama.cpp-q8_0": llama_cpp,
}  # fmt: skip


def main() -> None:
    engine, path, dtype, device = sys.argv[1:5]
    # Whatever the engine prints goes to standard error, so that standard output carries answers only.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    run = ENGINES[engine](path, dtype, device)
    run([[1, 2, 3], [4, 5]], [[3, 5], [2]])
    print(json.dumps({"ready": engine}), file=answers)
    for line in sys.stdin:
        work = json.loads(line)
        cpu, wall = time.process_time(), time.perf_counter()
        tokens = run(work["prompts"], work["lengths"])
        cost = {"tokens": tokens, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps(cost), file=answers)


if __name__ == "__main__":
    main()
