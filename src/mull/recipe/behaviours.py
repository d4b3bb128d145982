"""What the chains of a run do: before and after training, step by step, and which behaviours go with being right.

    share        chains with a thought that show the behaviour / chains with a thought whose language can show it
    association  mean over problems of  pass rate of the chains that show it − pass rate of those that do not,
                 among problems (in training: one problem at one step) whose chains are of both sorts
    at equal length   the same within thirds of thinking length of each task, so that a behaviour is not credited with
                 what long chains, or short ones, are anyway

Intervals are 95%, clustered by family (`mull.stats`). An association is no cause: hard moments make a model doubt, and
what makes a chain right may make it check. Left out on purpose: anything that needs a model, and any reading of a run
that is not finished.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mull.analysis.behaviours import ABOUT, Behaviour
from mull.core.errors import UserError, nearest
from mull.pages.chart import smoothed
from mull.recipe.evidence import Pair, Run, Stage
from mull.recipe.thoughts import Chain, Thoughts, read_thoughts
from mull.stats import Change, Estimate, cluster_share, paired_difference, share_difference

SMOOTH = 5
THIRDS = 3


@dataclass(frozen=True)
class Row:
    """One behaviour in one stage. `before` and `after` are None without evaluations; `right` counts problems.

    Example: `Row(Behaviour.SELF_VERIFICATION, before, after, change, right, at_equal_length)`
    """

    behaviour: Behaviour
    before: Estimate | None
    after: Estimate | None
    change: Change | None
    right: Change
    at_equal_length: Change


@dataclass(frozen=True)
class Curve:
    """The share of thoughts with a behaviour at each step. Example: `Curve(behaviour, [0, 1], [0.5, 0.6], [90, 96])`"""

    behaviour: Behaviour
    steps: list[int]
    shares: list[float]
    thoughts: list[int]

    @property
    def smooth(self) -> list[float]:
        """The centred mean over `SMOOTH` steps."""
        return smoothed(self.shares, SMOOTH)


@dataclass(frozen=True)
class Study:
    """The behaviours of one stage's chains. `before` and `after` name the evaluations, "" where there is none;
    `of` names the stage whose chains the associations are of. `read` thoughts were found in `chains` chains, or where
    `sampled` in a part of them.

    Example: `study(run, pairs)[0].rows[0].right.value`
    """

    stage: str
    before: str
    after: str
    of: str
    rows: tuple[Row, ...]
    curves: tuple[Curve, ...]
    read: int
    chains: int
    sampled: bool


def studies(run: Run, pairs: Sequence[Pair], stage: str | None = None) -> list[Study]:
    """The study of the stage named `stage`, else of every rl stage, else of every stage that kept its chains.

    Raises:
        UserError: no such stage, or none that kept chains with thoughts.
    """
    kept = [s for s in run.stages if _kept(s)]
    if stage is not None:
        _check_stage(run, kept, stage)
    if not kept:
        raise UserError(f"{run.path}: no stage kept its chains; add a stage of kind rl or evaluate to its recipe")
    paired = {pair.stage.name: pair for pair in pairs if stage is not None or any(map(_kept, _sides(pair)))}
    if stage is not None:
        chosen = [s for s in kept if s.name == stage]
    else:
        chosen = [s for s in run.stages if s.name in paired] or kept
    cache: dict[str, Thoughts] = {}

    def thoughts(of: Stage) -> Thoughts:
        if of.name not in cache:
            cache[of.name] = read_thoughts(of.directory, of.name)
        return cache[of.name]

    found = [_study(s, paired.get(s.name), thoughts) for s in chosen]
    if not any(study.read for study in found):
        raise UserError(
            f"{run.path}: {f'stage {stage!r} holds' if stage else 'its stages hold'} no thoughts; the model must write "
            "them between <think> tags, as with the template r1-zero; or name another stage with --stage"
        )
    return found


def _sides(pair: Pair) -> list[Stage]:
    return [side for side in (pair.stage, pair.before, pair.after) if side is not None]


def _kept(stage: Stage) -> bool:
    return any((stage.directory / "rollouts").glob("*.parquet"))


def _check_stage(run: Run, kept: Sequence[Stage], stage: str) -> None:
    every, sampled = [s.name for s in run.stages], [s.name for s in kept]
    if stage not in every:
        raise UserError(f"{run.path}: no stage {stage!r}{nearest(stage, every)}")
    if stage not in sampled:
        others = f"; name one that did: {', '.join(sampled)}" if sampled else "; stages of kind rl and evaluate do"
        raise UserError(f"{run.path}: stage {stage!r} kept no chains{others}")


def _study(stage: Stage, pair: Pair | None, thoughts: Callable[[Stage], Thoughts]) -> Study:
    """A stage with what was measured before and after it; an evaluation by itself is its own `after`."""
    before = pair.before if pair and pair.before and _kept(pair.before) else None
    after = pair.after if pair and pair.after and _kept(pair.after) else None
    after = stage if stage.kind == "evaluate" else after
    parts = {s.name: thoughts(s) for s in (stage, before, after) if s is not None}
    sides = [parts[side.name] if side else None for side in (before, after)]
    basis = after or stage
    can = [b for b in Behaviour if any(_can(b, part) for part in parts.values())]
    return Study(
        stage=stage.name,
        before=before.name if before else "",
        after=after.name if after else "",
        of=basis.name,
        rows=tuple(_row(b, sides[0], sides[1], parts[basis.name]) for b in can),
        curves=tuple(_curve(b, parts[stage.name].chains) for b in can) if stage.kind != "evaluate" else (),
        read=sum(len(part.chains) for part in parts.values()),
        chains=sum(part.total for part in parts.values()),
        sampled=any(part.sampled for part in parts.values()),
    )


def _can(behaviour: Behaviour, thoughts: Thoughts) -> bool:
    return any(chain.shows.get(behaviour) is not None for chain in thoughts.chains)


def _row(behaviour: Behaviour, before: Thoughts | None, after: Thoughts | None, basis: Thoughts) -> Row:
    change = _change(behaviour, before, after) if before and after else None
    return Row(
        behaviour, _share(behaviour, before), _share(behaviour, after), change,
        association(behaviour, basis.chains), association(behaviour, basis.chains, by_length=True),
    )  # fmt: skip


def _share(behaviour: Behaviour, thoughts: Thoughts | None) -> Estimate | None:
    if thoughts is None:
        return None
    known = [(shown, chain.family) for chain in thoughts.chains if (shown := chain.shows.get(behaviour)) is not None]
    return cluster_share([float(shown) for shown, _ in known], [family for _, family in known])


def _change(behaviour: Behaviour, before: Thoughts, after: Thoughts) -> Change:
    """The change of the share over the problems that both sides asked."""
    sides = [_counts(behaviour, side.chains) for side in (before, after)]
    shared = sorted(sides[0].keys() & sides[1].keys())
    columns = [[float(side[key][i]) for key in shared] for side in sides for i in (0, 1)]
    return share_difference(
        (columns[0], columns[1]), (columns[2], columns[3]), [sides[1][key][2] for key in shared]
    )  # fmt: skip


def _counts(behaviour: Behaviour, chains: Iterable[Chain]) -> dict[str, tuple[int, int, str]]:
    """Problem → (thoughts that show it, thoughts that could, family); without thoughts (0, 0, family)."""
    found: dict[str, tuple[int, int, str]] = {}
    for chain in chains:
        hits, trials, family = found.get(chain.problem, (0, 0, chain.family))
        shown = chain.shows.get(behaviour)
        found[chain.problem] = (hits + (shown is True), trials + (shown is not None), family)
    return found


def association(behaviour: Behaviour, chains: Iterable[Chain], by_length: bool = False) -> Change:
    """How much more often chains that show it are right, within problems; `before` is the rate without it.

    `n` counts pairs: problems, or with `by_length` a problem in one third of its task's thinking lengths.
    """
    known = [c for c in chains if c.right is not None and c.shows.get(behaviour) is not None]
    third = _thirds(known) if by_length else {}
    pairs: dict[tuple[Any, ...], tuple[list[bool], list[bool], str]] = defaultdict(lambda: ([], [], ""))
    for index, chain in enumerate(known):
        key = (chain.problem, chain.step, third.get(index))
        without, having, _ = pairs[key]
        (having if chain.shows[behaviour] else without).append(chain.right is True)
        pairs[key] = (without, having, chain.family)
    both = [pair for pair in pairs.values() if pair[0] and pair[1]]
    rates = [[sum(side) / len(side) for side in (pair[0], pair[1])] for pair in both]
    return paired_difference([r[0] for r in rates], [r[1] for r in rates], [pair[2] for pair in both])


def _thirds(chains: Sequence[Chain]) -> dict[int, int]:
    """Which third of its task's thinking lengths each chain is in; equal lengths are in one third."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for chain in chains:
        lengths[chain.task].append(chain.length)
    edges = {}
    for task, values in lengths.items():
        values.sort()
        edges[task] = [values[len(values) * i // THIRDS] for i in range(1, THIRDS)]
    return {i: sum(chain.length >= edge for edge in edges[chain.task]) for i, chain in enumerate(chains)}


def _curve(behaviour: Behaviour, chains: Iterable[Chain]) -> Curve:
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for chain in chains:
        shown = chain.shows.get(behaviour)
        if shown is not None:
            counts[chain.step][0] += shown
            counts[chain.step][1] += 1
    steps = sorted(counts)
    return Curve(behaviour, steps, [counts[s][0] / counts[s][1] for s in steps], [counts[s][1] for s in steps])


def title(behaviour: Behaviour) -> str:
    """A behaviour in two words."""
    return ABOUT[behaviour][0]
