"""Countdown: does this expression use exactly these numbers and make the target?

`data`: `numbers` (integers, as a multiset), `target`, optionally `modulus` (then + - * only, all arithmetic modulo
it) and `notation`: "infix", `(3 + 5) * 8`, or "postfix", `3 5 + 8 *`. Arithmetic is exact: integers, and fractions
once something is divided. An infix answer may end in `= value` when that is true.

Left out on purpose: unary minus, joined digits and decimals (each would use a number that was not given), and any
notion of "nearly". No text is ever evaluated by Python; the tokens below are all there is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mull.core.errors import UserError
from mull.core.types import Verdict, VerdictKind
from mull.verify.extract import final_answer

METHOD = "countdown"
MAX_LENGTH = 400
MAX_TOKENS = 128
MAX_NUMBERS = 16
MAX_DIGITS = 12

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_INFIX = re.compile(r"\s*(?:([0-9]+)|([-+*/()=]))")
_SPELLINGS = {"×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "∗": "*", "\\times": "*", "\\cdot": "*",
              "\\div": "/", "\\left": "", "\\right": "", "$": "", "\\(": "", "\\)": ""}  # fmt: skip

Number = int | Fraction


class Malformed(ValueError):
    """The text is no expression; the message says why."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression. Example: `Expression(("3", "5", "+", "8", "*"), None)`, with what `= …` claimed."""

    postfix: tuple[str, ...]
    claimed: int | None = None


def check(data: Mapping[str, Any], text: str) -> Verdict:
    """The verdict on `text`; `answer` is the expression in canonical form (None for what is no expression)."""
    infix = data.get("notation", "infix") != "postfix"
    modulus = data.get("modulus")
    if infix:
        text = _stated(text)
        if not text:
            return Verdict(VerdictKind.NO_ANSWER, "no final answer in the text", None, METHOD)
    if len(text) > MAX_LENGTH:
        return Verdict(
            VerdictKind.INVALID, f"an expression of {len(text)} characters (limit {MAX_LENGTH})", None, METHOD
        )
    try:
        expression = parse_infix(text) if infix else Expression(tuple(text.split()))
        value, used = evaluate(expression.postfix, modulus)
    except Malformed as error:
        return Verdict(VerdictKind.WRONG, str(error), None, METHOD)
    answer = (render_infix if infix else render_postfix)(expression.postfix)
    if sorted(used) != sorted(data["numbers"]):
        given = " ".join(map(str, data["numbers"]))
        return Verdict(VerdictKind.WRONG, f"uses {' '.join(map(str, used))}, not {given}", answer, METHOD)
    if expression.claimed is not None and _reduced(expression.claimed, modulus) != value:
        return Verdict(VerdictKind.WRONG, f"makes {value}, but says {expression.claimed}", answer, METHOD)
    if value != _reduced(data["target"], modulus):
        return Verdict(VerdictKind.WRONG, f"makes {value}, not {data['target']}", answer, METHOD)
    return Verdict(VerdictKind.CORRECT, f"makes {data['target']}", answer, METHOD)


def _stated(text: str) -> str:
    """The expression that a text in plain words ends in, without the marks that writing puts around it."""
    return (final_answer(text) or "").strip().rstrip(".").strip("` \n")


