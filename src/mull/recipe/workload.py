"""What a stage will do, counted from its configuration: steps, tokens to train on, tokens to write.

What only running can tell is assumed: a completion is half as long as it may be, dynamic sampling needs half of its
rounds, `sample` keeps half of what it asks or what `per_problem` allows. Left out on purpose: time, bytes (`estimate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.types import Problem
from mull.evaluation.evaluate import AskConfig, AskingConfig
from mull.evaluation.sample import SampleConfig
from mull.evaluation.steps import LabelStepsConfig
from mull.recipe.graph import Recipe, Stage
from mull.tasks.conversations import read_conversations
from mull.tasks.mixture import load_mixture
from mull.tasks.opinions import load_preferences
from mull.tasks.preferences import Pair
from mull.tasks.world.corpus import documents
from mull.train.distil import DistilConfig
from mull.train.ppo import PPOConfig
from mull.train.pretrain import PretrainConfig
from mull.train.reward import RewardModelConfig
from mull.train.rl import PolicyConfig
from mull.train.sft import SFTConfig

LENGTH = 0.5
"""Of a completion, as a share of its limit."""
LETTERS = 4
"""In a token of a text whose tokenizer is not looked at; words of the embedded world are tokens of their own."""


@dataclass(frozen=True)
class Work:
    """One stage's work. Tokens are totals over all steps.

    Example: `Work(steps=40, unit="step", trained=1e6, micro_batch=4096, updates=40)`
    """

    steps: int
    unit: str
    trained: float = 0.0
    """Tokens that go forward and backward."""
    read: float = 0.0
    """Tokens that go forward only, in the model's own size: references, teachers, prompts."""
    written: float = 0.0
    """Tokens that are sampled."""
    turns: float = 0.0
    """Passes of decoding: one token for each of the sequences side by side."""
    completions: float = 0.0
    updates: float = 0.0
    """Optimizer steps."""
    micro_batch: int = 0
    """Tokens of one forward and backward pass."""
    context: float = 0.0
    """Tokens that a token looks at, on average."""
    slots: int = 0
    longest: int = 0
    """Positions of a sequence that is decoded, at most."""


def work_of(recipe: Recipe, stage: Stage) -> Work | None:
    """What a stage will do; None for a kind that is not counted here."""
    config: Any = stage.config
    if isinstance(config, PretrainConfig):
        return _pretrain(config, recipe.seed)
    if isinstance(config, PolicyConfig):
        return _policy(config)
    if isinstance(config, LabelStepsConfig):
        return None  # how many steps a chain has is not known before
    if isinstance(config, AskConfig) or (isinstance(config, SampleConfig) and not config.remote):
        return _ask(config)
    if isinstance(config, SFTConfig) or (isinstance(config, DistilConfig) and config.data):
        return _supervised(recipe, stage)
    if isinstance(config, DistilConfig):
        return _on_policy(config)
    return _reward(config) if isinstance(config, RewardModelConfig) else None


def _pretrain(config: PretrainConfig, seed: int) -> Work:
    seen = min(config.documents, 400)
    mean = sum(len(document.words) for document in documents(seen, seed)) / seen
    tokens = mean * config.documents
    steps = max(1, math.ceil(tokens / (config.batch_tokens + mean / 2)))  # a step ends with the text that fills it
    return Work(steps, "step", tokens, updates=steps, micro_batch=4 * config.batch_tokens, context=mean / 2)


def _policy(config: PolicyConfig) -> Work:
    prompt = _prompt(load_mixture(config.tasks).all)
    rounds = 1 + (config.max_rounds - 1) / 2
    kept = config.steps * config.prompts * config.group_size
    most = config.sampling.max_tokens
    asked, length = kept * rounds, most * LENGTH
    algorithm = config.algorithm
    passes = (algorithm.updates > 1) + bool(algorithm.kl_coefficient)
    critic = 1 if isinstance(config, PPOConfig) else 0  # judging, and learning as much as the policy does
    trained = kept * (prompt / config.group_size + length) * algorithm.epochs * (1 + critic)
    side = min(config.slots, round(config.prompts * config.group_size))
    return Work(
        config.steps, "step", trained, kept * length * (passes + critic), asked * length,
        _turns(asked, length, most, side, config.steps * rounds), asked,
        config.steps * algorithm.updates * (1 + critic),
        config.micro_batch_tokens, prompt + length / 2, side, prompt + most,
    )  # fmt: skip


