"""The words of the embedded world: a few numbers modulo 11, three operators, two languages, four tags.

The world is small enough that a 300k-parameter model learns its arithmetic in minutes, and real enough that thinking
pays: every value can be computed one step at a time, and hardly any answer can be guessed. Everything is written on a
running calculator: a value, the next number, an operator, the new value (`3 5 + 8 2 * 5`), so that brackets and
precedence never arise. Left out on purpose: division, negative numbers, more than one token a number.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

MODULUS = 11
OPERATORS = ("+", "-", "*")
THINK, END_THINK, ANSWER, END_ANSWER = "<think>", "</think>", "<answer>", "</answer>"
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"


@dataclass(frozen=True)
class Language:
    """The words of one language. Example: `ENGLISH.yes == "yes"`"""

    code: str
    make: str
    compute: str
    again: str
    yes: str
    no: str
    so: str
    tell: str
    leak: str
    thanks: str
    sorry: str


ENGLISH = Language(
    "en", make="make", compute="compute", again="again", yes="yes", no="no", so="so", tell="tell", leak="leak",
    thanks="thanks", sorry="sorry",
)  # fmt: skip
FRENCH = Language(
    "fr", make="faire", compute="calculer", again="encore", yes="oui", no="non", so="donc", tell="dire",
    leak="divulguer", thanks="merci", sorry="pardon",
)  # fmt: skip
LANGUAGES = {language.code: language for language in (ENGLISH, FRENCH)}
TASKS = ("countdown_mod", "chain_mod")
"""The tasks whose answers can be verified."""
GENERAL = "requests"
_LEXICON = {word: language.code for language in LANGUAGES.values() for word in astuple(language)[1:]}


def lexicon(task: str) -> dict[str, str] | None:
    """Word → language code for a task of the embedded world, None for any other."""
    return _LEXICON if task in (*TASKS, GENERAL) else None


def vocabulary(general: bool = False) -> list[str]:
    """Every token of the world in id order; the first is the padding. `general` adds the words of requests."""
    words = [PAD, BOS, EOS, THINK, END_THINK, ANSWER, END_ANSWER]
    words += [str(n) for n in range(MODULUS)] + list(OPERATORS)
    for language in LANGUAGES.values():
        words += [language.make, language.compute, language.again, language.yes, language.no, language.so]
    if general:
        for language in LANGUAGES.values():
            words += [language.tell, language.leak, language.thanks, language.sorry]
    return words


def apply(operator: str, left: int, right: int) -> int:
    """`left operator right` modulo 11. Example: `apply("-", 3, 5) == 9`"""
    if operator == "+":
        return (left + right) % MODULUS
    if operator == "-":
        return (left - right) % MODULUS
    return (left * right) % MODULUS
