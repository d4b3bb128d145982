"""Rows whose prompt has to be put together: from the row of a published data set to flat rows of prompt and answer.

`arc`: one row for each test input of a task, with the examples written out. `ifeval`: the instruction ids of IFEval as
the constraints of the verifier "constraints". A shape is named by a preset and used for nothing else. Left out on
purpose: choosing among rows (`registry`) and reading files (`dataset`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mull.core.errors import UserError, nearest

Row = Mapping[str, Any]
Shape = Callable[[Row, str], Iterator[Row]]
"""Flat rows of one published row; `where` names it in messages. Raises UserError when it is not of that shape."""

_RELATIONS = {"at least": "at_least", "less than": "at_most"}


def arc(row: Row, where: str) -> Iterator[Row]:
    """`{"id", "train": [{"input", "output"}…], "test": […]}` as `{"id", "prompt", "answer", "family"}` a test input."""
    try:
        name = str(row["id"])
        examples = [_example(pair, number) for number, pair in enumerate(row["train"], 1)]
        for number, pair in enumerate(row["test"]):
            prompt = "\n\n".join([*examples, f"Test input:\n{_grid(pair['input'])}"])
            yield {"id": f"{name}-{number}", "prompt": prompt, "answer": pair["output"], "family": name}
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{where}: no ARC task ({type(error).__name__}: {error}); a row needs 'id', and 'train' and 'test' "
            "with pairs of 'input' and 'output'"
        ) from None


def _example(pair: Any, number: int) -> str:
    return f"Example {number}, input:\n{_grid(pair['input'])}\n\nExample {number}, output:\n{_grid(pair['output'])}"


def _grid(grid: Sequence[Sequence[int]]) -> str:
    return "\n".join(" ".join(map(str, row)) for row in grid)


def ifeval(row: Row, where: str) -> Iterator[Row]:
    """`{"key", "prompt", "instruction_id_list", "kwargs"}` as `{"id", "prompt", "constraints"}`.

    A row that asks for a language gives nothing: there is no check of it.
    """
    names, values = row.get("instruction_id_list"), row.get("kwargs")
    if not isinstance(names, list | tuple) or not isinstance(values, list | tuple) or len(names) != len(values):
        raise UserError(f"{where}: 'instruction_id_list' and 'kwargs' must be two lists of one length")
    constraints: list[dict[str, Any]] = []
    for name, given in zip(names, values, strict=True):
        if name == "language:response_language":
            return
        if name not in _INSTRUCTIONS:
            raise UserError(f"{where}: unknown instruction {name!r}{nearest(str(name), _INSTRUCTIONS)}")
        try:
            constraints.append(_INSTRUCTIONS[name](given))
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{where}: {name} is not as expected ({type(error).__name__}: {error})") from None
    yield {"id": row.get("key"), "prompt": row.get("prompt"), "constraints": constraints}


def _range(kind: str, given: Row, number: str, relation: str = "relation", **more: Any) -> dict[str, Any]:
    """IFEval's `relation` and number: "at least" n, or "less than" n, which is at most n - 1."""
    bound, count = _RELATIONS[given[relation]], int(given[number])
    return {"kind": kind, **more, bound: count if bound == "at_least" else max(count - 1, 0)}


def _exactly(kind: str, count: int, **more: Any) -> dict[str, Any]:
    return {"kind": kind, **more, "at_least": int(count), "at_most": int(count)}


_INSTRUCTIONS: dict[str, Callable[[Row], dict[str, Any]]] = {
    "keywords:existence": lambda g: {"kind": "contains", "phrases": list(g["keywords"])},
    "keywords:forbidden_words": lambda g: {"kind": "forbids", "phrases": list(g["forbidden_words"])},
    "keywords:frequency": lambda g: _range("frequency", g, "frequency", phrase=g["keyword"]),
    "keywords:letter_frequency": lambda g: _range(
        "letters", g, "let_frequency", "let_relation", letter=g["letter"]
    ),
    "length_constraints:number_words": lambda g: _range("words", g, "num_words"),
    "length_constraints:number_sentences": lambda g: _range("sentences", g, "num_sentences"),
    "length_constraints:number_paragraphs": lambda g: _exactly("paragraphs", g["num_paragraphs"], separator="***"),
    "length_constraints:nth_paragraph_first_word": lambda g: {
        "kind": "first_word", "word": g["first_word"], "paragraph": int(g["nth_paragraph"]),
        "of": int(g["num_paragraphs"]),
    },
    "detectable_content:number_placeholders": lambda g: {
        "kind": "placeholders", "at_least": int(g["num_placeholders"]),
    },
    "detectable_content:postscript": lambda g: {"kind": "postscript", "marker": g["postscript_marker"]},
    "detectable_format:number_bullet_lists": lambda g: _exactly("bullets", g["num_bullets"]),
    "detectable_format:constrained_response": lambda g: {
        "kind": "one_of", "options": ["My answer is yes.", "My answer is no.", "My answer is maybe."],
    },
    "detectable_format:number_highlighted_sections": lambda g: {
        "kind": "highlights", "at_least": int(g["num_highlights"]),
    },
    "detectable_format:multiple_sections": lambda g: {
        "kind": "sections", "marker": g["section_spliter"], "at_least": int(g["num_sections"]),
    },
    "detectable_format:json_format": lambda g: {"kind": "json"},
    "detectable_format:title": lambda g: {"kind": "title"},
    "combination:two_responses": lambda g: {"kind": "two_responses"},
    "combination:repeat_prompt": lambda g: {"kind": "starts_with", "phrase": g["prompt_to_repeat"]},
    "startend:end_checker": lambda g: {"kind": "ends_with", "phrase": g["end_phrase"]},
    "startend:quotation": lambda g: {"kind": "quoted"},
    "change_case:capital_word_frequency": lambda g: _range(
        "capital_words", g, "capital_frequency", "capital_relation"
    ),
    "change_case:english_capital": lambda g: {"kind": "upper"},
    "change_case:english_lowercase": lambda g: {"kind": "lower"},
    "punctuation:no_comma": lambda g: {"kind": "no_commas"},
}  # fmt: skip
