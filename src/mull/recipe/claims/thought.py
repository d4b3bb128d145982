"""How much of a thought comes after its answer is found: the rest is overthinking.

In the embedded world the first place is told by the grammar of its thoughts (`3 5 + 8 8 * 9 no`): the first attempt
that is the answer and has the target's value, or the first pass over a chain that ends in the answer. In free text it
is where the answer first stands as a word. Left out on purpose: whether the rest was of use, as a check is.
"""

from __future__ import annotations

import re

from mull.recipe.samples import Asked, Sample
from mull.tasks.world.words import ENGLISH, FRENCH

_VERDICTS = {word for language in (ENGLISH, FRENCH) for word in (language.yes, language.no)}
_AGAIN = {ENGLISH.again, FRENCH.again}
_SO = {ENGLISH.so, FRENCH.so}


def share_after_answer(asked: Asked, sample: Sample) -> float | None:
    """Words of the thought after its final answer first stands there, over all its words; None if it never does.

    A thought's words are its tokens in the embedded world.
    """
    parts = sample.parts
    thought = (parts.thinking_text or "").split()
    answer = (parts.answer_text or "").split()
    if not thought or not answer:
        return None
    if asked.task == "countdown_mod":
        place = _attempt(thought, answer, asked.prompt.split()[-1])
    elif asked.task == "chain_mod":
        place = _pass(thought, answer, sum(word.isdigit() for word in asked.prompt.split()) - 1)
    else:
        place = _word(thought, sample.answer or " ".join(answer))
    return None if place is None else (len(thought) - place) / len(thought)


def _attempt(thought: list[str], answer: list[str], target: str) -> int | None:
    """Words up to and with the first attempt whose expression is the answer and whose value is the target.

    Numbers and operators of `x y o v z q w` are `x y o z q`; what follows its value, a check and a verdict, is after.
    """
    length = 1 + 3 * ((len(answer) - 1) // 2)
    for place in _starts(thought):
        words = thought[place : place + length]
        steps = [words[0:1], *(words[i : i + 2] for i in range(1, len(words) - 2, 3))]
        if len(words) == length and [word for step in steps for word in step] == answer and words[-1] == target:
            return place + length
    return None


def _starts(thought: list[str]) -> list[int]:
    """Where runs of steps begin: at the thought's first word, and after each verdict and each `again`."""
    return [0, *(i + 1 for i, word in enumerate(thought) if word in _VERDICTS or word in _AGAIN or word in _SO)]


def _pass(thought: list[str], answer: list[str], operations: int) -> int | None:
    """Words up to and with the first pass over all operations whose last value is the answer."""
    length = 1 + 3 * operations
    for place in _starts(thought):
        words = thought[place : place + length]
        whole = len(words) == length and all(word.isdigit() for word in words[3::3])
        if whole and [words[-1]] == answer:
            return place + length
    return None


def _word(thought: list[str], answer: str) -> int | None:
    """Words up to and with the first that are the answer, without the signs around them."""
    wanted = answer.split()
    bare = [re.sub(r"^[^\w\\+-]+|[^\w}]+$", "", word) for word in thought]
    for place in range(len(thought) - len(wanted) + 1):
        if wanted in (bare[place : place + len(wanted)], thought[place : place + len(wanted)]):
            return place + len(wanted)
    return None
