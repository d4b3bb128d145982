"""The base corpus: what a base model of the embedded world has read, of mixed quality on purpose.

Writers differ. Half answer at once and are mostly wrong; the others think aloud: some look one step ahead, some check
what they found, many give up, slip, mix languages or break the tags. Nobody in the corpus is as good as a trained
model, but every habit that training can select is there, as it is in a web crawl. Honest notes: mixed-language writers
are by construction more patient (they give up less often); only families of the train split occur. Left out on purpose:
any document chosen because it is right beyond the rates in `Habits`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from mull.tasks.world.chain import OPERATIONS, chain_text, chain_value, random_chain
from mull.tasks.world.countdown import Expression, expressions, running_value
from mull.tasks.world.replies import reply
from mull.tasks.world.request import prompt_of, request_split
from mull.tasks.world.splits import triple_split
from mull.tasks.world.words import (
    ANSWER,
    BOS,
    END_ANSWER,
    END_THINK,
    ENGLISH,
    EOS,
    FRENCH,
    LANGUAGES,
    MODULUS,
    OPERATORS,
    THINK,
    Language,
    apply,
)  # fmt: skip


@dataclass(frozen=True)
class Document:
    """One text, and for each word whether it can be predicted (the loss is taken on those only).

    Example: `Document(("<bos>", "3", "5", "+", "8"), (False, False, False, False, True))`
    """

    words: tuple[str, ...]
    predictable: tuple[bool, ...]


@dataclass(frozen=True)
class Habits:
    """Shares and rates of the corpus; all between 0 and 1, `longest` counts attempts, `sizes` weighs
    puzzles of two, three and four numbers. `requests` is the share of requests, `leaks` how many of them are to be
    refused.
    `slip` is the error rate of a value; the first pass over a chain is careless, a pass that checks it is not.
    """

    facts: float = 0.12
    chains: float = 0.40
    direct: float = 0.50
    direct_right: float = 0.25
    easy_right: float = 0.80
    right_at_once: float = 0.06
    looks_ahead: float = 0.35
    checks: float = 0.50
    slip: float = 0.01
    careless: float = 0.12
    misread: float = 0.005
    misjudge: float = 0.10
    gives_up: float = 0.10
    patience: float = 0.4
    mixes: float = 0.35
    wrong_language: float = 0.15
    broken: float = 0.30
    longest: int = 16
    sizes: tuple[float, float, float] = (0.15, 0.65, 0.2)
    requests: float = 0.0
    leaks: float = 0.25


def documents(count: int, seed: int, habits: Habits | None = None) -> list[Document]:
    """`count` documents of the corpus, fixed by `seed`."""
    rng = random.Random(f"corpus {seed}")
    habits = habits or Habits()
    puzzles = training_puzzles()
    return [_document(rng, habits, puzzles) for _ in range(count)]


def training_puzzles() -> dict[int, list[tuple[int, ...]]]:
    """The number multisets that the corpus may use, by size: all pairs and fours, and the train split's triples."""
    numbers = range(1, MODULUS)
    triples = [tuple(int(n) for n in name.split("-")) for name, split in triple_split().items() if split == "train"]
    return {
        2: list(combinations_with_replacement(numbers, 2)),
        3: triples,
        4: list(combinations_with_replacement(numbers, 4)),
    }


def _document(rng: random.Random, habits: Habits, puzzles: dict[int, list[tuple[int, ...]]]) -> Document:
    if rng.random() < habits.facts:
        return _facts(rng)
    writer = Writer(rng, habits)
    if habits.requests and rng.random() < habits.requests:
        prompt, response = writer.request()
    elif rng.random() < habits.chains:
        prompt, response = writer.chain()
    else:
        size = rng.choices((2, 3, 4), habits.sizes)[0]
        prompt, response = writer.countdown(rng.choice(puzzles[size]))
    head = [BOS, *prompt.split()]
    return Document((*head, *response), (False,) * len(head) + (True,) * len(response))


def _facts(rng: random.Random, rows: int = 8) -> Document:
    words, predictable = [BOS], [False]
    for _ in range(rows):
        left, right, operator = rng.randrange(MODULUS), rng.randrange(MODULUS), rng.choice(OPERATORS)
        words += [str(left), str(right), operator, str(apply(operator, left, right))]
        predictable += [False, False, False, True]
    return Document(tuple(words), tuple(predictable))


