"""Claims on the language of thoughts: training on verdicts mixes languages, a reward mends it, at a price."""

from __future__ import annotations

from mull.analysis.scripts import words_of
from mull.pages.numbers import share
from mull.recipe.claims.claim import Claim, Definition, judged, missing
from mull.recipe.claims.measure import mean, paired, pass_1, why_not
from mull.recipe.claims.roles import Roles, init, language_weight
from mull.recipe.evidence import Compared, Evidence, Stage
from mull.recipe.samples import Asked
from mull.stats import share_difference
from mull.tasks.world.words import lexicon

LEAST_WORDS = 2
"""Words of which more than one language is possible."""

MIXING = Definition(
    "mixing_appears",
    "Reinforcement learning on verdicts alone makes thoughts mix languages",
    "DeepSeek-R1 §2.2.4 (arXiv 2501.12948)",
    "Of the thoughts with two words of a known language and more, the share with words of the problem's language and "
    "of another: R1-Zero less its start.",
    "share of thoughts that mix languages",
)
MENDS = Definition(
    "language_reward_mends",
    "A reward for one language makes thoughts keep to it",
    "DeepSeek-R1 §2.3.2 and the ablation of its second version",
    "The share of a thought's words in the problem's language, mean by problem: an rl stage with "
    "reward.language_weight above 0 less one without it, of the same init, tasks and steps.",
    "share of a thought's words in the problem's language",
    labels=("without", "with the reward"),
)
COST = Definition(
    "language_reward_cost",
    "The reward for one language costs some right answers",
    "DeepSeek-R1 §2.3.2",
    "pass@1 of the same two stages, with the reward less without it; holds where the interval is below 0.",
    "share of attempts that are right (pass@1)",
    labels=("without", "with the reward"),
    direction="down",
)
ALL = (MIXING, MENDS, COST)


def claims(evidence: Evidence, roles: Roles) -> list[Claim]:
    """The claims of this theme."""
    return [mixing_appears(evidence, roles), *language_reward(evidence, roles)]


def mixing_appears(evidence: Evidence, roles: Roles) -> Claim:
    """Share of thoughts that mix languages, of R1-Zero less its start; holds when the interval is above 0."""
    zero = roles.zero
    if zero is None:
        return missing(MIXING, "the run has no rl stage that starts from a base model")
    both = evidence.compare(init(zero), zero.name)
    if why := why_not(both, init(zero), zero.name):
        return missing(MIXING, why, zero.name)
    before, after = ([_mixed(side) for side in sides] for sides in zip(*both.problems, strict=True))
    change = share_difference(
        ([m for m, _ in before], [n for _, n in before]), ([m for m, _ in after], [n for _, n in after]), both.families
    )
    if change.before != change.before or change.after != change.after:
        return missing(MIXING, "no thought has two words of a known language", zero.name)
    said = f"{share(change.before)} → {share(change.after)} of thoughts mix languages"
    return judged(MIXING, change, said, stage=zero.name, tasks=both.tasks)


def _mixed(asked: Asked) -> tuple[int, int]:
    """How many of a problem's thoughts mix languages, and of how many that can be told."""
    known = lexicon(asked.task)
    told = []
    for sample in asked.thoughts:
        thought = sample.parts.thinking_text or ""
        words = sum(w in known for w in thought.lower().split()) if known else sum(w.count for w in words_of(thought))
        if sample.language_share is not None and words >= LEAST_WORDS:
            told.append(0 < sample.language_share < 1)
    return sum(told), len(told)


def language_reward(evidence: Evidence, roles: Roles) -> list[Claim]:
    """Two rl stages that differ in the language reward: its effect on the language and on right answers."""
    found = _ablation(roles)
    if found is None:
        why = "no two rl stages of one init, tasks and steps differ in reward.language_weight (one of them 0)"
        return [missing(MENDS, why), missing(COST, why)]
    without, rewarded = found
    both = evidence.compare(without.name, rewarded.name)
    if why := why_not(both, without.name, rewarded.name):
        return [missing(MENDS, why, rewarded.name), missing(COST, why, rewarded.name)]
    return [_mends(both, rewarded), _cost(both, rewarded)]


def _mends(both: Compared, rewarded: Stage) -> Claim:
    change = paired(
        both, lambda asked: mean([s.language_share for s in asked.thoughts if s.language_share is not None])
    )
    said = f"{share(change.before)} of the words without the reward, {share(change.after)} with it"
    return judged(MENDS, change, said, stage=rewarded.name, tasks=both.tasks)


def _cost(both: Compared, rewarded: Stage) -> Claim:
    change = paired(both, pass_1)
    said = f"pass@1 {share(change.before)} without the reward, {share(change.after)} with it"
    return judged(COST, change, said, stage=rewarded.name, tasks=both.tasks)


def _ablation(roles: Roles) -> tuple[Stage, Stage] | None:
    """(without, with) the language reward, all that decides the task being equal."""
    stages = roles.of_kind("rl")
    for without in stages:
        for rewarded in stages:
            same = all(without.config.get(key) == rewarded.config.get(key) for key in ("init", "tasks", "steps"))
            if same and language_weight(without) == 0 < language_weight(rewarded):
                return without, rewarded
    return None
