"""The work of `rl_step`: prompts, forced completion lengths, models. Knows neither mull nor TRL.

The lengths are geometric with mean 100, clipped to 5 … 256 (seed 0): 64 completions, 8 a prompt, 7,043 tokens; a batch
that runs to its longest row fills 43 % of its slots with them.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PROMPTS = [
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did "
    "Natalia sell altogether?",
    "What is 17 * 24?",
    "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?",
    "Using the numbers 3, 7, 25 and 50, make an equation that equals 132.",
    "James decides to run 3 sprints 3 times a week. He runs 60 meters each sprint. How many total meters does he run a "
    "week?",
    "If x + 3 = 11, what is 4x - 2?",
    "Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes of babysitting. How much did she earn?",
    "How many letters r are there in the word strawberry?",
]
PROMPT_LENGTHS = [65, 40, 55, 57, 63, 49, 64, 41]
"""Of those prompts in SmolLM2's chat template; the random models get random tokens of the same number."""
V256 = [
    186, 142, 55, 30, 72, 52, 153, 36, 65, 88, 238, 70, 33, 141, 96, 29, 240, 256, 166, 232, 37, 131, 228, 115, 64, 11,
    57, 94, 243, 256, 65, 200, 31, 163, 80, 5, 127, 51, 174, 110, 5, 68, 202, 28, 40, 204, 22, 84, 28, 256, 162, 60, 9,
    39, 71, 256, 12, 80, 122, 79, 168, 78, 256, 92,
]  # fmt: skip
WORKS = {"v256": V256, "64": [64] * 64}
GROUP = 8
SMOLLM2 = "~/.cache/mull/models/smollm2-135m-instruct"
VOCABULARIES = {"tiny1k": 1024, "tiny32k": 32768}
MODELS = [*VOCABULARIES, "smollm2"]
EOS, PAD = 2, 0


def lengths_of(work: str, warm: bool) -> list[int]:
    """Tokens of each of the 64 completions; a sixteenth of them in the step that warms up."""
    return [max(1, n // 16) if warm else n for n in WORKS[work]]


def rewards() -> list[float]:
    """One a completion, unequal within every group."""
    rng = random.Random(1)
    return [rng.random() for _ in V256]


def prompt_ids(model: str) -> list[list[int]]:
    """Token ids of the eight prompts."""
    if model in VOCABULARIES:
        rng = random.Random(0)
        return [[rng.randrange(3, VOCABULARIES[model]) for _ in range(n)] for n in PROMPT_LENGTHS]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(os.path.expanduser(SMOLLM2))
    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    return [
        tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
        for chat in chats
    ]


def build(model: str, dtype: str, attention: str) -> Any:
    """The random Llama of about 5M parameters (without the table), or SmolLM2-135M."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    if model in VOCABULARIES:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=VOCABULARIES[model], hidden_size=256, intermediate_size=688, num_hidden_layers=6,
            num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True, max_position_embeddings=512,
            bos_token_id=1, eos_token_id=EOS, pad_token_id=PAD,
        )  # fmt: skip
        built: Any = LlamaForCausalLM(config)
    else:
        built = AutoModelForCausalLM.from_pretrained(os.path.expanduser(SMOLLM2), dtype=torch.float32)
    built.set_attn_implementation(attention)
    return built.to(getattr(torch, dtype))


def peak_rss() -> float:
    """Most memory this process ever held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class Clock:
    """Seconds by part, of the CPU (all threads of this process) and of the wall.

    Example: `with clock("generate"): …` then `clock.cpu["generate"]`
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.reset()

    def reset(self) -> None:
        self.cpu: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        self._settle()
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self._settle()
        self.cpu[part] = self.cpu.get(part, 0.0) + time.process_time() - cpu
        self.wall[part] = self.wall.get(part, 0.0) + time.perf_counter() - wall

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time counted as `part`."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with self(part):
                return function(*args, **kwargs)

        return run

    def _settle(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def result(self, tokens: int, baseline: float) -> dict[str, Any]:
        """What a child process prints: `total` holds all parts, `memory` is above the import baseline, in MB."""
        memory = peak_rss() - baseline
        if self.device == "cuda":
            import torch

            memory = torch.cuda.max_memory_allocated() / 2**20
        return {"cpu": self.cpu, "wall": self.wall, "tokens": tokens, "memory": memory}
