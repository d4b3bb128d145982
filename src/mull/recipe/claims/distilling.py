"""Claims on small models: learning from a large one against learning alone, and thinking against size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mull.pages.numbers import number, share
from mull.recipe.claims.claim import Claim, Definition, judged, missing
from mull.recipe.claims.measure import mean, paired, pass_1, why_not
from mull.recipe.claims.pipeline import RIGHT
from mull.recipe.claims.roles import Roles, Student, init
from mull.recipe.claims.training import single_answer
from mull.recipe.evidence import Compared, Evidence, Stage
from mull.recipe.samples import Asked
from mull.stats import paired_difference

FORWARD = 2
"""FLOPs a parameter and token, as in `model.flops`."""

BEATS_RL = Definition(
    "distil_beats_small_rl",
    "Distilling a larger model into a small one beats reinforcement learning on the small one",
    "DeepSeek-R1 §4.1 (arXiv 2501.12948)",
    "pass@1 of a student that learned from a model of another origin, less that of an rl stage with the student's "
    "init.",
    RIGHT,
    labels=("rl on the small model", "distilled"),
)
TEACHER = Definition(
    "teacher_or_traces",
    "What helps the student is the teacher, not fine-tuning on chosen chains as such",
    "the control that DeepSeek-R1 §4.1 leaves open",
    "pass@1 of the same student less that of an sft stage of the same init on chains sampled from that init itself.",
    RIGHT,
    labels=("on its own chains", "on the teacher's"),
)
DIRECT = Definition(
    "small_thinker_beats_large_direct",
    "A small model that thinks beats a larger one that answers at once, at equal FLOPs a problem",
    "Snell et al. 2024 (arXiv 2408.03314)",
    "The student's pass@1 less what the larger model reaches at a thinking budget of 0. The larger one votes as "
    "often as the student's FLOPs allow, on tasks with one right answer; elsewhere it has pass@1. FLOPs are "
    "2·parameters a token, the prompt once.",
    "share that is right",
    labels=("large, at once", "small, thinking"),
)
ALL = (BEATS_RL, TEACHER, DIRECT)
NO_STUDENT = "no sft or distil stage learns from a model of another origin than its own init"


def claims(evidence: Evidence, roles: Roles) -> list[Claim]:
    """The claims of this theme."""
    return [
        distil_beats_small_rl(evidence, roles),
        teacher_or_traces(evidence, roles),
        small_thinker_beats_large_direct(evidence, roles),
    ]


def distil_beats_small_rl(evidence: Evidence, roles: Roles) -> Claim:
    """pass@1 of the last student less that of an rl stage with the student's init."""
    students = roles.students()
    if not students:
        return missing(BEATS_RL, NO_STUDENT)
    for student in reversed(students):
        rivals = [s for s in roles.of_kind("rl") if init(s) == student.init]
        if rivals:
            return _against(BEATS_RL, evidence, rivals[-1], student)
    return missing(BEATS_RL, f"no rl stage has the student's init {students[-1].init!r}", students[-1].stage.name)


def teacher_or_traces(evidence: Evidence, roles: Roles) -> Claim:
    """pass@1 of the last student less that of an sft stage of its init on that init's own chains."""
    students = roles.students()
    if not students:
        return missing(TEACHER, NO_STUDENT)
    for student in reversed(students):
        alone = [s for s in roles.of_kind("sft") if init(s) == student.init and roles.taught_by(s) == [student.init]]
        if alone:
            return _against(TEACHER, evidence, alone[-1], student)
    why = f"no sft stage of {students[-1].init!r} learns from samples of {students[-1].init!r} itself"
    return missing(TEACHER, why, students[-1].stage.name)


def _against(definition: Definition, evidence: Evidence, rival: Stage, student: Student) -> Claim:
    name = student.stage.name
    both = evidence.compare(rival.name, name)
    if why := why_not(both, rival.name, name):
        return missing(definition, why, name)
    change = paired(both, pass_1)
    said = f"pass@1 of {rival.name!r} {share(change.before)}, of {name!r} {share(change.after)}"
    return judged(definition, change, said, stage=name, tasks=both.tasks)


@dataclass(frozen=True)
class Price:
    """What a problem costs: FLOPs of the prompt, read once, and of each completion; means over problems."""

    prompt: float
    completion: float

    def of(self, k: int) -> float:
        """FLOPs of a problem with `k` completions."""
        return self.prompt + k * self.completion


def price(asked: list[Asked], parameters: float) -> Price:
    """2·N a token of the prompt and of a mean completion."""
    prompts = mean([mean([s.prompt_tokens for s in a.samples]) for a in asked])
    tokens = mean([mean([s.tokens for s in a.samples]) for a in asked])
    return Price(FORWARD * parameters * prompts, FORWARD * parameters * tokens)


def votes_for(small: Price, large: Price) -> int:
    """How many completions of the large model cost no more than one of the small one; 1 at least."""
    return max(1, math.floor((small.of(1) - large.prompt) / large.completion * (1 + 1e-12)))


def small_thinker_beats_large_direct(evidence: Evidence, roles: Roles) -> Claim:
    """The last student, thinking, against a larger model that answers at once as often as the FLOPs allow."""
    students = roles.students()
    if not students:
        return missing(DIRECT, NO_STUDENT)
    student = students[-1]
    name = student.stage.name
    measured = [s for s in evidence.measurements(name) if _size(s)]
    if not measured:
        return missing(DIRECT, f"no evaluate stage of {name!r} recorded its parameters", name)
    small = measured[-1]
    larger = [s for s in evidence.evaluations() if 0 in (s.config.get("budgets") or ()) and _size(s) > _size(small)]
    if not larger:
        return missing(DIRECT, "no evaluate stage of a larger model has 0 among its budgets", name)
    # The teacher itself first, then what it began from, then any other.
    chain = roles.inits(student.teacher)
    large = min(larger, key=lambda s: chain.index(m) if (m := s.config.get("model")) in chain else len(chain))
    problems = evidence.shared(evidence.by_budget(large).get(0, {}), evidence.asked(small))
    both = Compared(large, small, problems)
    if not problems:
        return missing(DIRECT, f"stages {large.name!r} and {small.name!r} share no problem", name)
    return _direct(both, name)


def _direct(both: Compared, student: str) -> Claim:
    assert both.before and both.after
    large_asked, small_asked = (list(sides) for sides in zip(*both.problems, strict=True))
    large, small = price(large_asked, _size(both.before)), price(small_asked, _size(both.after))
    if not math.isfinite(large.completion + small.of(1)) or large.completion <= 0:
        return missing(DIRECT, "the rollouts do not tell how many tokens were read and written", student)
    allowed = votes_for(small, large)
    k = min(allowed, max(len(a.judged) for a in large_asked))
    single = {task for task in both.tasks if single_answer(both, task)}
    values = [a.cons_at(k) if a.task in single and k > 1 else a.pass_at(1) for a in large_asked]
    change = paired_difference(values, [a.pass_at(1) for a in small_asked], both.families)
    more = f" (the FLOPs would allow {allowed})" if allowed > k else ""
    said = (
        f"large model at once, {k} {'vote' if k == 1 else 'votes'}{more}: {share(change.before)} for "
        f"{number(large.of(k))} FLOPs a problem; small model thinking: {share(change.after)} for {number(small.of(1))}"
    )
    return judged(DIRECT, change, said, stage=student, tasks=both.tasks)


def _size(stage: Stage) -> float:
    value = stage.summary.get("parameters")
    return float(value) if isinstance(value, int | float) else 0.0
