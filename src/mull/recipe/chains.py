"""Which problems a report shows in full, and their chains in words: chosen by a rule, not for being pretty.

The rule: going through the tasks in turn, the problem at the 90th, the 50th and the 10th percentile of the gain in
pass@1; of each side the first sample whose outcome is that side's more frequent one. So a typical failure is shown
as readily as a typical success.
"""

from __future__ import annotations

from collections.abc import Sequence

from mull.pages.chain import ChainLine, ChainView, chain_pair, raw_lines
from mull.pages.markup import Markup
from mull.pages.numbers import number
from mull.recipe.evidence import Pair
from mull.recipe.samples import Asked, Sample
from mull.tasks.world.explain import TASKS, explain

QUANTILES = (0.9, 0.5, 0.1)
LANGUAGES = {"en": "English", "fr": "French", "de": "German", "es": "Spanish", "zh": "Chinese"}


def chosen(pair: Pair) -> list[tuple[Asked, Asked]]:
    """Up to three problems by the rule above, of different families where there are enough."""
    shown = [(b, a) for b, a in pair.problems if any(s.text for s in b.judged) and any(s.text for s in a.judged)]
    tasks = sorted({after.task for _, after in shown})
    found: list[tuple[Asked, Asked]] = []
    for turn, quantile in enumerate(QUANTILES):
        families = {after.family for _, after in found}
        task = tasks[turn % len(tasks)] if tasks else ""
        left = [sides for sides in shown if sides[1].task == task and sides[1].family not in families]
        left.sort(key=lambda sides: (sides[1].pass_at(1) - sides[0].pass_at(1), sides[1].problem))
        if left:
            found.append(left[round(quantile * (len(left) - 1))])
    return found


def typical(asked: Asked) -> Sample:
    """The first judged sample with the problem's more frequent outcome; a tie counts as solved."""
    outcome = asked.pass_at(1) >= 0.5
    return min((s for s in asked.judged if s.correct is outcome), key=lambda s: s.number)


def shown_problem(before: Asked, after: Asked) -> Markup:
    """One problem with a typical chain of each side."""
    question = _explained(after, typical(after))[0]
    about = [after.task, LANGUAGES.get(after.language, after.language), f"level {after.level}" if after.level else ""]
    solved = f"solved in {_solved(before)} before, {_solved(after)} after"
    heading = " · ".join([*filter(None, about), solved])
    return chain_pair(heading, question, _view(before, "Before", "before"), _view(after, "After", "after"))


def _solved(asked: Asked) -> str:
    return f"{sum(s.correct is True for s in asked.judged)} of {len(asked.judged)} tries"


def _view(asked: Asked, title: str, style: str) -> ChainView:
    sample = typical(asked)
    detail = f"{number(sample.thinking)} thinking tokens" + (", cut off at the token limit" if sample.truncated else "")
    outcome = "solved" if sample.correct else "not solved" + (f": {sample.reason}" if sample.reason else "")
    return ChainView(title, style, outcome, sample.correct is True, detail, _explained(asked, sample)[1], sample.text)


def _explained(asked: Asked, sample: Sample) -> tuple[str, tuple[ChainLine, ...]]:
    """The question and the chain in plain words where the task has an explanation, else as they are."""
    if asked.task not in TASKS:
        return asked.prompt, raw_lines(sample.text)
    explanation = explain(asked.task, asked.prompt, sample.text)
    return explanation.question, tuple(ChainLine(line.text, line.kind) for line in explanation.lines)


def kinds_shown(problems: Sequence[tuple[Asked, Asked]]) -> list[str]:
    """The kinds of lines among the chains shown, for the legend."""
    return sorted({line.kind for sides in problems for side in sides for line in _explained(side, typical(side))[1]})


def embedded(pair: Pair) -> bool:
    """Whether problems of the embedded world were asked."""
    return any(after.task in TASKS for _, after in pair.problems)
