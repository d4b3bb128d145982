"""The five claims of every rl stage: right answers, length, checks, votes, and reach against sharpness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mull.pages.numbers import number, share
from mull.recipe.claims.claim import Claim, Definition, judged, missing
from mull.recipe.evidence import Compared, Pair
from mull.recipe.samples import Asked
from mull.stats import Change, paired_difference, paired_ratio, share_difference

MOST_SAMPLES = 16
VOTE_TASK = "chain_mod"
CHECKABLE = ("countdown_mod", "countdown")
"""Tasks whose answer can be held against a target that the prompt names."""

IMPROVES = Definition(
    "zero_improves",
    "Reinforcement learning alone makes the model solve more problems",
    "DeepSeek-R1 §2.2 (arXiv 2501.12948)",
    "pass@1 of the trained model less that of its start, on the same problems.",
    "share of attempts that are right (pass@1)",
)
THINKING = Definition(
    "thinking_grows",
    "The model thinks longer",
    "DeepSeek-R1 §2.2.4, figure 3",
    "Mean thinking tokens of an attempt, after over before; an attempt without a thought has 0.",
    "tokens of thought in an attempt, on average",
    effect="ratio",
    unit="number",
)
CHECKING = Definition(
    "checking_grows",
    "More of its thoughts check themselves",
    "DeepSeek-R1 §2.2.4",
    "The share of thoughts with a check in them, read from its form by a rule, where an answer can be held against a "
    "target if such a task was asked.",
    "share of thoughts with a check in them, where an answer can be held against a target",
)
MAJORITY = Definition(
    "majority_helps",
    "A majority vote beats a single try",
    "DeepSeek-R1 table 2 (cons@64); Wang et al. 2022 (2203.11171)",
    "cons@16 less pass@1 of the trained model, on problems with one right answer; the vote reads answers only.",
    "share that is right",
    labels=("one try", "the vote"),
)
LIMIT = Definition(
    "pass_at_k_limit",
    "Training sharpens sampling more than it extends reach",
    "Yue et al. 2025 (arXiv 2504.13837)",
    "The gain in pass@1 less the gain in pass@16; pass@k cannot exceed 100%, which is part of the reason.",
    "pass@16",
    labels=("base", "trained"),
    effect="difference of gains",
    change_is="gain in pass@1 less gain in pass@16",
)
OF_STAGES = (IMPROVES, THINKING, CHECKING, MAJORITY, LIMIT)
TITLES = {definition.id: definition.title for definition in OF_STAGES}


def claims_of(pairs: Sequence[Pair], vote_tasks: Iterable[str] = ()) -> list[Claim]:
    """The five claims of each rl stage, in the order of TITLES.

    The vote is measured on `vote_tasks`; without any on chain_mod if it was asked, else on every task of which no
    problem was solved by two different answers.
    """
    if not pairs:
        return [missing(definition, "the run has no rl stage") for definition in OF_STAGES]
    return [claim for pair in pairs for claim in _claims(pair, tuple(vote_tasks))]


def _claims(pair: Pair, vote_tasks: tuple[str, ...]) -> list[Claim]:
    if not pair.problems:
        return [missing(definition, _why_empty(pair), pair.stage.name) for definition in OF_STAGES]
    return [
        zero_improves(pair),
        thinking_grows(pair),
        checking_grows(pair),
        majority_helps(pair, vote_tasks),
        pass_at_k_limit(pair),
    ]


def zero_improves(pair: Pair) -> Claim:
    """pass@1, after minus before on the same problems; holds when the interval is above 0."""
    before, after = ([side.pass_at(1) for side in sides] for sides in _sides(pair))
    change = paired_difference(before, after, pair.families)
    return _claim(IMPROVES, pair, change, f"pass@1 {share(change.before)} → {share(change.after)}")


def thinking_grows(pair: Pair) -> Claim:
    """Mean thinking tokens, after over before; holds when the interval of the ratio is above 1."""
    before, after = ([side.thinking for side in sides] for sides in _sides(pair))
    change = paired_ratio(before, after, pair.families)
    return _claim(THINKING, pair, change, f"{number(change.before)} → {number(change.after)} thinking tokens")


def checking_grows(pair: Pair) -> Claim:
    """The share of thoughts with a check in them (not of completions: many have no thought before training).

    Measured where an answer can be held against a target (countdown), when that was asked. Elsewhere a check can only
    do the work twice, which a model that has become careful drops again; the statement gives both figures.
    """
    asked = {problem.task for problem, _ in pair.problems}
    tasks = tuple(sorted(asked & set(CHECKABLE))) or tuple(sorted(asked))
    change, overall = _checking(pair, tasks), _checking(pair, tuple(asked))
    said = f"{share(change.before)} → {share(change.after)} of thoughts on {', '.join(tasks)} check"
    if set(tasks) != asked:
        said += f"; {share(overall.before)} → {share(overall.after)} on all tasks"
    return _claim(CHECKING, pair, change, said, tasks)


def _checking(pair: Pair, tasks: Sequence[str]) -> Change:
    chosen = [(before, after) for before, after in pair.problems if before.task in tasks]
    before, after = (tuple(zip(*(side.checking for side in sides), strict=True)) for sides in zip(*chosen, strict=True))
    families = [problem.family for problem, _ in chosen]
    return share_difference((before[0], before[1]), (after[0], after[1]), families)


def majority_helps(pair: Pair, vote_tasks: Sequence[str] = ()) -> Claim:
    """cons@16 against pass@1 of the trained model, on problems with one right answer.

    The vote counts canonical answers; targets and gold answers are never read for it. With fewer than 16 samples
    a problem it is cons@k of as many as there are.
    """
    tasks = _vote_tasks(pair, vote_tasks)
    asked = [after for _, after in pair.problems if after.task in tasks]
    k = most_samples([asked])
    if not asked or k < 2:
        why = "no task with a single right answer was asked" if not asked else "it needs 2 samples a problem and more"
        return missing(MAJORITY, why, pair.stage.name)
    change = paired_difference([a.pass_at(1) for a in asked], [a.cons_at(k) for a in asked], [a.family for a in asked])
    said = f"pass@1 {share(change.before)}, cons@{k} {share(change.after)} of the trained model on {', '.join(tasks)}"
    return _claim(MAJORITY, pair, change, said, tasks)


def pass_at_k_limit(pair: Pair) -> Claim:
    """Is the gain in pass@16 smaller than the gain in pass@1? `change` is gain@1 - gain@16, before/after are pass@16.

    Known as the limit of what reinforcement learning from verdicts adds: Yue et al. 2025 (arXiv 2504.13837). That
    pass@16 cannot exceed 1 is part of the reason, so both values are said.
    """
    before, after = _sides(pair)
    k = most_samples([before, after])
    if k < 2:
        return missing(LIMIT, "it needs 2 samples a problem and more", pair.stage.name)
    families = pair.families
    many = paired_difference([b.pass_at(k) for b in before], [a.pass_at(k) for a in after], families)
    gains = [(a.pass_at(1) - b.pass_at(1), a.pass_at(k) - b.pass_at(k)) for b, a in pair.problems]
    gap = paired_difference([g for _, g in gains], [g for g, _ in gains], families)
    leader = (
        "the trained model is ahead"
        if many.low > 0
        else "the base is ahead"
        if many.high < 0
        else "neither is clearly ahead"
    )
    gained = paired_difference([b.pass_at(1) for b in before], [a.pass_at(1) for a in after], families)
    said = (
        f"pass@1 {share(gained.before)} → {share(gained.after)}, pass@{k} {share(many.before)} base and "
        f"{share(many.after)} trained: with {k} tries {leader}"
    )
    shown = Change(many.before, many.after, gap.value, gap.low, gap.high, gap.n, gap.clusters)
    span = (many.before + many.low, many.before + many.high)
    return _claim(LIMIT, pair, shown, said, span=span)


def _claim(
    definition: Definition,
    pair: Pair,
    change: Change,
    said: str,
    tasks: Sequence[str] | None = None,
    span: tuple[float, float] | None = None,
) -> Claim:
    asked = pair.tasks if tasks is None else tasks
    return judged(definition, change, said, stage=pair.stage.name, tasks=asked, span=span)


def _why_empty(pair: Pair) -> str:
    if pair.before is None:
        return (
            f"no evaluate stage has model = {pair.stage.config.get('init')!r}, the start of stage {pair.stage.name!r}"
        )
    if pair.after is None:
        return f"no evaluate stage has model = {pair.stage.name!r}"
    return f"stages {pair.before.name!r} and {pair.after.name!r} share no problem"


def _sides(pair: Pair) -> tuple[list[Asked], list[Asked]]:
    return [before for before, _ in pair.problems], [after for _, after in pair.problems]


def most_samples(sides: Sequence[Sequence[Asked]]) -> int:
    """The k of cons@k and pass@k: 16, or as many samples as problems have on every side.

    The most and not the least over problems, so that one sample lost to a timeout drops its problem (nan), not k.
    """
    return min([MOST_SAMPLES, *(max((len(a.judged) for a in side), default=0) for side in sides)])


def _vote_tasks(pair: Pair, wanted: Sequence[str]) -> tuple[str, ...]:
    tasks = pair.tasks
    if wanted:
        return tuple(task for task in tasks if task in wanted)
    return (VOTE_TASK,) if VOTE_TASK in tasks else tuple(task for task in tasks if single_answer(pair, task))


def single_answer(pair: Compared, task: str) -> bool:
    """Whether no problem of the task was solved by two different answers."""
    solved: dict[str, set[str]] = {}
    for asked in (side for sides in pair.problems for side in sides if side.task == task):
        solved.setdefault(asked.problem, set()).update(s.answer for s in asked.samples if s.correct and s.answer)
    return all(len(answers) < 2 for answers in solved.values())
