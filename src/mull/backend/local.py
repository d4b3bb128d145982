"""One process: learner and engine share one model, LoRA's adapters included, so that a weight sync is a number.

Left out on purpose: torchrun with FSDP2, and Ray with vLLM.
"""

from __future__ import annotations

from mull.engine.local import LocalEngine
from mull.model.load import LoadedModel, load_model
from mull.model.lora import add_lora
from mull.model.scalar import scalar_of
from mull.train.learner import Learner
from mull.train.ppo import PPOConfig
from mull.train.rl import PolicyConfig
from mull.train.scalar import ScalarLearner


def make_pair(loaded: LoadedModel, config: PolicyConfig, seed: int = 0) -> tuple[Learner, LocalEngine]:
    """The learner and the engine of an rl stage; a reference model is loaded only where a KL term needs it.

    `seed` fixes the first values of LoRA's adapters.
    """
    algorithm = config.algorithm.with_token_limit(config.sampling.max_tokens)
    if config.lora:
        add_lora(loaded.model, config.lora, seed)
    needs_reference = algorithm.kl_coefficient and not config.lora
    reference = load_model(loaded.source, config.dtype).model if needs_reference else None
    learner = Learner(
        loaded.model,
        config.optim,
        config.steps,
        micro_batch_tokens=config.micro_batch_tokens,
        temperature=config.sampling.temperature,
        algorithm=algorithm,
        reference=reference,
    )
    return learner, LocalEngine(loaded.model, slots=config.slots)


def make_critic(source: str, config: PPOConfig) -> ScalarLearner:
    """The critic of a ppo stage: the policy's trunk once more, with a score that starts at 0."""
    steps = config.steps * config.algorithm.updates
    model = scalar_of(load_model(source, config.dtype))
    return ScalarLearner(model, config.critic, steps, micro_batch_tokens=config.micro_batch_tokens)