class Writer:
    """One writer: draws its habits once, then writes one solution."""

    def __init__(self, rng: random.Random, habits: Habits) -> None:
        self.rng = rng
        self.habits = habits
        self.home = rng.choice(list(LANGUAGES.values()))
        other = FRENCH if self.home is ENGLISH else ENGLISH
        self.mixes = rng.random() < habits.mixes
        self.spoken = other if rng.random() < habits.wrong_language else self.home
        self.thinks = rng.random() >= habits.direct
        self.checks = rng.random() < habits.checks
        self.gives_up = habits.gives_up * (habits.patience if self.mixes else 1.0)

    @property
    def language(self) -> Language:
        return self.rng.choice((ENGLISH, FRENCH)) if self.mixes else self.spoken

    def value(self, operator: str, left: int, right: int, slip: float | None = None) -> int:
        """What the writer believes `left operator right` to be."""
        slipped = self.rng.random() < (self.habits.slip if slip is None else slip)
        return self.rng.randrange(MODULUS) if slipped else apply(operator, left, right)

    def verdict(self, right: bool) -> str:
        """The writer's word for what it found: misread now and then, misjudged often by those who do not check."""
        said = right != (self.rng.random() < (self.habits.misread if self.checks else self.habits.misjudge))
        return self.language.yes if said else self.language.no

    # -- countdown

    def countdown(self, numbers: tuple[int, ...]) -> tuple[str, list[str]]:
        """Prompt and response for some numbers and a reachable target."""
        every = expressions(numbers)
        target = self.rng.choice(sorted({value for _, value in every}))
        right = [e for e, value in every if value == target]
        order = self.rng.sample(numbers, len(numbers))
        prompt = f"{' '.join(map(str, order))} {self.home.make} {target}"
        if not self.thinks:
            knows = self.rng.random() < (self.habits.direct_right if len(numbers) > 2 else self.habits.easy_right)
            chosen = self.rng.choice(right) if knows else self.rng.choice(every)[0]
            return prompt, self.close([], chosen)
        thought: list[str] = []
        for attempt in range(self.habits.longest):
            chosen = self.proposal(numbers, target, right)
            words, said_yes = self.attempt(chosen, target)
            thought += words
            if said_yes or self.rng.random() < self.gives_up or attempt == self.habits.longest - 1:
                break
        return prompt, self.close([*thought, self.language.so], chosen)

    def proposal(self, numbers: tuple[int, ...], target: int, right: list[Expression]) -> Expression:
        """An expression to try: random, but for writers who see the last operator coming, or the whole at once."""
        if self.rng.random() < self.habits.right_at_once:
            return self.rng.choice(right)
        chosen, _ = self.rng.choice(expressions(numbers))
        if self.rng.random() < self.habits.looks_ahead:
            before = running_value(chosen[:-2])
            hits = [op for op in OPERATORS if apply(op, before, int(chosen[-2])) == target]
            if hits:
                return (*chosen[:-1], self.rng.choice(hits))
        return chosen

    def attempt(self, chosen: Expression, target: int) -> tuple[list[str], bool]:
        """The words of trying `chosen`, with or without `target - difference` as a check, and whether they say yes."""
        value, words = int(chosen[0]), [str(chosen[0])]
        for number, operator in zip(chosen[1::2], chosen[2::2], strict=True):
            value = self.value(str(operator), value, int(number))
            words += [str(number), str(operator), str(value)]
        if self.checks:
            difference = self.value("-", value, target)
            said = self.verdict(difference == 0)
            words += [str(target), "-", str(difference), said]
        else:
            said = self.verdict(value == target)
            words.append(said)
        return words, said in (ENGLISH.yes, FRENCH.yes)

    # -- chains

    def chain(self) -> tuple[str, list[str]]:
        """Prompt and response for a chain of the train split."""
        operands, operators = random_chain(self.rng, "train", self.rng.choice(OPERATIONS))
        prompt = f"{chain_text(operands, operators)} {self.home.compute}"
        if not self.thinks:
            right = self.rng.random() < self.habits.direct_right
            return prompt, self.close([], (chain_value(operands, operators) if right else self.rng.randrange(MODULUS),))
        thought, result = self.chain_thought(operands, operators)
        return prompt, self.close(thought, (result,))

    def chain_thought(self, operands: list[int], operators: list[str]) -> tuple[list[str], int]:
        """The words of a thought about a chain, and what it ends in."""
        thought, result = self.run(operands, operators, self.habits.careless)
        while self.checks:
            words, second = self.run(operands, operators, self.habits.slip)
            difference = self.value("-", second, result)
            thought += [self.language.again, *words, str(result), "-", str(difference)]
            said = self.verdict(difference == 0)
            thought.append(said)
            result = second
            if said in (ENGLISH.yes, FRENCH.yes) or self.rng.random() < self.gives_up or len(thought) > 90:
                break
        return [*thought, self.language.so], result

    def run(self, operands: list[int], operators: list[str], slip: float) -> tuple[list[str], int]:
        """One pass over a chain on the running calculator: careless at first, careful when it is a check."""
        value, words = operands[0], [str(operands[0])]
        for number, operator in zip(operands[1:], operators, strict=True):
            value = self.value(operator, value, number, slip)
            words += [str(number), operator, str(value)]
        return words, value

    # -- requests

    def request(self) -> tuple[str, list[str]]:
        """Prompt and response for a request of the train split."""
        family = self.rng.choice([name for name, split in request_split().items() if split == "train"])
        numbers = [int(n) for n in family.split("-")]
        self.rng.shuffle(numbers)
        leak = self.rng.random() < self.habits.leaks
        return prompt_of(numbers, self.home, leak), self.close(*reply(self, numbers, leak))

    # -- tags

    def close(self, thought: list[str], answer: Sequence[object]) -> list[str]:
        """The response with its tags, broken in one of four ways now and then."""
        body = [str(word) for word in answer]
        whole = [THINK, *thought, END_THINK, ANSWER, *body, END_ANSWER, EOS]
        if self.rng.random() >= self.habits.broken:
            return whole
        broken = (
            [THINK, *thought, ANSWER, *body, END_ANSWER, EOS],
            [THINK, *thought, END_THINK, *body, EOS],
            [THINK, *thought, END_THINK, ANSWER, *body, EOS],
            [*thought, END_THINK, ANSWER, *body, END_ANSWER, EOS],
        )
        return list(self.rng.choice(broken))