def check_gold(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    UserError: numbers, target, modulus or notation are missing or of the wrong kind.
    """
    numbers = data.get("numbers")
    if not _is_ints(numbers) or not 1 <= len(numbers) <= MAX_NUMBERS or min(numbers) < 0:  # type: ignore[arg-type]
        raise UserError(f"{where}: 'numbers' must be a list of 1 to {MAX_NUMBERS} whole numbers, not {numbers!r}")
    if not _is_ints([data.get("target")]):
        raise UserError(f"{where}: 'target' must be a whole number, not {data.get('target')!r}")
    modulus = data.get("modulus")
    if modulus is not None and (not _is_ints([modulus]) or modulus < 2):
        raise UserError(f"{where}: 'modulus' must be a whole number of 2 or more, not {modulus!r}")
    if data.get("notation", "infix") not in ("infix", "postfix"):
        raise UserError(f"{where}: 'notation' must be 'infix' or 'postfix', not {data['notation']!r}")


def _is_ints(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(type(v) is int and abs(v) < 10**MAX_DIGITS for v in values)


def _reduced(value: int, modulus: int | None) -> int:
    return value if modulus is None else value % modulus


def evaluate(postfix: Sequence[str], modulus: int | None) -> tuple[Number, list[int]]:
    """The value of a postfix expression, reduced modulo `modulus` when there is one, and the numbers it uses.

    Raises:
        Malformed: unknown token, too few or too many operands, division by zero, too long.
    """
    if len(postfix) > MAX_TOKENS:
        raise Malformed(f"an expression of {len(postfix)} tokens (limit {MAX_TOKENS})")
    stack: list[Number] = []
    used: list[int] = []
    for token in postfix:
        if token in _PRECEDENCE:
            if len(stack) < 2:
                raise Malformed(f"{token!r} lacks an operand")
            right = stack.pop()
            stack[-1] = _apply(token, stack[-1], right, modulus)
        else:
            number = _number(token)
            used.append(number)
            stack.append(number)
    if len(stack) != 1:
        raise Malformed("no expression" if not stack else f"{len(stack)} values are left without an operator")
    value = stack[0]
    return (value if modulus is None else value % modulus), used


def _number(token: str) -> int:
    if not (token.isascii() and token.isdigit()) or len(token) > MAX_DIGITS:
        raise Malformed(f"{token[:20]!r} is no number and no operator")
    return int(token)


def _apply(operator: str, left: Number, right: Number, modulus: int | None) -> Number:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if modulus is not None:
        raise Malformed("'/' is not an operator here")
    if right == 0:
        raise Malformed("division by zero")
    return Fraction(left) / right


def parse_infix(text: str) -> Expression:
    """Infix text in postfix order (shunting-yard), with the value that a final `= n` claims.

    Raises:
        Malformed: a character that has no place in an expression, or brackets and operators that do not fit.
    """
    for spelling, plain in _SPELLINGS.items():
        if spelling in text:
            text = text.replace(spelling, plain)
    tokens = _tokens(text)
    claimed = None
    if "=" in tokens:
        cut = tokens.index("=")
        result = tokens[cut + 1 :]
        sign = -1 if result[:1] == ["-"] else 1
        if len(result) != (2 if sign < 0 else 1):
            raise Malformed("what follows '=' must be one number")
        claimed = sign * _number(result[-1])
        tokens = tokens[:cut]
    return Expression(tuple(_to_postfix(tokens)), claimed)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _INFIX.match(text, position)
        if match is None:
            raise Malformed(f"{text[position : position + 20].strip()!r} has no place in an expression")
        tokens.append(match[1] or match[2])
        position = match.end()
    if len(tokens) > MAX_TOKENS:
        raise Malformed(f"an expression of {len(tokens)} tokens (limit {MAX_TOKENS})")
    return tokens


def _to_postfix(tokens: Sequence[str]) -> list[str]:
    output: list[str] = []
    operators: list[str] = []
    wants_operand = True
    for token in tokens:
        if token in _PRECEDENCE or token == ")":
            if wants_operand:
                raise Malformed(f"{token!r} lacks an operand")
        elif not wants_operand:
            raise Malformed(f"an operator is missing before {token!r}")
        if token in _PRECEDENCE:
            while operators and _PRECEDENCE.get(operators[-1], 0) >= _PRECEDENCE[token]:
                output.append(operators.pop())
            operators.append(token)
        elif token == "(":
            operators.append(token)
        elif token == ")":
            while operators and operators[-1] != "(":
                output.append(operators.pop())
            if not operators:
                raise Malformed("')' without '('")
            operators.pop()
        else:
            output.append(token)
        wants_operand = token in _PRECEDENCE or token == "("
    if "(" in operators:
        raise Malformed("'(' is never closed")
    return output + operators[::-1]


def render_postfix(postfix: Sequence[str]) -> str:
    """Canonical postfix: single spaces, no leading zeros."""
    return " ".join(str(int(token)) if token[0] == "0" else token for token in postfix)


def render_infix(postfix: Sequence[str]) -> str:
    """Canonical infix: single spaces, and only the brackets that change the meaning. `postfix` must be well-formed."""
    stack: list[tuple[str, int]] = []
    for token in postfix:
        level = _PRECEDENCE.get(token)
        if level is None:
            stack.append((str(int(token)), 3))
            continue
        right, right_level = stack.pop()
        left, left_level = stack.pop()
        left = f"({left})" if left_level < level else left
        # a - (b + c) and a / (b * c) need their brackets; a + (b + c) keeps them too, as it was another derivation
        right = f"({right})" if right_level <= level else right
        stack.append((f"{left} {token} {right}", level))
    return stack[0][0]
