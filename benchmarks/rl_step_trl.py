"""One GRPO step of TRL's `GRPOTrainer`, for `rl_step`; runs in TRL's own environment. Prints one JSON line.

The trainer is used as it is; wrappers count the time of its parts and force the lengths:

static      a logits processor bans the end token before a row's length and forces it there, so that the batch runs to
            its longest row, as it does in earnest
continuous  each request gets its own token limit and no end token

Prompts reach it as token ids. Micro-batch 8, one update a batch, no KL, no gradient checkpointing; bfloat16 is TRL's
own `bf16=True` (fp32 weights under autocast; continuous batching turns the weights themselves into bf16).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from datasets import Dataset
from rl_step_work import (
    EOS,
    GROUP,
    PAD,
    SMOLLM2,
    VOCABULARIES,
    Clock,
    build,
    lengths_of,
    peak_rss,
    prompt_ids,
    rewards,
)
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerFast, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer


class ForcedEnd(LogitsProcessor):
    """The end token at position `lengths[row]` and nowhere before. Example: `ForcedEnd([5, 9], prompt=65, eos=2)`"""

    def __init__(self, lengths: list[int], prompt: int, eos: int) -> None:
        self.lengths, self.prompt, self.eos = torch.tensor(lengths), prompt, eos

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        ends = (self.lengths == input_ids.shape[1] + 1 - self.prompt).nonzero().flatten().to(scores.device)
        scores[:, self.eos] = -torch.inf
        if len(ends):
            scores[ends] = -torch.inf
            scores[ends, self.eos] = 0.0
        return scores


class Steps(TrainerCallback):
    """Starts the clock anew at every optimizer step. Example: `Steps(clock)`"""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.clock.reset()
        self.total = self.clock("total")
        self.total.__enter__()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.total.__exit__(None, None, None)


def tokenizer_of(model: str) -> Any:
    """SmolLM2's, or one word a token."""
    if model not in VOCABULARIES:
        return transformers.AutoTokenizer.from_pretrained(os.path.expanduser(SMOLLM2))
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = {f"t{i}": i for i in range(VOCABULARIES[model])}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="t1")),
        eos_token=f"t{EOS}",
        pad_token=f"t{PAD}",
        unk_token="t1",
    )


def force_lengths(trainer: Any, options: argparse.Namespace) -> None:
    """Both of TRL's ways to generate, each completion to its own length."""

    def wanted() -> list[int]:
        return lengths_of(options.work, warm=trainer.state.global_step == 0)

    if options.batching == "static":
        generate, eos = trainer.model.generate, trainer.processing_class.eos_token_id

        def forced(**kwargs: Any) -> Any:
            end = ForcedEnd(wanted(), kwargs["input_ids"].shape[1], eos)
            return generate(**kwargs, logits_processor=LogitsProcessorList([end]))

        trainer.model.generate = forced
        return
    from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager

    add = ContinuousBatchingManager.add_request

    def limited(self: Any, input_ids: Any, request_id: str, **kwargs: Any) -> Any:
        kwargs |= {"max_new_tokens": wanted()[int(request_id.split("_")[1]) % 64], "eos_token_id": -1}
        return add(self, input_ids=input_ids, request_id=request_id, **kwargs)

    ContinuousBatchingManager.add_request = limited  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("model", "work", "dtype", "device", "batching"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    baseline = peak_rss()
    clock, prompts = Clock(options.device), prompt_ids(options.model)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, max_steps=2, per_device_train_batch_size=GROUP, gradient_accumulation_steps=8,
            num_generations=GROUP, max_completion_length=256, temperature=1.0, top_p=1.0, top_k=0, beta=0.0,
            learning_rate=1e-6, lr_scheduler_type="constant", gradient_checkpointing=False, shuffle_dataset=False,
            bf16=options.dtype == "bfloat16", use_cpu=options.device == "cpu", report_to="none", save_strategy="no",
            logging_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
            use_transformers_continuous_batching=options.batching == "continuous",
        )  # fmt: skip
        values = rewards()
        trainer = GRPOTrainer(
            build(options.model, "float32", "sdpa"),
            reward_funcs=lambda completions, **_: [values[i % 64] for i in range(len(completions))],
            args=config,
            train_dataset=Dataset.from_dict({"prompt": [str(i) for i in range(len(prompts))] * 4}),
            processing_class=tokenizer_of(options.model),
            callbacks=[Steps(clock)],
        )
        made: list[int] = []
        trainer._tokenize_prompts = lambda texts: ([prompts[int(text)] for text in texts], None, {})
        generate = clock.timed("generate", trainer._generate_single_turn)

        def counted(*args: Any, **kwargs: Any) -> Any:
            completions, logprobs = generate(*args, **kwargs)
            made[:] = [len(ids) for ids in completions]
            return completions, logprobs

        trainer._generate_single_turn = counted
        trainer._get_per_token_logps_and_entropies = clock.timed("logprobs", trainer._get_per_token_logps_and_entropies)
        trainer.accelerator.backward = clock.timed("backward", trainer.accelerator.backward)
        force_lengths(trainer, options)
        trainer.train()
    assert sorted(made) == sorted(lengths_of(options.work, warm=False)), "lengths were not as forced"
    print(json.dumps(clock.result(sum(made), baseline)))


if __name__ == "__main__":
    main()
