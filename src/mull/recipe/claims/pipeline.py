"""Claims on R1's stages: a readable cold start, fine-tuning that keeps what was learned, and what the whole buys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mull.analysis.repetition import repeated_share
from mull.pages.numbers import share
from mull.recipe.claims.claim import Claim, Definition, judged, missing
from mull.recipe.claims.measure import NAN, mean, paired, pass_1, why_not
from mull.recipe.claims.roles import Roles, init
from mull.recipe.evidence import Compared, Evidence, Stage
from mull.recipe.samples import Asked, Sample

ONE_LANGUAGE, LOOPING, MARGIN = 0.95, 0.2, 0.05
RIGHT = "share of attempts that are right (pass@1)"

COLD = Definition(
    "cold_start_readable",
    "A cold start on chosen chains makes completions readable",
    "DeepSeek-R1 §2.3.1 (arXiv 2501.12948)",
    "The share of readable completions: well formed, 95% of the thought's words and more in the problem's language (or "
    "no words), no more than 20% of its 8-word runs repeated. The sft stage less the rl model it was sampled from.",
    "share of completions that are readable",
    labels=("the sampled model", "cold start"),
)
KEEPS = Definition(
    "rejection_sft_keeps",
    "Fine-tuning the base on chosen samples keeps the accuracy of the model they came from",
    "DeepSeek-R1 §2.3.3",
    "pass@1 of the last sft stage of that kind less that of the sampled model. Non-inferiority: it holds where the "
    "interval is above −5 points, a margin chosen beforehand.",
    RIGHT,
    labels=("the sampled model", "fine-tuned base"),
    margin=MARGIN,
    change_is="must stay above −5 points",
)
WHOLE = Definition(
    "r1_improves_on_zero",
    "The whole pipeline ends above R1-Zero",
    "DeepSeek-R1, table of stages",
    "pass@1 of the last rl stage that builds on R1-Zero less that of R1-Zero.",
    RIGHT,
    labels=("R1-Zero", "last stage"),
)
PROMPTING = Definition(
    "rl_beats_cot_prompting",
    "Reinforcement learning beats prompting the base to think",
    "OpenAI, Learning to reason with LLMs (2024); Wei et al. 2022 (2201.11903)",
    "pass@1 of R1-Zero less that of its base when the base thinks: an evaluation of the base with another template "
    "where there is one, else the base's attempts that hold a thought, by problem. The latter selects: problems on "
    "which the base never thought are left out.",
    RIGHT,
    labels=("base that thinks", "R1-Zero"),
)
ALL = (COLD, KEEPS, WHOLE, PROMPTING)


def claims(evidence: Evidence, roles: Roles) -> list[Claim]:
    """The claims of this theme."""
    return [
        cold_start_readable(evidence, roles),
        rejection_sft_keeps(evidence, roles),
        r1_improves_on_zero(evidence, roles),
        rl_beats_cot_prompting(evidence, roles),
    ]


def cold_start_readable(evidence: Evidence, roles: Roles) -> Claim:
    """Readable completions of the first sft stage on an rl model's samples, whose init is that rl stage's own."""
    found = next(((s, rl) for s, rl in roles.tuned() if init(s) == init(rl)), None)
    if found is None:
        return missing(COLD, "no sft stage learns from samples of an rl stage that has its init")
    tuned, rl = found
    both = evidence.compare(rl.name, tuned.name)
    if why := why_not(both, rl.name, tuned.name):
        return missing(COLD, why, tuned.name)
    change = paired(both, lambda asked: mean([_readable(s) for s in asked.samples]))
    said = f"{share(change.before)} of {rl.name!r} readable, {share(change.after)} of {tuned.name!r}"
    return judged(COLD, change, said, stage=tuned.name, tasks=both.tasks)


def _readable(sample: Sample) -> float:
    """1.0 or 0.0; nan where the form was not recorded."""
    if sample.well_formed is None:
        return NAN
    one = sample.language_share is None or sample.language_share >= ONE_LANGUAGE
    return float(sample.well_formed and one and repeated_share(sample.text) <= LOOPING)


def rejection_sft_keeps(evidence: Evidence, roles: Roles) -> Claim:
    """pass@1 of the last sft stage on an rl model's samples is less than 5 points below that model's."""
    found = roles.tuned()
    if not found:
        return missing(KEEPS, "no sft stage learns from samples of an rl stage of its own origin")
    tuned, rl = found[-1]
    return _pass_change(KEEPS, evidence, rl.name, tuned.name)


def r1_improves_on_zero(evidence: Evidence, roles: Roles) -> Claim:
    """pass@1 of the last rl stage that builds on R1-Zero less R1-Zero's."""
    zero, last = roles.zero, roles.last
    if zero is None or last is None:
        return missing(WHOLE, "no rl stage builds on another")
    return _pass_change(WHOLE, evidence, zero.name, last.name)


def rl_beats_cot_prompting(evidence: Evidence, roles: Roles) -> Claim:
    """pass@1 of R1-Zero less its base's when that thinks: prompted to, or in those attempts in which it did."""
    zero = roles.zero
    if zero is None:
        return missing(PROMPTING, "the run has no rl stage that starts from a base model")
    plain = evidence.compare(init(zero), zero.name)
    afters = [plain.after] if plain.after else evidence.measurements(zero.name)
    prompted = [s for s in evidence.measurements(init(zero)) if afters and _prompt(s) != _prompt(afters[0])]
    if prompted:
        both = evidence.match(prompted, afters)
        said = f"the base prompted as in stage {both.before.name!r}" if both.before else ""
    else:
        both, said = _where_it_thought(plain), "the base where it thought"
    if why := why_not(plain if not prompted else both, init(zero), zero.name):
        return missing(PROMPTING, why, zero.name)
    if not both.problems:
        return missing(PROMPTING, "the base never thought", zero.name)
    change = paired(both, pass_1)
    values = f"{said} {share(change.before)}, R1-Zero {share(change.after)}"
    return judged(PROMPTING, change, values, stage=zero.name, tasks=both.tasks)


def _prompt(stage: Stage) -> tuple[object, object]:
    config: Mapping[str, object] = stage.config
    return config.get("template"), config.get("prefix")


def _where_it_thought(both: Compared) -> Compared:
    kept = [(_thoughts(before), after) for before, after in both.problems if before.thoughts]
    return replace(both, problems=tuple(kept))


def _thoughts(asked: Asked) -> Asked:
    return replace(asked, samples=asked.thoughts)


def _pass_change(definition: Definition, evidence: Evidence, before: str, after: str) -> Claim:
    both = evidence.compare(before, after)
    if why := why_not(both, before, after):
        return missing(definition, why, after)
    change = paired(both, pass_1)
    said = f"pass@1 of {before!r} {share(change.before)}, of {after!r} {share(change.after)}"
    return judged(definition, change, said, stage=after, tasks=both.tasks)
