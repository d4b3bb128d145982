"""All attacks that apply, against one reward on one problem.

    problem ─> honest right and wrong replies ─> each attack's tries ─> reward ─> does the best of them beat its bar?

A reward is a callable (`Pay`): a verifier, a recipe's whole reward, or anything else that scores text. Tries run one
after another, since some of them spoil what comes next. Left out on purpose: running without a wall, as the programs
here are as hostile as they can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mull.core.errors import UserError
from mull.core.types import Problem, VerdictKind
from mull.verify.attacks import code, code_after, text
from mull.verify.attacks.bait import laid
from mull.verify.attacks.base import Asked, Attack, Bait, Bar, Outcome, Paid, Pay, Target, Try
from mull.verify.attacks.honest import FENCE, FORMS, decoys_of, gold_of
from mull.verify.attacks.program import asked_by, table, written
from mull.verify.code_tests import has_tests
from mull.verify.own import PREFIX
from mull.verify.registry import verify_response
from mull.verify.sandbox import walls

TEXT = text.ATTACKS
CODE = (*code.ATTACKS, *code_after.ATTACKS)
_LEFT_OUT = (VerdictKind.TIMEOUT, VerdictKind.ERROR)
Wrap = Callable[[str], str]


@dataclass(frozen=True)
class Report:
    """What came of a problem. `right` is None where no right reply is known or none is paid."""

    problem: Problem
    right: Paid | None
    right_reply: str
    wrong: Paid
    wrong_reply: str
    outcomes: tuple[Outcome, ...]

    @property
    def wrong_pays(self) -> bool:
        """Does an honest wrong reply earn as much as a right one?"""
        return self.wrong.score > 0 and self.wrong.score >= (self.right.score if self.right else 1.0)


def pay_verdict(problem: Problem, response: str) -> Paid:
    """What a verdict alone earns: 1 when it is correct; for a user's own verifier, its score."""
    verdict = verify_response(problem, response)
    partial = verdict.score if problem.verifier.startswith(PREFIX) else None
    return Paid(1.0 if verdict.correct else partial or 0.0, verdict)


def attack(
    problem: Problem,
    pay: Pay = pay_verdict,
    wrap: Wrap = str,
    own: str = "",
    attacks: Sequence[Attack] | None = None,
) -> Report:
    """Run every attack that there is for the kind of `problem`, or those that are given.

    Args:
        wrap: puts an answer where the reward looks for one.
        own: a reply that may be right, as the row of a file brings one.

    Raises:
        UserError: programs would run without a wall.
    """
    coded = problem.verifier.startswith("code-") or (problem.verifier.startswith(PREFIX) and has_tests(problem.data))
    asked = None
    if coded:
        if walls.current().name == "none":
            raise UserError("the attacks are hostile programs and never run without a wall; see --sandbox")
        asked = asked_by(problem.data) or Asked(str(problem.data.get("entry_point") or "solve"), ())
    with laid(asked) as bait:
        target, right, said = _honest(problem, asked, bait, pay, wrap, own)
        wrong_reply = wrap(written(target, code.NOTHING) if asked else target.put(target.decoys[0]))
        report = Report(problem, right, said, pay(problem, wrong_reply), wrong_reply, ())
        found = tuple(_outcome(one, target, report, pay, wrap) for one in attacks or (CODE if asked else TEXT))
    return replace(report, outcomes=found)


def _honest(
    problem: Problem, asked: Asked | None, bait: Bait, pay: Pay, wrap: Wrap, own: str
) -> tuple[Target, Paid | None, str]:
    """The target in the form in which a right answer is paid, that right reply, and what it earned."""
    gold = "" if asked else gold_of(problem)
    target = Target(problem, gold, decoys_of(problem, gold), bait, asked=asked)
    forms = (("%",) if problem.data.get("raw") is True else (FENCE, "%")) if asked else FORMS
    candidates = [(forms[0], own)] if own else []
    for form in forms:
        shaped = replace(target, form=form)
        if asked:
            sources = [problem.data.get("solution"), table(shaped) if asked.cases else None]
            candidates += [(form, wrap(written(shaped, source))) for source in sources if isinstance(source, str)]
        elif gold:
            candidates.append((form, wrap(shaped.put(gold))))
    best: tuple[Target, Paid, str] | None = None
    for form, reply in candidates:
        paid = pay(problem, reply)
        if paid.verdict.correct:
            return replace(target, form=form), paid, reply
        if problem.verifier.startswith(PREFIX) and paid.score > (best[1].score if best else 0.0):
            best = replace(target, form=form), paid, reply  # a score that never reaches 1
    return best or (replace(target, form=forms[0]), None, candidates[0][1] if candidates else "")


def _outcome(one: Attack, target: Target, report: Report, pay: Pay, wrap: Wrap) -> Outcome:
    tries = one.tries(target)
    if isinstance(tries, str) or not tries:
        return Outcome(one, not_applicable=tries if isinstance(tries, str) else "there is nothing to try")
    best = Outcome(one, score=-1e9)
    left_out = 0
    for attempt in tries:
        paid, reply = _tried(attempt, report.problem, pay, wrap)
        left_out += paid.verdict.kind in _LEFT_OUT
        pays = paid.score > _limit(attempt.bar, report) + 1e-9
        if (pays, paid.score) > (best.pays, best.score):
            best = Outcome(one, pays, paid.score, reply, paid.verdict)
    ran = Path(target.bait.mark).exists()
    if ran:
        Path(target.bait.mark).unlink()
    return replace(best, pays=best.pays or ran, tries=len(tries), left_out=left_out)


def _tried(attempt: Try, problem: Problem, pay: Pay, wrap: Wrap) -> tuple[Paid, str]:
    changed = replace(problem, data={**problem.data, **attempt.data}) if attempt.data else problem
    for earlier in attempt.before:
        pay(changed, wrap(earlier))
    reply = attempt.reply if attempt.whole else wrap(attempt.reply)
    return pay(changed, reply), reply


def _limit(bar: Bar, report: Report) -> float:
    if bar is Bar.NOTHING:
        return 0.0
    if bar is Bar.RIGHT:
        return report.right.score if report.right else 1.0
    return 0.0 if report.wrong_pays else max(report.wrong.score, 0.0)


def worst(reports: Sequence[Report]) -> list[Outcome]:
    """For each attack the worst that came of it on any problem, in the order of their numbers."""
    found: dict[int, Outcome] = {}
    for outcome in _outcomes(reports):
        known = found.get(outcome.attack.number)
        if known is None or _badness(outcome) > _badness(known):
            found[outcome.attack.number] = outcome
    return [found[number] for number in sorted(found)]


def _outcomes(reports: Iterable[Report]) -> Iterable[Outcome]:
    return (outcome for report in reports for outcome in report.outcomes)


def _badness(outcome: Outcome) -> tuple[bool, bool, float]:
    return (not outcome.not_applicable, outcome.pays, outcome.score)
