"""`report.html`, the page of one run, and the same as JSON: both are computed from the run directory alone.

`read_report` reads and judges, `report_json` and `report_html` only lay out. Left out on purpose: comparison of runs
(`mull compare`), and any number that is not in the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.errors import UserError
from mull.core.files import write_text
from mull.pages.chain import legend
from mull.pages.chart import Mark, Series, line_chart, multiples
from mull.pages.claim import ClaimCard, claim_card
from mull.pages.markup import Child, Markup, join, page, tag
from mull.pages.numbers import MISSING, duration, number, points, share
from mull.pages.table import facts, table
from mull.recipe.behaviours_text import behaviours_section
from mull.recipe.board import scorecard_section
from mull.recipe.chains import chosen, embedded, kinds_shown, shown_problem
from mull.recipe.claims import (
    DEFINITIONS,
    OF_STAGES,
    Claim,
    TaskRow,
    change_text,
    claims_of,
    counted_text,
    scorecard,
    task_rows,
)
from mull.recipe.claims.roles import Roles
from mull.recipe.evidence import Evidence, Pair, Run, Stage, read_run
from mull.recipe.story import WORLD, headline, notes, summary
from mull.stats import Estimate, cluster_mean, cluster_share

# (key in metrics.jsonl, title, whether it is a share, which side measurement belongs to it)
CURVES = (
    ("reward", "Reward", False, None),
    ("pass_rate", "Right answers (pass@1)", True, "pass"),
    ("thinking_tokens", "Thinking tokens", False, "thinking"),
    ("checks", "Chains that check (all tasks)", True, "checks"),
    ("entropy", "Entropy of the next token (nats)", False, None),
    ("truncated", "Cut off at the token limit", True, "truncated"),
)
SMOOTH = 5
MEASURED = ("zero_improves", "thinking_grows", "checking_grows")
"""Claims whose card says what is measured; the others say it in their numbers."""
SETTINGS = (
    "init", "model", "tasks", "algorithm", "steps", "group_size", "groups", "prompts", "samples", "documents",
    "optimizer", "learning_rate", "lr", "max_tokens", "temperature", "seed",
)  # fmt: skip
INFO = ("seed", "versions", "version", "machine", "threads", "device", "python", "commit")


PER_STAGE = frozenset(definition.id for definition in OF_STAGES)


@dataclass(frozen=True)
class Report:
    """Everything that a report says, before layout; `scorecard` has every claim once, `stages` those of all rl stages.

    Example: `read_report(Path("runs/zero-tiny")).claims[0].holds`
    """

    run: Run
    pairs: tuple[Pair, ...]
    stages: tuple[Claim, ...]
    scorecard: tuple[Claim, ...]
    rows: tuple[TaskRow, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims of every rl stage, then all the others."""
        return (*self.stages, *(claim for claim in self.scorecard if claim.id not in PER_STAGE))


def read_report(path: Path, vote_tasks: Iterable[str] = ()) -> Report:
    """Read the finished run in `path` and judge its claims.

    Raises:
        UserError: no run is there, or it is not finished, or a file of it cannot be read.
    """
    run = read_run(path)
    evidence = Evidence(run)
    pairs = evidence.pairs()
    votes = tuple(vote_tasks)
    rows = tuple(row for pair in pairs for row in task_rows(pair))
    return Report(run, pairs, tuple(claims_of(pairs, votes)), tuple(scorecard(evidence, pairs, votes)), rows)


def report_json(report: Report) -> dict[str, Any]:
    """The document that `mull report RUN --json` prints; it holds no nan."""
    return {
        "claims": [claim.to_json() for claim in report.claims],
        "tasks": [row.to_json() for row in report.rows],
        "run": {"name": report.run.name, "path": str(report.run.path), "seed": report.run.info.get("seed")},
        "seconds": {stage.name: None if math.isnan(stage.seconds) else stage.seconds for stage in report.run.stages},
    }


def write_report(report: Report) -> Path:
    """Write `report.html` into the run directory, atomically, and return its path.

    Raises:
        UserError: it cannot be written.
    """
    target = report.run.path / "report.html"
    page = report_html(report)
    try:
        write_text(target, page)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror}); --json prints the claims instead") from None
    return target


