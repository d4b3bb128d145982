"""Stage `ppo`: the algorithm that GRPO claims to do without: a critic of the policy's own size tells what to expect.

    collect ─► values of every token (critic) ─► GAE ─► update of the policy (clip) ─► update of the critic

A completion's reward is paid at its last token. The critic has the policy's trunk to begin with and starts at 0. So
there are two models, two optimizers and two more passes: what DeepSeekMath (2402.03300 §4.1.1) saves. PPO: 1707.06347.
The policy's loss, clipping and means are those of `rl`. Left out on purpose: a KL to a reference in the reward (rewards
here are verdicts), and a trunk that policy and critic share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mull.algo.gae import gae, value_loss, whiten
from mull.core.chat import Chat
from mull.core.types import Completion, Group
from mull.engine.base import Engine
from mull.model.flops import FORWARD, TRAINED, working_parameters
from mull.rewards.score import Scorer
from mull.rollout.collect import collect
from mull.tasks.iterator import TaskIterator
from mull.train.learner import Learner
from mull.train.loop import Loop
from mull.train.monitor import Monitor
from mull.train.optim import OptimConfig
from mull.train.rl import (
    PolicyConfig,
    RowsOf,
    check_first_step,
    cursors,
    describe,
    restore,
    sampling_flops,
    training_flops,
)
from mull.train.scalar import Asked, ScalarLearner


class PPOConfig(PolicyConfig):
    """Learning from verdicts with a critic."""

    kind: Literal["ppo"]
    gamma: float = Field(default=1.0, ge=0, le=1, description="discount of a token")
    gae_lambda: float = Field(default=0.95, ge=0, le=1, description="0: one step ahead; 1: the whole rest")
    value_clip: float = Field(default=0.2, ge=0, description="most a value may move in an update; 0: any")
    critic: OptimConfig = Field(default=OptimConfig(), description="the critic's own optimizer")

    @model_validator(mode="after")
    def _no_penalty(self) -> Self:
        if self.algorithm.kl_coefficient and self.algorithm.kl_in == "reward":
            raise ValueError('algorithm.kl_in = "reward" is for rl stages; here use "loss"')
        return self


class ActorCritic:
    """A policy and its critic as one thing that is saved and continued. Example: `ActorCritic(learner, critic)`"""

    def __init__(self, actor: Learner, critic: ScalarLearner) -> None:
        self.actor, self.critic = actor, critic

    @property
    def version(self) -> int:
        """Updates of the policy."""
        return self.actor.version

    def state_dict(self) -> dict[str, Any]:
        """Both models' states; tensors are live, not copies."""
        actor, critic = self.actor.state_dict(), self.critic.state_dict()
        optimizer = {"actor": actor["optimizer"], "critic": critic["optimizer"], "critic_version": critic["version"]}
        return {**actor, "optimizer": optimizer, "critic": critic["weights"]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            ValueError: the state is of other models or optimizers.
        """
        optimizer = state["optimizer"]
        self.actor.load_state_dict({**state, "optimizer": optimizer["actor"]})
        self.critic.load_state_dict(
            {"version": optimizer["critic_version"], "weights": state["critic"], "optimizer": optimizer["critic"]}
        )


@dataclass(frozen=True)
class Judged:
    """A usable completion with the critic's values and what came of them, one number a token."""

    completion: Completion
    values_T: Tensor
    advantages_T: Tensor
    returns_T: Tensor


def train_ppo(
    engine: Engine,
    both: ActorCritic,
    chat: Chat,
    problems: TaskIterator,
    score: Scorer,
    config: PPOConfig,
    seed: int,
    loop: Loop,
    rows: RowsOf,
    monitor: Monitor | None = None,
) -> dict[str, float]:
    """Train policy and critic in place; returns the last step's metrics.

    Raises:
        StageFailed: a loss that is not finite, or an engine that disagrees with the learner at the first step.
        Stopped: somebody asked to stop; the state is saved.
    """
    cursor = loop.resume(both)
    if cursor:
        restore(cursor, problems, monitor)
    actor = both.actor
    engine.load_weights(actor.weights(), actor.version)
    metrics = loop.last_metrics()
    for step in loop.steps(both, config.steps, lambda: cursors(problems, monitor)):
        collected = collect(engine, chat, problems, score, config, config.sampling, seed)
        if step == 0:
            check_first_step(actor, collected.all)
        engine.rest()
        judged = judge(both.critic, collected.kept, config)
        metrics = actor.update(collected.kept, weights_of(collected.kept, judged))
        engine.load_weights(actor.weights(), actor.version)
        metrics |= fit_critic(both.critic, list(judged.values()), config)
        problems.note(collected.all)
        table = rows(step, collected.all, frozenset(group.draw for group in collected.kept))
        cost = sampling_flops(actor.model, collected.all) + training_flops(actor.model, metrics["tokens"])
        metrics = {**metrics, **describe(table), "flops": cost + critic_flops(both.critic, judged, config)}
        metrics |= monitor.look(step, metrics) if monitor else {}
        loop.log(step, metrics, table)
    return metrics


def judge(critic: ScalarLearner, groups: Sequence[Group], config: PPOConfig) -> dict[tuple[int, int], Judged]:
    """(group, sample) → values, whitened advantages and returns of every usable completion."""
    usable = {
        (g, s): scored
        for g, group in enumerate(groups)
        for s, scored in enumerate(group.samples)
        if not scored.excluded and scored.completion.token_ids
    }
    values = [rows[0] for rows in critic.score([[asked_of(scored.completion)] for scored in usable.values()])]
    found = []
    for scored, values_T in zip(usable.values(), values, strict=True):
        rewards_T = torch.zeros_like(values_T)
        rewards_T[-1] = scored.reward
        found.append(gae(rewards_T, values_T, config.gamma, config.gae_lambda))
    white = whiten([estimate.advantages_T for estimate in found])
    return {
        key: Judged(usable[key].completion, values_T, advantages_T, estimate.returns_T)
        for key, values_T, advantages_T, estimate in zip(usable, values, white, found, strict=True)
    }


def critic_flops(critic: ScalarLearner, judged: dict[tuple[int, int], Judged], config: PPOConfig) -> float:
    """2·N of the critic for every token, prompts included, that it judged, and 6·N in every epoch of its update."""
    tokens = sum(len(one.completion.prompt_ids) + len(one.completion.token_ids) for one in judged.values())
    parameters = working_parameters(critic.model)
    return float(parameters * tokens * (FORWARD + TRAINED * config.algorithm.epochs))


def asked_of(completion: Completion) -> Asked:
    """A completion, its value wanted before each of its tokens."""
    first, count = len(completion.prompt_ids) - 1, len(completion.token_ids)
    return Asked(completion.prompt_ids + completion.token_ids, tuple(range(first, first + count)))


def weights_of(groups: Sequence[Group], judged: dict[tuple[int, int], Judged]) -> list[list[Any]]:
    """The advantages as `Learner.update` takes them: one a token, 0 for what is not usable."""
    return [
        [tuple(judged[g, s].advantages_T.tolist()) if (g, s) in judged else 0.0 for s in range(len(group.samples))]
        for g, group in enumerate(groups)
    ]


def fit_critic(critic: ScalarLearner, judged: Sequence[Judged], config: PPOConfig) -> dict[str, float]:
    """As many steps of the critic as the policy took, on the mean over all tokens; `value_loss` and what it explains.

    Raises:
        StageFailed: a loss that is not finite.
    """
    if not judged:
        return {}
    parts = [judged[i :: config.algorithm.minibatches] for i in range(config.algorithm.minibatches)]
    losses = []
    for _ in range(config.algorithm.epochs):
        for part in filter(None, parts):
            tokens = sum(len(one.values_T) for one in part)

            def loss(g: int, rows: list[Tensor], part: Any = part, tokens: int = tokens) -> Tensor:
                one = part[g]
                old_T, wanted_T = (x.to(rows[0].device) for x in (one.values_T, one.returns_T))
                return value_loss(rows[0], old_T, wanted_T, config.value_clip).sum() * (len(part) / tokens)

            losses.append(critic.fit([[asked_of(one.completion)] for one in part], loss)["loss"])
    values, returns = (torch.cat([getattr(one, name) for one in judged]) for name in ("values_T", "returns_T"))
    spread = float(returns.var(correction=0))
    explained = 1 - float((returns - values).var(correction=0)) / spread if spread > 0 else math.nan
    return {"value_loss": math.fsum(losses) / len(losses), "value_explained": explained}
