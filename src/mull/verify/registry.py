"""The one door to all checks: `verify(problem, answer_text) -> Verdict`.

The caller passes the answer part of a completion (what stands between the answer tags) or None when there is none, or
a whole response to `verify_response`; nothing of the thought is ever read. Verifiers by name: "number", "math",
"choice", "text", "countdown", "knights", "grid", "json", "regex", "constraints", "reasoning_gym"; "open" for prompts
that nothing verifies; and for programs,
which run behind the walls of `sandbox`, "code-io", "code-call", "code-check". A user's own is named by where it is,
"python:path/to/file.py:function" (`own`). A bug in one of them is the verdict
`error` on one answer, never the end of a run; that no sandbox can be put up here ends it at once.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mull.core.errors import UserError, nearest
from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import (
    code_call,
    code_check,
    code_io,
    constraints,
    countdown,
    grid,
    gym,
    knights,
    nothing,
    own,
    regex,
    words,
)
from mull.verify import json as values
from mull.verify import math as formulas
from mull.verify.code import NoWall
from mull.verify.extract import DEFAULT, Thought, after_thought, final_answer, find_answer
from mull.verify.latex import plain
from mull.verify.limits import MAX_TEXT
from mull.verify.values import Quantity, read

_WORK = re.compile(
    r"[0-9A-Za-z)}]\s*[-+*/^×÷·!]|[0-9)]\s*\(|\\(?:frac|dfrac|sqrt|times|cdot|div|binom|sin|cos|tan|log|ln)"
)

_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_BESIDE = re.compile(r"\\text\{[^{}]*\}(?:\^\{?[23]\}?)?|\^\{?\\circ\}?")
_SCIENTIFIC = re.compile(r"-?[0-9.]+\*10\^\{?-?[0-9]+\}?")
_A_FRACTION = re.compile(r"-?[0-9]*\\frac\{?([0-9]+?)\}?\{?([0-9]+)\}?|-?([0-9]+)/([0-9]+)")


@dataclass(frozen=True)
class Verifier:
    """A check by name. Example: `VERIFIERS["number"].check({"answer": "18"}, "\\\\boxed{18}")`

    `check(data, text)` gives the verdict on a text that is not blank; `check_gold(data, where)` raises UserError when
    `data` is not what the check needs.
    """

    name: str
    check: Callable[[Mapping[str, Any], str], Verdict]
    check_gold: Callable[[Mapping[str, Any], str], None]


VERIFIERS: dict[str, Verifier] = {
    verifier.name: verifier
    for verifier in (
        Verifier("number", formulas.check_number, formulas.check_number_gold),
        Verifier("math", formulas.check_math, formulas.check_math_gold),
        Verifier("choice", words.check_choice, words.check_choice_gold),
        Verifier("text", words.check_text, words.check_text_gold),
        Verifier("countdown", countdown.check, countdown.check_gold),
        Verifier("knights", knights.check, knights.check_gold),
        Verifier("grid", grid.check, grid.check_gold),
        Verifier("json", values.check, values.check_gold),
        Verifier("regex", regex.check, regex.check_gold),
        Verifier("constraints", constraints.check, constraints.check_gold),
        Verifier("reasoning_gym", gym.check, gym.check_gold),
        Verifier("open", nothing.check, nothing.check_gold),
        Verifier("code-io", code_io.check, code_io.check_gold),
        Verifier("code-call", code_call.check, code_call.check_gold),
        Verifier("code-check", code_check.check, code_check.check_gold),
    )
}


def verify(problem: Problem, answer_text: str | None) -> Verdict:
    """Is `answer_text` right? Never raises on text; `Verdict.ms` is the time it took.

    Raises:
        UserError: the problem names a verifier that does not exist, or no sandbox can be put up for a program.
    """
    started = time.perf_counter()
    verifier = known(problem.verifier, problem.id)
    verdict = _verdict(verifier, problem, answer_text)
    return replace(verdict, ms=(time.perf_counter() - started) * 1e3)


def verify_response(
    problem: Problem, response: str, thought: Thought = "closed", conventions: tuple[str, ...] = DEFAULT
) -> Verdict:
    """Is the whole response of a model right? Its thought must be closed, and is not read.

    Raises:
        UserError: an unknown verifier or convention.
    """
    text = after_thought(response, thought)
    if text is None:
        method = known(problem.verifier, problem.id).name
        reason = "no closed thought" if after_thought(response) is not None else "the thought is not closed"
        return Verdict(VerdictKind.NO_ANSWER, reason, None, method)
    if conventions != DEFAULT:
        found = find_answer(text[-MAX_TEXT:], conventions)
        text = found.text if found else ""
    elif len(text) > MAX_TEXT:
        text = text[-MAX_TEXT:]  # a response may be long; its answer stands at the end
    return verify(problem, text)


def _verdict(verifier: Verifier, problem: Problem, answer_text: str | None) -> Verdict:
    if answer_text is None or not answer_text or answer_text.isspace():
        return Verdict(
            VerdictKind.NO_ANSWER, "no answer part" if answer_text is None else "an empty answer", None, verifier.name
        )
    if len(answer_text) > MAX_TEXT:
        reason = f"an answer part of {len(answer_text)} characters (limit {MAX_TEXT})"
        return Verdict(VerdictKind.INVALID, reason, None, verifier.name)
    try:
        verdict = verifier.check(problem.data, answer_text)
        restates = verdict.correct and bool(problem.messages) and _restates(problem, answer_text)
    except NoWall:
        raise
    except Exception as error:
        # the border to text that nobody has seen: a bug in a verifier must not end a run of hours
        return Verdict(VerdictKind.ERROR, f"{type(error).__name__}: {error}"[:200], None, verifier.name)
    if restates:
        return Verdict(VerdictKind.AMBIGUOUS, "the answer only restates the question", verdict.answer, verifier.name)
    return verdict


def _restates(problem: Problem, answer_text: str) -> bool:
    """Is the answer arithmetic that stands in the question as it is? `6 × 7` does not answer `What is 6 × 7?`."""
    final = final_answer(answer_text) or ""
    if problem.verifier not in ("number", "math") or not _WORK.search(final):
        return False
    bare, gold, question = _bare(final), _bare(str(problem.data.get("answer", ""))), problem.messages[-1].content
    sides = [side for side in bare.split("=") if _NUMBERS.search(side)]
    left_to_do = bool(sides) and all(_left_to_do(side, gold, question) for side in sides)
    return bare != gold and (bare in _bare(question) or left_to_do)


def _left_to_do(side: str, gold: str, question: str) -> bool:
    """Is it arithmetic with two numbers of the question, where one number is asked for? `7 × 6`, too, is `6 × 7`."""
    last = _BESIDE.sub("", side)
    value = read(gold)
    if not isinstance(value, Quantity) or value.number is None or not _WORK.search(last):
        return False
    fraction = _A_FRACTION.fullmatch(last)
    top, bottom = ((fraction[1] or fraction[3]), (fraction[2] or fraction[4])) if fraction else ("0", "0")
    if _SCIENTIFIC.fullmatch(last) or (int(bottom) > 1 and math.gcd(int(top), int(bottom)) == 1):
        return False
    own = Counter(number for number in _NUMBERS.findall(last) if number not in ("0", "1"))
    if Counter(_NUMBERS.findall(gold)) <= own:
        return False
    return (own & Counter(_NUMBERS.findall(plain(question)))).total() > 1


def _bare(text: str) -> str:
    return "".join(plain(text).replace("$", "").split()).rstrip(".?=")


def check_gold(problem: Problem, where: str = "") -> None:
    """Is the problem's own data what its verifier needs? `where` names the row in the message (default: the id).

    Raises:
        UserError: unknown verifier, or a missing or unparsable reference answer.
    """
    where = where or problem.id
    known(problem.verifier, where).check_gold(problem.data, where)


def known(name: str, where: str) -> Verifier:
    """The verifier of that name; `where` says in a message who asks for it.

    Raises:
        UserError: there is none.
    """
    if name.startswith(own.PREFIX):
        own.find(name, where)
        return Verifier(name, partial(own.check, name), partial(own.check_gold, name))
    verifier = VERIFIERS.get(name)
    if verifier is None:
        raise UserError(f"{where}: unknown verifier {name!r}{nearest(name, VERIFIERS)}")
    return verifier
