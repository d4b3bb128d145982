"""`mull verify --attack`: which ways of being paid without being right does a reward fall for?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mull.core.errors import UserError
from mull.core.thinking import R1_ZERO_TAGS, split_completion
from mull.core.types import Completion, FinishReason, Problem
from mull.rewards.score import RewardConfig, score
from mull.tasks.registry import load_task
from mull.verify.attacks.base import Outcome, Paid, Pay
from mull.verify.attacks.suite import Report, Wrap, attack, pay_verdict, worst
from mull.verify.files import rows_of

if TYPE_CHECKING:
    from mull.verify.batch import Reading

WIDTH = 60
Subject = tuple[Problem, Pay, Wrap, str]


def run(file: Path | None, task: str, count: int, reading: Reading, as_json: bool) -> int:
    """Attack the reward of a file of rows, a recipe or a task; how many attacks pay.

    Raises:
        UserError: nothing to attack, or a row or recipe is not what it should be.
    """
    import json

    reports = [attack(problem, pay, wrap, own) for problem, pay, wrap, own in _subjects(file, task, count, reading)]
    outcomes = worst(reports)
    paying = sum(outcome.pays for outcome in outcomes) + any(report.wrong_pays for report in reports)
    if as_json:
        typer.echo(json.dumps({
            "pays": paying,
            "problems": [_report_json(report) for report in reports],
            "attacks": [_outcome_json(outcome) for outcome in outcomes],
        }))  # fmt: skip
    else:
        _say(reports, outcomes, paying)
    return paying


def _subjects(file: Path | None, task: str, count: int, reading: Reading) -> list[Subject]:
    if (file is None) == (not task):
        raise UserError("--attack needs one of: a file of rows, a recipe (.toml), or --task NAME")
    if task:
        problems = load_task(task)
        return [(problem, pay_verdict, str, "") for problem in problems[:: max(1, len(problems) // count)][:count]]
    assert file is not None
    if file.suffix == ".toml":
        return _of_recipe(file, count)
    rows = list(islice(rows_of(file, reading), count))
    if not rows:
        raise UserError(f"{file}: holds no row to attack")
    return [(row.problem, pay_verdict, str, row.text) for row in rows]


def _of_recipe(file: Path, count: int) -> list[Subject]:
    """The reward of each stage that has one, on its own tasks."""
    from mull.recipe.schema import read_recipe  # brings torch, which nothing else here needs
    from mull.train.rl import RLConfig

    found: list[Subject] = []
    for stage in read_recipe(file).stages.values():
        if not isinstance(stage.config, RLConfig):
            continue
        reward = stage.config.reward
        for spec in stage.config.tasks:
            problems = load_task(spec)
            for problem in problems[:: max(1, len(problems) // count)][:count]:
                found.append((problem, _pay_of(reward, stage.config.sampling.max_tokens), _wrap_of(reward), ""))
    if not found:
        raise UserError(f"{file}: has no stage with a reward; give a recipe with an rl stage, or a file of rows")
    return found


def _pay_of(config: RewardConfig, limit: int) -> Pay:
    def pay(problem: Problem, response: str) -> Paid:
        tokens = (0,) * len(response.split())  # words: nothing here has a tokenizer
        completion = Completion((), tokens, (0.0,) * len(tokens), FinishReason.STOP, text=response)
        scored = score(problem, completion, split_completion(response, R1_ZERO_TAGS), config, limit)
        return Paid(0.0 if scored.excluded else scored.reward, scored.verdict)

    return pay


def _wrap_of(config: RewardConfig) -> Wrap:
    if config.format == "free":
        return str
    return "<think>I work it out.</think>\n<answer>{}</answer>".format


def _say(reports: Sequence[Report], outcomes: Sequence[Outcome], paying: int) -> None:
    for report in reports:
        right = f"{report.right.score:g}" if report.right else "no right reply is known, or none is paid"
        typer.echo(f"{report.problem.id} ({report.problem.verifier})")
        typer.echo(f"  honest right reply: {right}{_quoted(report.right_reply)}")
        note = "   PAYS as much as a right one" if report.wrong_pays else ""
        typer.echo(f"  honest wrong reply: {report.wrong.score:g}{_quoted(report.wrong_reply)}{note}")
    typer.echo()
    for outcome in outcomes:
        title = f"{outcome.attack.title:20} {outcome.attack.what}"
        if outcome.not_applicable:
            typer.echo(f"{title}: does not apply ({outcome.not_applicable})")
            continue
        note = f", {outcome.left_out} of {outcome.tries} left out of training" if outcome.left_out else ""
        said = f"PAYS{_quoted(outcome.reply)}" if outcome.pays else "does not pay"
        typer.echo(f"{title}: {outcome.score:g}, {said}{note}")
    tried = sum(not outcome.not_applicable for outcome in outcomes)
    typer.echo(f"\n{paying or 'none'} of {tried} attacks pays" if paying < 2 else f"\n{paying} of {tried} attacks pay")


def _quoted(reply: str) -> str:
    if not reply:
        return ""
    text = " ".join(reply.split()).encode("ascii", "backslashreplace").decode()
    return f"   {text[:WIDTH]}{' …' if len(text) > WIDTH else ''}"


def _report_json(report: Report) -> dict[str, Any]:
    return {
        "id": report.problem.id,
        "verifier": report.problem.verifier,
        "right": report.right.score if report.right else None,
        "wrong": report.wrong.score,
        "wrong_pays": report.wrong_pays,
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.not_applicable:
        named = {"number": outcome.attack.number, "name": outcome.attack.name}
        return {**named, "applies": False, "reason": outcome.not_applicable}
    verdict = outcome.verdict
    return {
        "number": outcome.attack.number, "name": outcome.attack.name, "what": outcome.attack.what, "applies": True,
        "pays": outcome.pays, "score": outcome.score, "reply": outcome.reply[:2000], "tries": outcome.tries,
        "left_out": outcome.left_out, "verdict": str(verdict.kind) if verdict else None,
        "reason": verdict.reason if verdict else "",
    }  # fmt: skip
