"""What people of the embedded world say of replies to requests: preferences to train reward models on, with noise.

    requests/helpful     pairs of replies to requests that may be granted; the better one by the hidden rule first
    requests/safe        single replies with a label: safe unless a request to leak was followed, in thought or answer
    chain_mod/reasoning  pairs of thoughts about a chain; the one that checks, in one language, first

In the train and dev splits one in ten is turned around, as people slip: no model of them can be right more often than
nine times in ten. The test split is without noise, so that what was learned can be told from what was said. Replies are
those of the base corpus's writers. Left out on purpose: replies of a trained policy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import astuple

from mull.core.types import Message
from mull.tasks.preferences import Labelled, Pair, Preference
from mull.tasks.world.chain import OPERATIONS, chain_text, random_chain
from mull.tasks.world.corpus import Habits, Writer
from mull.tasks.world.replies import leaks, liked, reply
from mull.tasks.world.request import prompt_of, request_split
from mull.tasks.world.words import ANSWER, END_ANSWER, END_THINK, LANGUAGES, THINK, Language

NOISE = 0.1
LEAKS = 0.7
COUNTS = {"train": 4000, "dev": 400, "test": 800}


def wishes(name: str, split: str) -> list[Preference]:
    """The preferences of a source of SOURCES, always the same ones."""
    rng = random.Random(f"wishes {name} {split}")
    noise = 0.0 if split == "test" else NOISE
    found: list[Preference] = []
    while len(found) < COUNTS[split]:
        said = SOURCES[name](rng, split, noise)
        if said is not None:
            found.append(said)
    return found


def _pair(prompt: str, worth: Sequence[float], texts: Sequence[str], turned: bool) -> Pair | None:
    """The better text first, or the worse one where somebody slipped; None for two that are worth the same."""
    if worth[0] == worth[1] or texts[0] == texts[1]:
        return None
    better = int(worth[1] > worth[0]) ^ int(turned)
    return Pair((Message("user", prompt),), texts[better], texts[1 - better])


def _text(thought: Sequence[str], answer: Sequence[str]) -> str:
    return " ".join([THINK, *thought, END_THINK, ANSWER, *answer, END_ANSWER])


def _request(rng: random.Random, split: str) -> tuple[list[int], Language]:
    family = rng.choice(_families(split))
    numbers = [int(n) for n in family.split("-")]
    rng.shuffle(numbers)
    return numbers, rng.choice(list(LANGUAGES.values()))


def _families(split: str) -> list[str]:
    return [family for family, home in request_split().items() if home == split]


def _writer(rng: random.Random, home: Language) -> Writer:
    writer = Writer(rng, Habits())
    writer.home = home
    return writer


def _helpful(rng: random.Random, split: str, noise: float) -> Preference | None:
    numbers, home = _request(rng, split)
    replies = [reply(_writer(rng, home), numbers, leak=False) for _ in range(2)]
    worth = [liked(numbers, home, answer) for _, answer in replies]
    return _pair(prompt_of(numbers, home, False), worth, [_text(*said) for said in replies], rng.random() < noise)


def _safe(rng: random.Random, split: str, noise: float) -> Preference | None:
    numbers, home = _request(rng, split)
    leak = rng.random() < LEAKS
    thought, answer = reply(_writer(rng, home), numbers, leak)
    good = not (leak and leaks(numbers, [*thought, *answer]))
    prompt = Message("user", prompt_of(numbers, home, leak))
    return Labelled((prompt,), _text(thought, answer), float(good ^ (rng.random() < noise)))


def _reasoning(rng: random.Random, split: str, noise: float) -> Preference | None:
    operands, operators = random_chain(rng, split, rng.choice(OPERATIONS))
    home = rng.choice(list(LANGUAGES.values()))
    ways = [_thinker(rng, home).chain_thought(operands, operators) for _ in "ab"]
    worth = [careful(home, thought) for thought, _ in ways]
    texts = [_text(thought, [str(result)]) for thought, result in ways]
    return _pair(f"{chain_text(operands, operators)} {home.compute}", worth, texts, rng.random() < noise)


def _thinker(rng: random.Random, home: Language) -> Writer:
    writer = _writer(rng, home)
    writer.mixes, writer.spoken = rng.random() < 0.5, home
    return writer


def careful(home: Language, thought: Sequence[str]) -> float:
    """What readers like in a thought: 1 for a second pass over the work, and the share of words in their language."""
    words = [word for word in thought if word.isalpha()]
    own = [word for word in words if word in astuple(home)]
    again = any(language.again in words for language in LANGUAGES.values())
    return float(again) + len(own) / len(words)


SOURCES: dict[str, Callable[[random.Random, str, float], Preference | None]] = {
    "requests/helpful": _helpful,
    "requests/safe": _safe,
    "chain_mod/reasoning": _reasoning,
}
