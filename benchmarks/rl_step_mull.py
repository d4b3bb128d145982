"""One GRPO step of mull, for `rl_step`: generate with the local engine, score, one update. Prints one JSON line.

Lengths are forced by one request a completion, with its own token limit and no end token. Requests with equal prompts
share the prompt pass where the engine can.
"""

from __future__ import annotations

import argparse
import json

import torch
from rl_step_work import GROUP, Clock, build, lengths_of, peak_rss, prompt_ids, rewards

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.core.types import Group, Message, Problem, Scored, Verdict, VerdictKind
from mull.engine.base import Request, Sampling
from mull.engine.local import LocalEngine
from mull.model.attention import ATTENTION
from mull.train.learner import Learner
from mull.train.optim import OptimConfig


def step(engine: LocalEngine, learner: Learner, prompts: list[list[int]], lengths: list[int], clock: Clock) -> int:
    """Returns the number of sampled tokens."""
    with clock("total"):
        with clock("generate"):
            requests = [
                Request(f"{i}", tuple(prompts[i // GROUP]), Sampling(length), seed=learner.version)
                for i, length in enumerate(lengths)
            ]
            completions = [row[0] for row in engine.generate(requests)]
        verdict, values = Verdict(VerdictKind.WRONG), rewards()
        rows = [Scored(done, verdict, value) for done, value in zip(completions, values, strict=True)]
        groups = [
            Group(
                Problem(f"p{k}", (Message("user", "?"),), "none", {}), tuple(rows[k * GROUP : (k + 1) * GROUP]), draw=k
            )
            for k in range(len(prompts))
        ]
        weights = advantages(groups, learner.algorithm)
        with clock("update"):
            engine.rest()
            learner.update(groups, weights)
    engine.load_weights(learner.weights(), learner.version)
    return sum(len(done.token_ids) for done in completions)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("model", "work", "dtype", "device"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--micro-batch-tokens", type=int, default=512)
    parser.add_argument("--batching", help="has no meaning here: the engine always refills its slots")
    options = parser.parse_args()
    torch.set_num_threads(1)
    baseline = peak_rss()
    model = build(options.model, options.dtype, ATTENTION).to(options.device)
    learner = Learner(
        model,
        OptimConfig(lr=1e-6),
        10,
        micro_batch_tokens=options.micro_batch_tokens,
        algorithm=AlgorithmConfig(name="dapo"),
    )
    engine, clock, prompts = LocalEngine(model, slots=64), Clock(options.device), prompt_ids(options.model)
    learner._forward = clock.timed("logprobs", learner._forward)
    tokens = 0
    for warm in (True, False):
        clock.reset()
        tokens = step(engine, learner, prompts, lengths_of(options.work, warm), clock)
    for times in (clock.cpu, clock.wall):
        times["backward"] = times.pop("update") - times["logprobs"]
    print(json.dumps(clock.result(tokens, baseline)))


if __name__ == "__main__":
    main()
