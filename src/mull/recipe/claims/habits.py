"""Claims on where thinking helps and where it does not: easy problems, open-ended ones, greedy decoding."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mull.analysis.repetition import repeated_share
from mull.pages.numbers import points, share
from mull.recipe.claims.claim import Claim, Definition, judged, missing
from mull.recipe.claims.measure import mean, paired, pass_1, why_not
from mull.recipe.claims.pipeline import RIGHT
from mull.recipe.claims.roles import Roles, init
from mull.recipe.claims.thought import share_after_answer
from mull.recipe.evidence import Evidence, Stage
from mull.recipe.samples import Asked
from mull.stats import Change, share_difference

OPEN = "general"

EASY = Definition(
    "overthinking_on_easy",
    "On easy problems more of the thought comes after the answer is found",
    "Chen et al. 2024 (arXiv 2412.21187)",
    "The share of a thought's words that come after the answer it finally gives first appears: mean over the "
    "thoughts on the lowest level of each task less that on the highest. Thoughts in which the answer does not "
    "appear are left out.",
    "share of a thought that comes after its answer",
    labels=("hardest level", "easiest level"),
)
OPEN_ENDED = Definition(
    "open_ended_gains_smaller",
    "Open-ended problems gain less from training to reason than verifiable ones",
    "OpenAI, Learning to reason with LLMs (2024), human preference",
    'The gain of R1-Zero over its base on verifiable problems less that on problems of domain "general".',
    "gain in pass@1",
    labels=("open-ended", "verifiable"),
    effect="difference of gains",
)
GREEDY = Definition(
    "greedy_hurts",
    "Greedy decoding makes a reasoning model worse",
    "DeepSeek-R1 §3 (arXiv 2501.12948)",
    "pass@1 at temperature 0 less pass@1 of the same model sampled at its usual temperature; the share of repeated "
    "8-word runs is told as well. Holds where the interval is below 0.",
    RIGHT,
    labels=("sampled", "greedy"),
    direction="down",
)
ALL = (EASY, OPEN_ENDED, GREEDY)


def claims(evidence: Evidence, roles: Roles) -> list[Claim]:
    """The claims of this theme."""
    return [
        overthinking_on_easy(evidence, roles),
        open_ended_gains_smaller(evidence, roles),
        greedy_hurts(evidence),
    ]


def overthinking_on_easy(evidence: Evidence, roles: Roles) -> Claim:
    """R1-Zero's thoughts on the easiest level of its tasks less those on the hardest; two sets of problems."""
    zero = roles.zero
    if zero is None:
        return missing(EASY, "the run has no rl stage that starts from a base model")
    measured = evidence.compare(init(zero), zero.name).after
    if measured is None:
        return missing(EASY, f"no evaluate stage has model = {zero.name!r}", zero.name)
    problems = list(evidence.asked(measured).values())
    hard, easy = _ends(problems)
    if not hard:
        return missing(EASY, "no task was asked on two levels", zero.name)
    change = unpaired([_after(a) for a in hard], [_after(a) for a in easy], [a.family for a in [*hard, *easy]])
    if math.isnan(change.before) or math.isnan(change.after):
        return missing(EASY, "no thought holds the answer that it ends in", zero.name)
    said = f"{share(change.before)} of a thought on the hardest level, {share(change.after)} on the easiest"
    return judged(EASY, change, said, stage=zero.name, tasks=sorted({a.task for a in hard}))


def _ends(problems: Sequence[Asked]) -> tuple[list[Asked], list[Asked]]:
    """Problems of the highest and of the lowest level of every task that has several."""
    hard: list[Asked] = []
    easy: list[Asked] = []
    for task in sorted({a.task for a in problems}):
        asked = [a for a in problems if a.task == task and a.level is not None]
        levels = {a.level for a in asked if a.level is not None}
        if len(levels) > 1:
            hard += [a for a in asked if a.level == max(levels)]
            easy += [a for a in asked if a.level == min(levels)]
    return hard, easy


def _after(asked: Asked) -> tuple[float, int]:
    """(sum of the shares, number of thoughts) of a problem, over the thoughts that hold their answer."""
    told = [value for s in asked.thoughts if (value := share_after_answer(asked, s)) is not None]
    return math.fsum(told), len(told)


def open_ended_gains_smaller(evidence: Evidence, roles: Roles) -> Claim:
    """Gain in pass@1 on verifiable problems less the gain on those of domain "general"."""
    zero = roles.zero
    if zero is None:
        return missing(OPEN_ENDED, "the run has no rl stage that starts from a base model")
    both = evidence.compare(init(zero), zero.name, general=True)
    if why := why_not(both, init(zero), zero.name):
        return missing(OPEN_ENDED, why, zero.name)
    if not any(after.domain for _, after in both.problems):
        return missing(OPEN_ENDED, "the rollouts name no domains; run the evaluate stages again", zero.name)
    known = [
        (after.domain == OPEN, gain, after.family)
        for before, after in both.problems
        if math.isfinite(gain := after.pass_at(1) - before.pass_at(1))
    ]
    free, bound = ([(gain, family) for is_open, gain, family in known if is_open is wanted] for wanted in (True, False))
    if not free or not bound:
        lacks = f'no problem of domain "{OPEN}"' if not free else "no problem of a verifiable domain"
        return missing(OPEN_ENDED, f"{lacks} was asked on both sides", zero.name)
    change = unpaired([(g, 1) for g, _ in free], [(g, 1) for g, _ in bound], [f for _, f in [*free, *bound]])
    said = f"gain of {points(change.before)} points on open-ended problems, {points(change.after)} on verifiable ones"
    return judged(OPEN_ENDED, change, said, stage=zero.name, tasks=both.tasks)


def greedy_hurts(evidence: Evidence) -> Claim:
    """pass@1 at temperature 0 less pass@1 sampled, of the last model that was measured both ways."""
    greedy = [s for s in evidence.evaluations() if s.config.get("temperature") == 0 and not s.config.get("budgets")]
    found = [s for s in greedy if evidence.measurements(str(s.config.get("model")))]
    if not found:
        return missing(GREEDY, "no model was evaluated both at temperature 0 and above")
    model = str(found[-1].config.get("model"))
    both = evidence.match(evidence.measurements(model), [s for s in found if s.config.get("model") == model])
    if why := why_not(both, model, model):
        return missing(GREEDY, why, model)
    change = paired(both, pass_1)
    loops = [mean([_repeats(side) for side in sides]) for sides in zip(*both.problems, strict=True)]
    said = (
        f"pass@1 of {model!r} {share(change.before)} sampled{_at(both.before)}, {share(change.after)} greedy; "
        f"{share(loops[0])} and {share(loops[1])} of its 8-word runs are repeated"
    )
    return judged(GREEDY, change, said, stage=model, tasks=both.tasks)


def _at(stage: Stage | None) -> str:
    value = stage.config.get("temperature") if stage else None
    return "" if value is None else f" at temperature {value}"


def _repeats(asked: Asked) -> float:
    return mean([repeated_share(s.parts.thinking_text or s.text) for s in asked.samples])


def unpaired(
    before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]], families: Sequence[str]
) -> Change:
    """The difference of two means over different problems, from each problem's (sum, count); families of both together.

    A family that has problems on both sides is drawn with both.
    """
    nothing: tuple[float, float] = (0.0, 0.0)
    first, second = [*before, *[nothing] * len(after)], [*[nothing] * len(before), *after]
    return share_difference(
        ([v for v, _ in first], [n for _, n in first]), ([v for v, _ in second], [n for _, n in second]), families
    )
