"""Behaviours in the embedded world, read by its grammar.

    countdown   {number {number operator value} [target - difference] verdict} so
    chain       pass {again pass result - difference verdict} so       pass: number {number operator value}

An attempt or pass whose difference was taken and judged is a check; a verdict of no that another attempt follows is
backtracking; an attempt that was tried before is repetition; a word of another language than the word before (the
problem's language at first) is a switch. The grammar has no words for anything else: those behaviours are None.
Left out on purpose: whether values are right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mull.analysis.behaviours.table import Behaviour, Behaviours, Spot, counted

TASKS = ("countdown_mod", "chain_mod")
CAN = (
    Behaviour.SELF_VERIFICATION,
    Behaviour.BACKTRACKING,
    Behaviour.LANGUAGE_SWITCH,
    Behaviour.REPETITION_LOOP,
)
# The words of `tasks.world.words`, which lies above this package's reach; a test holds the two together.
VERDICTS = {"yes": True, "oui": True, "no": False, "non": False}
AGAIN = ("again", "encore")
SPOKEN = {
    **dict.fromkeys(("make", "compute", "again", "yes", "no", "so", "tell", "leak", "thanks", "sorry"), "en"),
    **dict.fromkeys(
        ("faire", "calculer", "encore", "oui", "non", "donc", "dire", "divulguer", "merci", "pardon"), "fr"
    ),
}
_WORD = re.compile(r"\S+")
_OPERATORS = ("+", "-", "*")


@dataclass(frozen=True)
class _Part:
    """The words up to a verdict (or the end), [start, end) in characters."""

    words: tuple[str, ...]
    verdict: bool | None
    start: int
    end: int

    @property
    def steps(self) -> bool:
        """Is it a number and then at least once `number operator value`?"""
        words = self.words
        return (
            len(words) >= 4
            and len(words) % 3 == 1
            and words[0].isdigit()
            and all(
                words[i].isdigit() and words[i + 1] in _OPERATORS and words[i + 2].isdigit()
                for i in range(1, len(words), 3)
            )
        )


def read_embedded(task: str, prompt: str, thought: str, language: str = "") -> Behaviours:
    """The behaviours of a thought of the embedded world; `prompt` tells a countdown's target and how many numbers."""
    matches = list(_WORD.finditer(thought))
    parts = list(_parts(matches, thought))
    if task == "countdown_mod":
        asked = prompt.split()
        numbers = sum(word.isdigit() for word in asked) - 1
        found = list(_countdown(parts, asked[-1] if asked else "", numbers))
    else:
        found = list(_chain(parts))
    return counted([*found, *_switches(matches, language)], CAN)


def _parts(matches: list[re.Match[str]], thought: str) -> Iterator[_Part]:
    run: list[re.Match[str]] = []
    for match in matches:
        run.append(match)
        verdict = VERDICTS.get(match.group())
        if verdict is not None:
            yield _Part(tuple(m.group() for m in run[:-1]), verdict, run[0].start(), match.end())
            run = []
    if run:
        yield _Part(tuple(m.group() for m in run), None, run[0].start(), run[-1].end())


def _countdown(parts: list[_Part], target: str, numbers: int) -> Iterator[Spot]:
    """An attempt uses each number once: `numbers` - 1 steps; a step more, from the target, is its check."""
    tried: set[tuple[str, ...]] = set()
    failed: _Part | None = None
    for part in parts:
        if part.verdict is None or not part.steps:
            failed = None
            continue
        steps = (len(part.words) - 1) // 3
        checked = steps > max(1, numbers - 1) and part.words[-3:-1] == (target, "-")
        body = part.words[:-3] if checked else part.words
        attempt = (body[0], *(word for i in range(1, len(body), 3) for word in body[i : i + 2]))
        if checked:
            yield Spot(Behaviour.SELF_VERIFICATION, part.start, part.end)
        if attempt in tried:
            yield Spot(Behaviour.REPETITION_LOOP, part.start, part.end)
        elif failed is not None:
            yield Spot(Behaviour.BACKTRACKING, failed.start, part.end)
        tried.add(attempt)
        failed = part if part.verdict is False else None


def _chain(parts: list[_Part]) -> Iterator[Spot]:
    """The first part holds the first pass too; a pass is checked by the difference to the result before it."""
    passes: set[tuple[str, ...]] = set()
    failed: _Part | None = None
    for part in parts:
        again = next((i for i in range(len(part.words) - 1, -1, -1) if part.words[i] in AGAIN), None)
        if again is None or part.verdict is None:
            continue
        words = part.words[again + 1 :]
        whole = _Part(words, part.verdict, part.start, part.end)
        if not whole.steps or len(words) < 7 or words[-2] != "-":
            failed = None
            continue
        yield Spot(Behaviour.SELF_VERIFICATION, part.start, part.end)
        if words[:-3] in passes:
            yield Spot(Behaviour.REPETITION_LOOP, part.start, part.end)
        elif failed is not None:
            yield Spot(Behaviour.BACKTRACKING, failed.start, part.end)
        passes.add(words[:-3])
        failed = part if part.verdict is False else None


def _switches(matches: list[re.Match[str]], language: str) -> Iterator[Spot]:
    current = language
    for match in matches:
        spoken = SPOKEN.get(match.group())
        if spoken and current and spoken != current:
            yield Spot(Behaviour.LANGUAGE_SWITCH, match.start(), match.end())
        current = spoken or current