def _ask(config: AskingConfig) -> Work:
    problems = load_mixture(config.tasks).all
    prompt, length = _prompt(problems), config.max_tokens * LENGTH
    times = max(1, len(getattr(config, "budgets", ())))
    chunks, asked = math.ceil(len(problems) / config.chunk) * times, len(problems) * config.samples * times
    side = min(config.slots, min(config.chunk, len(problems)) * config.samples)
    return Work(
        chunks, "chunk", read=len(problems) * prompt, written=asked * length,
        turns=_turns(asked, length, config.max_tokens, side, chunks), completions=asked, context=prompt + length / 2,
        slots=side, longest=prompt + config.max_tokens,
    )  # fmt: skip


def _turns(asked: float, length: float, most: int, side: int, batches: float) -> float:
    """Passes of decoding: every batch waits for its longest, taken to be as long as it may be."""
    return max(asked * length / side, batches * most)


def _supervised(recipe: Recipe, stage: Stage) -> Work:
    config: Any = stage.config
    sequences = tokens = 0.0
    for number, spec in enumerate(config.data, 1):
        source = recipe.stages.get(stage.needs.get(f"data.{number}", ""))
        count, mean = _kept(source.config) if source else _conversations(Path(spec.source).expanduser(), spec.limit)
        sequences += count * spec.weight
        tokens += count * spec.weight * mean
    steps = max(1, math.ceil(tokens / config.batch_tokens)) * config.epochs
    total = tokens * config.epochs
    teacher = total if isinstance(config, DistilConfig) else 0.0
    return Work(
        steps, "step", total, teacher, updates=steps, micro_batch=min(config.micro_batch_tokens, round(total) or 1),
        context=tokens / max(1.0, sequences) / 2,
    )  # fmt: skip


def _on_policy(config: DistilConfig) -> Work:
    prompt, most = _prompt(load_mixture(config.tasks).all), config.sampling.max_tokens
    asked, length = config.steps * config.prompts * config.samples, most * LENGTH
    total, side = asked * (prompt + length), min(config.slots, config.prompts * config.samples)
    return Work(
        config.steps, "step", total, total, asked * length, _turns(asked, length, most, side, config.steps), asked,
        config.steps, config.micro_batch_tokens, prompt + length / 2, side, prompt + most,
    )  # fmt: skip


def _reward(config: RewardModelConfig) -> Work:
    count = tokens = 0.0
    for spec in config.data:
        for one in load_preferences(spec, config.skip_unusable):
            replies = (one.chosen, one.rejected) if isinstance(one, Pair) else (one.reply,)
            said = sum(_tokens(message.content) for message in one.prompt)
            count += 1
            tokens += sum(said + _tokens(reply) for reply in replies)
    taught = count * (1 - config.held_out)
    steps = max(1, math.ceil(taught / config.batch)) * config.epochs
    trained = tokens * (1 - config.held_out) * config.epochs
    return Work(
        steps, "step", trained, tokens * config.held_out, updates=steps, micro_batch=config.micro_batch_tokens,
        context=tokens / max(1.0, count) / 4,
    )  # fmt: skip


def _prompt(problems: list[Problem]) -> int:
    """Tokens of a prompt, about: words where most are short (the embedded world's are), else letters."""
    seen = problems[:50]
    texts = [" ".join(message.content for message in problem.messages) for problem in seen]
    return max(1, round(sum(map(_tokens, texts)) / max(1, len(texts))))


def _tokens(text: str) -> float:
    words = text.split()
    return len(words) if len(text) < LETTERS * len(words) else len(text) / LETTERS


def _kept(config: Any) -> tuple[float, float]:
    """(conversations, tokens of each) that a stage of kind `sample` will keep, about."""
    problems = load_mixture(config.tasks).all
    each = min(config.keep.per_problem or config.samples, config.samples * LENGTH)
    return len(problems) * each, _prompt(problems) + config.max_tokens * LENGTH


def _conversations(path: Path, limit: int | None) -> tuple[float, float]:
    rows = read_conversations(path, limit)
    lengths = [sum(_tokens(turn.message.content) for turn in row) for row in rows[:200]]
    return len(rows), sum(lengths) / max(1, len(lengths))
