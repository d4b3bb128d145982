"""Problems of reasoning-gym, checked by its own scorers where these can be trusted.

`data`: `dataset` (the name in reasoning-gym) and the entry's `question`, `answer` and `metadata`. Full marks from the
scorer are `correct`, anything less is `wrong`: partial credit there is paid for form. A scorer that raises on a text
has not given full marks; that it gives them to its own answer is checked when the problem is read.

Only names in `ALLOWED` are taken, each looked at in version 0.1.25. Nine of them execute the answer (`eval`, sympy's
`parse_expr`): these run in a sandbox (`gym_inside`). Refused by name: two that evaluate the data's own row, and scorers
that give full marks to anything, to "nan" or "0", or not even to a right answer.

Left out on purpose: configurations other than the default, and tasks that a later version brings.
"""

from __future__ import annotations

import copy
import math
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mull.core.errors import UserError, nearest
from mull.core.types import Verdict, VerdictKind
from mull.verify import gym_inside
from mull.verify.texts import stated, visible

METHOD = "reasoning_gym"
MAX_LENGTH = 2_000
MAX_DIGITS = 120

EXECUTES = gym_inside.NAMES
"""Their scorers execute the answer."""
REFUSED = {
    **dict.fromkeys(("number_sorting", "bitwise_arithmetic"), "its scorer evaluates text of the data row"),
    "game_of_life_halting": "its scorer gives full marks to any text",
    "coin_flip": "its scorer gives full marks to '0' for some problems",
    "complex_arithmetic": "its scorer gives full marks to 'nan'",
    "boxnet": "its scorer gives no full marks to a right plan",
    "codeio": "its problems are made by executing code and differ from run to run",
    "composite": "it is a mixture; name its parts instead",
}
ALLOWED = EXECUTES | frozenset({
    "ab", "acre", "advanced_geometry", "aiw", "arc_1d", "arc_agi", "base_conversion", "basic_arithmetic", "bf",
    "binary_alternation", "caesar_cipher", "calendar_arithmetic", "chain_sum", "circuit_logic",
    "color_cube_rotation", "count_bits", "count_primes", "course_schedule", "cryptarithm", "decimal_arithmetic",
    "decimal_chain_sum", "dice", "emoji_mystery", "family_relationships", "figlet_font", "fraction_simplification",
    "futoshiki", "game_of_life", "gcd", "graph_color", "group_anagrams", "gsm_symbolic", "isomorphic_strings",
    "jugs", "kakurasu", "knight_swap", "knights_knaves", "largest_island", "lcm", "leg_counting",
    "letter_counting", "letter_jumble", "list_functions", "mahjong_puzzle", "manipulate_matrix", "maze",
    "mini_sudoku", "modulo_grid", "needle_haystack", "number_filtering", "number_format", "number_sequence",
    "palindrome_generation", "palindrome_partitioning", "path_star", "polynomial_equations", "pool_matrix",
    "power_function", "prime_factorization", "products", "propositional_logic", "quantum_lock", "ransom_note",
    "rearc", "rectangle_count", "rotate_matrix", "rotten_oranges", "rubiks_cube", "rush_hour", "self_reference",
    "sentence_reordering", "shortest_path", "simple_equations", "simple_geometry", "sokoban", "spell_backward",
    "string_manipulation", "string_splitting", "string_synthesis", "sudoku", "survo", "syllogism",
    "time_intervals", "tower_of_hanoi", "tsumego", "word_ladder", "word_sequence_reversal", "word_sorting",
    "zebra_puzzles",
})  # fmt: skip

_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")
_EXPONENT = re.compile(r"\d[eE][-+]?\d{5,}")


def check_name(name: Any, where: str) -> str:
    """`name` when its scorer can be trusted.

    Raises:
        UserError: refused, with the reason, or not known.
    """
    if isinstance(name, str) and name in ALLOWED:
        return name
    if isinstance(name, str) and name in REFUSED:
        raise UserError(f"{where}: reasoning-gym's {name!r} is refused: {REFUSED[name]}")
    raise UserError(f"{where}: unknown reasoning-gym data set {str(name)[:60]!r}{nearest(str(name)[:60], ALLOWED)}")


