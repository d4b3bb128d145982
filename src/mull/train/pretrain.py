"""Stage `pretrain`: make a base model on the user's machine from the embedded world's corpus.

Next-token prediction on the tokens that can be predicted (results of facts, responses of solutions); the loss of a step
is the mean over its tokens. Many small steps of documents of similar length: at this size they teach far more than few
large ones. Batches are a pure function of the seed, so a resumed run needs only the number of the next one.
Left out on purpose: corpora of plain text (start from a pretrained model instead) and dropout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mull.algo.samples import Example
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.tasks.world.corpus import Habits, documents
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.batches import plan
from mull.train.learner import Learner
from mull.train.loop import Checkpointing, Loop
from mull.train.optim import OptimConfig
from mull.train.schedule import ScheduleConfig


class PretrainConfig(Checkpointing):
    """A base model of the embedded world."""

    kind: Literal["pretrain"]
    corpus: Literal["embedded", "embedded-general"] = "embedded"
    """"embedded": countdown and chains. "embedded-general": one document in eight is a request and its reply, with the
    words that they need."""
    documents: int = Field(default=50_000, ge=1, description="texts to read, once each")
    batch_tokens: int = Field(default=1024, ge=16, description="tokens a step, about")
    model: TinyConfig = TinyConfig()
    optim: OptimConfig = OptimConfig(
        name="muon",
        lr=4e-3,
        muon_lr=1e-2,
        schedule=ScheduleConfig(warmup=30, decay="linear", final=0.03),
    )
    checkpoint_every: int = Field(default=500, ge=1, description="steps between checkpoints")


REQUESTS = 0.125


def blank_model(config: PretrainConfig, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The untrained model and the tokenizer of the embedded world."""
    tokenizer = word_tokenizer(vocabulary(config.corpus == "embedded-general"), PAD, BOS, EOS)
    return small_model(config.model, tokenizer, seed), tokenizer


def corpus_examples(config: PretrainConfig, seed: int) -> list[Example]:
    """The corpus as token ids with a loss weight of 1 on every predictable token."""
    general = config.corpus == "embedded-general"
    ids = {word: number for number, word in enumerate(vocabulary(general))}
    habits = Habits(requests=REQUESTS if general else 0.0)
    return [
        Example(tuple(ids[word] for word in doc.words), tuple(map(float, doc.predictable)))
        for doc in documents(config.documents, seed, habits)
    ]


def pretrain(
    model: PreTrainedModel,
    config: PretrainConfig,
    seed: int,
    loop: Loop,
    begin: Callable[[int], None] = lambda steps: None,
) -> dict[str, float]:
    """Train `model` in place; returns the last loss and the number of steps. `begin` is told that number.

    Raises:
        StageFailed: a loss that is not finite.
        Stopped: somebody asked to stop; the state is saved.
    """
    examples = corpus_examples(config, seed)
    batches = plan([len(example.tokens) for example in examples], config.batch_tokens, seed)
    learner = Learner(model, config.optim, len(batches), micro_batch_tokens=4 * config.batch_tokens)
    begin(len(batches))
    loop.resume(learner)
    metrics = loop.last_metrics()
    for step in loop.steps(learner, len(batches)):
        metrics = learner.fit([examples[i] for i in batches[step]])
        loop.log(step, metrics)
    return {"steps": len(batches), **{key: metrics[key] for key in ("loss",) if key in metrics}}