def _main(report: Report) -> Pair | None:
    zero = Roles(report.run).zero
    measured = [pair for pair in report.pairs if pair.problems]
    first = [pair for pair in measured if zero and pair.stage.name == zero.name]
    return next(iter([*first, *reversed(measured), *reversed(report.pairs)]), None)


def report_html(report: Report) -> str:
    """The whole page; the R1-Zero stage is its headline, or the last rl stage that was measured."""
    main = _main(report)
    claims = {c.id: c for c in report.stages if main is None or c.stage == main.stage.name}
    title = headline(claims)
    steps = len(main.stage.metrics()) if main else 0
    lede = summary(main, claims, steps) if main else "This run has no reinforcement learning in it."
    body = [
        tag(
            "header",
            tag("p", f"mull · run “{report.run.name}”", class_="eyebrow"),
            tag("h1", title),
            tag("p", lede, class_="lede"),
        ),
        scorecard_section(report.scorecard),
        _claims(report) if report.pairs else None,
        *[_curves(pair, len(report.pairs) > 1) for pair in report.pairs],
        _chains(main) if main and main.problems else None,
        behaviours_section(report.run, report.pairs),
        _tasks(report.rows),
        _made(report.run),
        _notes(main, report.scorecard) if main and main.problems else None,
        tag(
            "footer",
            tag(
                "p",
                "Computed from the files of this run; ",
                tag("code", "mull report"),
                " makes it again.",
                class_="muted",
            ),
        ),
    ]
    return page(f"{title} · {report.run.name}", tag("main", body))


def _section(title: str, *children: Child) -> Markup:
    return tag("section", tag("h2", title), *children)


def _claims(report: Report) -> Markup:
    stages = dict.fromkeys(claim.stage for claim in report.stages)
    cards = []
    for stage in stages:
        if len(stages) > 1:
            cards.append(tag("h3", f"Stage {stage}"))
        cards.append(tag("div", [_card(c) for c in report.stages if c.stage == stage], class_="claims"))
    title = "Before and after" + (", stage by stage" if len(stages) > 1 else "")
    return _section(
        title, tag("p", "A bar is the 95% interval of the change between its two dots.", class_="prose"), *cards
    )


def _card(claim: Claim) -> Markup:
    definition = DEFINITIONS[claim.id]
    if claim.change is None:
        note = claim.reason or claim.said
    else:
        measure = definition.measure if claim.id in MEASURED else claim.said
        kind = "Gain at one try less gain at many" if claim.effect == "difference of gains" else "Change"
        counted = counted_text(claim, definition)
        note = f"{measure[:1].upper()}{measure[1:]}. {kind} {change_text(claim)}; {counted}."
    top = 1.0 if definition.unit == "share" else max(v or 0.0 for v in (claim.before, claim.after, claim.span_high))
    span = (claim.span_low, claim.span_high)
    values = (claim.before, claim.after, *span, top, *definition.labels)
    return claim_card(ClaimCard(claim.id, definition.title, claim.holds, *values, note), definition.show)


def _curves(pair: Pair, several: bool) -> Markup:
    rows = pair.stage.metrics()
    charts = [_chart(pair, rows, *curve) for curve in CURVES]
    key = join(
        "Lines: the problems practised on in each step (faint: each step; strong: mean of five). ",
        tag("span", class_="key", aria_hidden="true"), "hollow dot: the evaluation before; ",
        tag("span", class_="key after", aria_hidden="true"), "filled dot: after, with 95% intervals where they apply.",
    )  # fmt: skip
    title = "How it went, step by step" + (f": {pair.stage.name}" if several else "")
    return _section(title, tag("p", key, class_="prose muted"), multiples(charts))


def _chart(
    pair: Pair, rows: Sequence[Mapping[str, Any]], key: str, title: str, is_share: bool, measure: str | None
) -> Markup:
    xs = [float(row["step"]) for row in rows]
    ys = [_value(row.get(key)) for row in rows]
    known = any(math.isfinite(y) for y in ys)
    marks = _marks(pair, measure, xs[0] if xs else 0.0, xs[-1] if xs else 1.0) if measure else []
    fixed = (0.0, 1.0) if measure in ("pass", "checks") else None
    return line_chart(
        title, [Series("practice", xs, ys)] if known else [], marks=marks, y_range=fixed,
        y_format=_percent if is_share else number, smooth=SMOOTH,
    )  # fmt: skip


