"""The work of `decode.py`: lengths, prompts and models, all of them data or made from a seed.

V256: 64 completions, lengths geometric with mean 100, clipped to 5…256, seed 0: 7,043 tokens. Every engine decodes
exactly these lengths and ignores stop tokens. Left out on purpose: sampled lengths; they would differ between engines.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LENGTHS = (
    186, 142, 55, 30, 72, 52, 153, 36, 65, 88, 238, 70, 33, 141, 96, 29, 240, 256, 166, 232, 37, 131, 228, 115, 64, 11,
    57, 94, 243, 256, 65, 200, 31, 163, 80, 5, 127, 51, 174, 110, 5, 68, 202, 28, 40, 204, 22, 84, 28, 256, 162, 60, 9,
    39, 71, 256, 12, 80, 122, 79, 168, 78, 256, 92,
)  # fmt: skip
PROMPTS = (
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
)
TINY = {"tiny1k": 1024, "tiny32k": 32768}
DTYPES = {"bf16": "bfloat16", "fp32": "float32"}


@dataclass(frozen=True)
class Work:
    """Prompts as token ids, and the lengths that each prompt's samples shall have.

    Example: `Work([[1, 5, 9]], [[64]]).tokens == 64`
    """

    prompts: list[list[int]]
    lengths: list[list[int]]

    @property
    def tokens(self) -> int:
        return sum(map(sum, self.lengths))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def make_work(scene: str, prompts: list[list[int]], shrink: int = 1) -> Work:
    """`uneven`: 64 requests, no two prompts alike; `grpo`: 8 prompts with 8 samples each; `one`: a single request.

    `shrink` divides every length, for a quick look.
    """
    lengths = [max(1, length // shrink) for length in LENGTHS]
    if scene == "uneven":
        # A first token of its own makes each prompt another one: nothing can be shared between requests.
        rows = [[3 + i, *prompts[i // 8][1:]] for i in range(len(lengths))]
        return Work(rows, [[length] for length in lengths])
    if scene == "grpo":
        return Work(prompts, [lengths[i : i + 8] for i in range(0, len(lengths), 8)])
    return Work(prompts[:1], [[max(1, 128 // shrink)]])


def make_model(name: str, dtype: str, cache: Path) -> tuple[Path, list[list[int]]]:
    """A model directory in the wanted dtype, made once, and the prompts in its tokens."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    place = cache / "models" / f"{name}-{dtype}"
    if name in TINY:
        rng, size = random.Random(0), TINY[name]
        prompts = [[rng.randrange(3, size) for _ in range(54)] for _ in PROMPTS]
    else:
        from mull.model.cache import KNOWN, in_cache

        found = in_cache(KNOWN[name])
        if found is None:
            raise SystemExit(f"model {name} is not on this machine yet; run: mull fetch {name}")
        tokenizer = AutoTokenizer.from_pretrained(found.path)
        chats = [[{"role": "user", "content": text}] for text in PROMPTS]
        prompts = [tokenizer.apply_chat_template(c, add_generation_prompt=True, return_dict=False) for c in chats]
    if not (place / "config.json").exists():
        if name in TINY:
            torch.manual_seed(0)
            model: Any = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=TINY[name], hidden_size=256, intermediate_size=688, num_hidden_layers=6,
                    num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True,
                    max_position_embeddings=1024,
                )
            )  # fmt: skip
        else:
            model = AutoModelForCausalLM.from_pretrained(found.path)
        model.to(getattr(torch, DTYPES[dtype])).save_pretrained(place)
    return place, prompts


def make_gguf(model: Path, kind: str) -> Path:
    """A Llama directory as a GGUF file without a vocabulary, matrices in F16 or Q8_0; made once."""
    import gguf
    import torch
    from transformers import AutoModelForCausalLM

    path = model.parent / f"{model.name}-{kind}.gguf"
    if path.exists():
        return path
    loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    config, writer = loaded.config, gguf.GGUFWriter(path.with_suffix(".part"), "llama")
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    quantised, f16 = getattr(gguf.GGMLQuantizationType, kind), gguf.GGMLQuantizationType.F16
    names: Any = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in loaded.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        data, ours = tensor.numpy(), names.get_name(name, try_suffixes=(".weight",))
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:  # llama.cpp's rotary embedding has the two halves of a head interleaved
            data = data.reshape(heads, 2, -1, data.shape[1]).swapaxes(1, 2).reshape(data.shape)
        how = f16 if data.shape[-1] % 32 else quantised  # Q8_0 has blocks of 32
        if data.ndim == 2:
            writer.add_tensor(ours, gguf.quants.quantize(data, how), raw_dtype=how)
        else:
            writer.add_tensor(ours, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.with_suffix(".part").rename(path)
    return path
