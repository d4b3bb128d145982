"""The words of a report: headline, summary and the honest notes, all derived from what the run recorded.

A sentence is written only where its claim was measured, and says "no clear change" where the interval does not
exclude one. Left out on purpose: adjectives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mull.pages.numbers import number, share
from mull.recipe.chains import embedded
from mull.recipe.claims import Claim
from mull.recipe.evidence import Pair, Stage
from mull.stats.bootstrap import RESAMPLES


def headline(claims: Mapping[str, Claim]) -> str:
    """What happened, in one line."""
    claim = claims["zero_improves"]
    if claim.before is None or claim.after is None:
        return "What this run measured"
    values = f"{share(claim.before)} to {share(claim.after)}"
    if claim.holds:
        return f"From {values} right"
    if claim.ci_high is not None and claim.ci_high < 0:
        return f"It got worse: from {values} right"
    return f"No clear change: {share(claim.before)} right before, {share(claim.after)} after"


def summary(pair: Pair, claims: Mapping[str, Claim], steps: int) -> str:
    """Two to four sentences: what was done, and what became of answers, thoughts and checks."""
    claim = claims["zero_improves"]
    if claim.before is None:
        return f"Stage “{pair.stage.name}” ran, but nothing was measured on both sides of it. {claim.statement}"
    began = "a model pretrained in this run" if _pretrained(pair) else f"the model “{pair.stage.config.get('init')}”"
    held = "held-out problems" if held_out(pair) else "problems"
    trained = f"{steps} steps of reinforcement learning" if steps else "reinforcement learning"
    first = f"Before training, {began} solved {claim.n} {held} in {share(claim.before)} of its attempts"
    said = [f"{first}; after {trained}, in {share(claim.after)}."]
    thinking, checking = claims["thinking_grows"], claims["checking_grows"]
    if thinking.before is not None:
        verb = "grew from" if thinking.holds else "did not clearly grow:"
        values = f"{number(thinking.before)} to {number(thinking.after)} tokens an attempt"
        said.append(f"Its thinking {verb} {values}.")
    if checking.before is not None:
        verb = "rose from" if checking.holds else "did not clearly rise:"
        where = f" on {', '.join(checking.tasks)}" if checking.tasks else ""
        change = f"{share(checking.before)} to {share(checking.after)}"
        said.append(f"The share of thoughts{where} that check their work {verb} {change}.")
    return " ".join(said)


def _pretrained(pair: Pair) -> bool:
    """Whether the start of the stage is itself a pretrain stage: such a directory lies beside it."""
    return (pair.stage.directory.parent / str(pair.stage.config.get("init"))).is_dir()


def held_out(pair: Pair) -> bool:
    """Whether the evaluated splits are none of those that the rl stage drew from."""
    practised = {task.partition(":")[2] for task in pair.stage.tasks}
    asked = {after.split for _, after in pair.problems}
    return bool(practised - {""}) and "" not in asked and not practised & asked


def notes(pair: Pair, claims: Sequence[Claim]) -> list[str]:
    """What the numbers mean and what they do not."""
    count = len({claim.id for claim in claims})
    several = f"The {count} claims are not corrected for being several."
    said = [
        _measured(pair),
        f"{ABOUT_PASS} {_left_out(pair)}",
        ABOUT_K,
        ABOUT_INTERVALS,
        f"{ABOUT_SEEDS} {several}",
        ABOUT_CURVES,
    ]
    return [*said, ABOUT_WORLD] if embedded(pair) else said


def _measured(pair: Pair) -> str:
    asked = [after for _, after in pair.problems]
    families = len({a.family for a in asked})
    splits = ", ".join(sorted({a.split for a in asked if a.split})) or "not named"
    samples = sum(len(side.samples) for sides in pair.problems for side in sides)
    practised = ", ".join(pair.stage.tasks) or "tasks that are not recorded"
    return (
        f"Measured: {len(asked)} problems in {families} families, split {splits}, {samples} samples "
        f"before and after together{_sampling(pair.after)}. The rl stage practised on {practised}"
        + ("; no problem here is of that split." if held_out(pair) else ".")
    )


def _left_out(pair: Pair) -> str:
    unjudged = sum(len(side.samples) - len(side.judged) for sides in pair.problems for side in sides)
    return (
        f"{unjudged} samples whose check timed out or failed are left out." if unjudged else "No sample was left out."
    )


def _sampling(stage: Stage | None) -> str:
    """The sampling settings of an evaluate stage, as far as its configuration names them."""
    config = dict(stage.config) if stage else {}
    nested = config.get("sampling")
    config.update(nested if isinstance(nested, Mapping) else {})
    named = [
        f"{key.replace('_', '-')} {config[key]}" for key in ("temperature", "top_p", "max_tokens") if key in config
    ]
    return f" (sampled at {', '.join(named)})" if named else ""


WORLD = (
    "The model’s whole world is the numbers 0 to 10, three operations and a few words of English and French. It "
    "counts like a clock with eleven hours: after 10 comes 0, so 8 + 5 = 2 and 3 − 5 = 9. Its thoughts are shown here "
    "in plain words; what it wrote itself is under each."
)
ABOUT_PASS = "pass@1 is the share of samples whose answer the verifier accepts; no answer counts as not solved."
ABOUT_K = (
    "pass@k and cons@k are exact expectations over all draws of k of a problem’s samples: that one of them is right, "
    "and that the most frequent answer is right. The vote reads answers only, never the target. "
    "pass@k cannot exceed 100%."
)
ABOUT_INTERVALS = (
    f"Intervals are 95%: families of problems, not samples, are drawn again {RESAMPLES:,} times with a fixed seed, "
    "before and after of a problem together. A claim holds only if its whole interval is on the claimed side."
)
ABOUT_SEEDS = (
    "The intervals cover the choice of problems and of samples. They do not cover training itself: another seed gives "
    "another model."
)
ABOUT_CURVES = (
    "Lines in the charts are problems that the model practised on in that step; dots are the evaluation before and "
    "after. Whether a thought checks itself is read from its form by a rule, not judged."
)
ABOUT_WORLD = (
    "The embedded world’s corpus already holds each habit seen here, trying and checking included; training selects "
    "among them. Writers who mix languages are more patient in it by construction, so the two go together."
)
