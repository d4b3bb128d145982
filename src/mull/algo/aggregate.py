"""What the loss is the mean over. One scale per sample, from the whole optimizer batch, before it is cut up.

With n_i the number of tokens of output i that carry loss, N outputs and P prompts in the optimizer batch:

    sequence   w = 1 / (N · n_i)            GRPO as published
    token      w = 1 / Σ_j n_j              DAPO
    constant   w = 1 / (L · N)              Dr. GRPO, L the token limit
    prompt     w = 1 / (P · Σ_{j∈prompt} n_j)   ScaleRL

Because w is fixed before micro-batches exist, the loss is a plain sum over tokens: how it is packed, accumulated or
ordered cannot change it. Left out on purpose: per-token weights within an output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mull.algo.config import AlgorithmConfig
from mull.algo.samples import Sample


def sample_scales(samples: Sequence[Sample], config: AlgorithmConfig) -> list[float]:
    """The weight w of every token of each sample; `samples` is the whole optimizer batch.

    Raises:
        ValueError: aggregation "constant" without `constant_tokens`, or a sample without a token that carries loss.
    """
    valid = [sample.valid for sample in samples]
    if not all(valid):
        raise ValueError("a sample without a token that carries loss has no mean; leave it out of the batch")
    count = len(samples)
    match config.aggregation:
        case "sequence":
            return [1 / (count * n) for n in valid]
        case "token":
            return [1 / sum(valid)] * count if count else []
        case "constant":
            if config.constant_tokens is None:
                raise ValueError("aggregation 'constant' needs constant_tokens, the sampling's token limit")
            return [1 / (config.constant_tokens * count)] * count if count else []
        case "prompt":
            tokens: Counter[int] = Counter()
            for sample, n in zip(samples, valid, strict=True):
                tokens[sample.group] += n
            return [1 / (len(tokens) * tokens[sample.group]) for sample in samples]