@lru_cache(maxsize=128)
def _scorer(name: str) -> Any:
    from reasoning_gym.factory import create_dataset

    scorer = create_dataset(name, size=1, seed=0)
    sys.modules[type(scorer).__module__].__dict__["print"] = _quiet  # some of them talk on stdout while they score
    return scorer


def _quiet(*_: object, **__: object) -> None:
    return None


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text`; `answer` is the final answer with single spaces."""
    name = str(data["dataset"])
    final = stated(visible(text))
    if not final:
        return Verdict(VerdictKind.NO_ANSWER, "no final answer in the text", None, METHOD)
    too_big = _excess(final, data.get("answer"))
    if too_big:
        return Verdict(VerdictKind.INVALID, too_big, None, METHOD)
    answer = " ".join(final.split())
    if name not in ALLOWED:
        return Verdict(VerdictKind.ERROR, f"{name} is refused", answer, METHOD)
    refusal = gym_inside.refusal(name, final) if name in EXECUTES else ""
    if refusal:
        return Verdict(VerdictKind.INVALID, refusal, None, METHOD)
    score, complaint, kind = _score(name, data, final)
    if score >= 1.0:
        return Verdict(VerdictKind.CORRECT, f"full marks from {name}", answer, METHOD)
    return Verdict(kind, f"{complaint or f'{score:.2f} of 1'} from {name}", answer, METHOD)


def _excess(text: str, gold: Any) -> str:
    if len(text) > MAX_LENGTH:
        return f"an answer of {len(text)} characters (limit {MAX_LENGTH})"
    if text != gold and (_DIGITS.search(text) or _EXPONENT.search(text)):
        return f"a number of over {MAX_DIGITS} digits, or an exponent of over 4"
    return ""


def _score(name: str, data: Mapping[str, Any], text: str) -> tuple[float, str, VerdictKind]:
    """The scorer's marks (0 where it raises or gives no number), what it raised, and what less than all is called."""
    entry = copy.deepcopy({key: data.get(key) for key in ("question", "answer", "metadata")})
    if name in EXECUTES:
        return gym_inside.score(name, entry, text)
    scorer = _scorer(name)
    try:
        score = float(scorer.score_answer(text, entry))
    except Exception as error:  # the border to code of others, called with text that it did not expect
        return 0.0, f"{type(error).__name__}", VerdictKind.WRONG
    if not math.isfinite(score):
        return 0.0, f"marks of {score}", VerdictKind.WRONG
    return score, "", VerdictKind.WRONG


def unanswered(name: str, answer: Any) -> bool:
    """Is the data set's own answer one that nobody may give: `Integral(…)`, where sympy could not integrate?"""
    return name in EXECUTES and isinstance(answer, str) and bool(gym_inside.refusal(name, answer))


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: a data set that is refused or not known, no metadata, or reasoning-gym is not installed; or its scorer
    does not give full marks to the reference answer (some data sets have none).
    """
    name = check_name(data.get("dataset"), where)
    if not isinstance(data.get("metadata"), Mapping):
        raise UserError(f"{where}: 'metadata' is missing; reasoning-gym's scorers need the whole entry")
    try:
        _scorer(name)
    except ImportError:
        raise UserError(f"{where}: this needs reasoning-gym: pip install 'mull[gym]'") from None
    answer = data.get("answer")
    if unanswered(name, answer):
        raise UserError(f"{where}: {name}'s own answer {str(answer)[:60]!r} only restates the question; drop the row")
    if answer is not None and not (isinstance(answer, str) and _score(name, data, answer)[0] >= 1.0):
        raise UserError(f"{where}: {name} does not give full marks to its own answer {str(answer)[:60]!r}")
