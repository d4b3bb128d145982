"""The claim on what GRPO saves: the memory of a critic."""

from __future__ import annotations

from mull.pages.numbers import size
from mull.recipe.claims.claim import Claim, Definition, judged, missing
from mull.recipe.claims.roles import Roles
from mull.recipe.evidence import Stage
from mull.stats import paired_ratio

SAME = (
    "init", "tasks", "prompts", "group_size", "sampling", "slots", "micro_batch_tokens", "dtype", "lora", "optim",
    "algorithm",
)  # fmt: skip

MEMORY = Definition(
    "grpo_saves_memory",
    "Learning from groups instead of a critic saves memory",
    "DeepSeekMath §4.1.1 (arXiv 2402.03300)",
    "The peak of main memory of each step above what the process held before the stage: ppo over rl, for two stages "
    "of the same init, prompts, group size and settings. The interval draws steps again, the same of both; it is "
    "above 1 to hold. Memory of an accelerator is not in it.",
    "peak of memory in a step",
    labels=("rl", "ppo"),
    effect="ratio",
    unit="bytes",
    counted="steps",
)
ALL = (MEMORY,)


def claims(roles: Roles) -> list[Claim]:
    """The claims of this theme."""
    return [grpo_saves_memory(roles)]


def grpo_saves_memory(roles: Roles) -> Claim:
    """Peak memory of a ppo step over that of an rl step; n counts the steps that both took."""
    found = [
        (rl, ppo)
        for rl in roles.of_kind("rl")
        for ppo in roles.of_kind("ppo")
        if all(rl.config.get(key) == ppo.config.get(key) for key in SAME)
    ]
    if not found:
        return missing(MEMORY, "no rl and ppo stage share init, prompts, group_size and settings")
    rl, ppo = found[0]
    first, second = _peaks(rl), _peaks(ppo)
    steps = sorted(first.keys() & second.keys())
    if not steps:
        return missing(MEMORY, "the metrics hold no peak_memory (the system told none, or an older run)", ppo.name)
    change = paired_ratio([first[s] for s in steps], [second[s] for s in steps], steps)
    said = f"{size(change.before)} with groups, {size(change.after)} with a critic, over {len(steps)} steps"
    return judged(MEMORY, change, said, stage=ppo.name)


def _peaks(stage: Stage) -> dict[int, float]:
    rows = {int(row["step"]): row.get("peak_memory") for row in stage.metrics()}
    return {step: float(peak) for step, peak in rows.items() if isinstance(peak, int | float) and peak > 0}
