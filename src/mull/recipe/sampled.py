"""What can be said of a `sample` stage before it runs: whether all is there, and what it will take."""

from __future__ import annotations

from mull.evaluation.judge import check_references
from mull.evaluation.sample import SampleConfig
from mull.evaluation.teacher import estimate
from mull.model.load import check_source
from mull.recipe.graph import JUDGE
from mull.recipe.kind import check_reward, named
from mull.tasks.mixture import load_mixture


def check_sample(config: SampleConfig, where: str, inner: frozenset[str]) -> None:
    """Models and data exist and can be read, and a judge finds its references; raises UserError otherwise."""
    if config.model is not None and "model" not in inner:
        with named(f"{where}.model"):
            check_source(config.model)
    with named(f"{where}.tasks"):
        problems = load_mixture(config.tasks).all
    check_reward(config, where, inner)
    judge = config.keep.judge
    if judge is None:
        return
    if judge.model is not None and JUDGE not in inner:
        with named(f"{where}.{JUDGE}"):
            check_source(judge.model)
    with named(where):
        check_references(problems)


def sample_lacks(config: SampleConfig) -> list[str]:
    """Keys that the environment lacks."""
    judge = config.keep.judge
    remotes = [config.remote, judge.remote if judge else None]
    return list(dict.fromkeys(lacking for remote in remotes if remote and (lacking := remote.lacks())))


def sample_costs(config: SampleConfig) -> list[str]:
    """What asking a remote teacher takes at most; what its judge will be asked nobody knows before."""
    return [estimate(config.remote, load_mixture(config.tasks).all, config)] if config.remote else []