def _percent(value: float) -> str:
    return share(value, 0 if abs(value) >= 0.05 or value == 0 else 1)


def _value(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _marks(pair: Pair, measure: str, first: float, last: float) -> list[Mark]:
    """The evaluation before at the first step and the one after at the last."""
    marks = []
    for index, (name, x) in enumerate((("before", first), ("after", last))):
        asked = [sides[index] for sides in pair.problems]
        if measure == "checks":
            hits, thoughts = (
                (sum(column) for column in zip(*(a.checking for a in asked), strict=True)) if asked else (0, 0)
            )
            estimate = Estimate(hits / thoughts if thoughts else math.nan, math.nan, math.nan, 0, 0)
        elif measure == "thinking":
            estimate = cluster_mean([a.thinking for a in asked], pair.families)
        else:
            values = [a.pass_at(1) if measure == "pass" else a.truncated for a in asked]
            estimate = cluster_share(values, pair.families)
        marks.append(Mark(name, x, estimate.mean, estimate.low, estimate.high, name))
    return marks


def _chains(pair: Pair) -> Markup | None:
    problems = chosen(pair)
    if not problems:
        return None
    rule = (
        "Three problems, chosen by rule: a large, a middling and a small gain in right answers, each with a typical "
        "chain (the first whose outcome is the more frequent one)."
    )
    return _section(
        "What a thought looks like",
        tag("p", WORLD, class_="prose") if embedded(pair) else None,
        tag("p", rule, class_="prose muted"),
        legend(kinds_shown(problems)),
        *[shown_problem(before, after) for before, after in problems],
    )


def _tasks(rows: Sequence[TaskRow]) -> Markup | None:
    if not rows:
        return None
    several = len({row.stage for row in rows}) > 1
    body = [
        [
            (f"{row.stage}: " if several else "") + row.task + ("" if row.level is None else f", level {row.level}"),
            _interval(row.before), _interval(row.after),
            f"{points(row.change.value)} [{points(row.change.low)}, {points(row.change.high)}]",
            f"{number(row.thinking_before)} → {number(row.thinking_after)}", str(row.after.n), str(row.after.clusters),
        ]
        for row in rows
    ]  # fmt: skip
    headers = ["task", "pass@1 before", "pass@1 after", "change, points", "thinking tokens", "problems", "families"]
    return _section("Task by task", table(headers, body, caption="pass@1 with 95% intervals, clustered by family"))


def _interval(estimate: Estimate) -> str:
    return f"{share(estimate.mean, 1)} [{share(estimate.low, 1)}, {share(estimate.high, 1)}]"


def _made(run: Run) -> Markup:
    total = sum(stage.seconds for stage in run.stages if not math.isnan(stage.seconds))
    known = [(key, _flat(run.info[key])) for key in INFO if run.info.get(key) not in (None, "", {}, [])]
    rows = [[stage.name, stage.kind, _settings(stage), duration(stage.seconds)] for stage in run.stages]
    recipe = tag("details", tag("summary", "the whole recipe"), tag("pre", run.recipe)) if run.recipe else None
    return _section(
        "How it was made",
        facts([("run", run.name), ("time, all stages", duration(total)), *known]),
        table(["stage", "kind", "settings", "time"], rows, caption="the stages in their order", text_columns=(0, 1, 2)),
        recipe,
    )


def _settings(stage: Stage) -> str:
    """The settings that a reader asks for first; the recipe below the table has all."""
    config = dict(stage.config)
    for inner in [value for value in config.values() if isinstance(value, Mapping)]:
        config = {**inner, **config}
    return (
        "; ".join(
            f"{key.replace('_', ' ')} {_flat(config[key])}" for key in SETTINGS if config.get(key) not in (None, "")
        )
        or MISSING
    )


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    return ", ".join(_flat(inner) for inner in value) if isinstance(value, list | tuple) else str(value)


def _notes(pair: Pair, claims: Sequence[Claim]) -> Markup:
    return _section(
        "What this does and does not show", tag("ul", [tag("li", note) for note in notes(pair, claims)], class_="notes")
    )
