"""How the rows of a data set become problems: a field mapping, and the mappings of well-known data sets.

`gsm8k`: `question`, and an `answer` that ends in `#### 18`. `math`: `problem`, and an `answer` or a `solution` whose
last box is the answer. `aime`: `problem` and a whole-number `answer`. `knights`: `quiz`, `names` and `solution_text`.
`arc`: the examples and test inputs of an ARC task. `ifeval`: a prompt with IFEval's instructions. `humaneval`, `mbpp`,
`livecodebench`, `codecontests`: programming problems with their tests (`programs`). A preset changes how rows are read,
nothing else; any key of it can be set in a recipe (`fields = {prompt = "question"}`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import Field, field_validator

from mull.core.config import Config
from mull.tasks.programs import codecontests, humaneval, livecodebench, mbpp
from mull.tasks.shapes import Shape, arc, ifeval

_THINK = "\n\nShow your work in <think> </think> tags. And "
KNIGHTS = (
    f"{_THINK}say of everybody who they are in <answer> </answer> tags, for example "
    "<answer> (1) Zoey is a knight (2) Oliver is a knave </answer>."
)
ARC = (
    "Each example turns an input grid into an output grid by the same rule. Find the rule and apply it to the test "
    f"input.\n\n{{prompt}}{_THINK}return the output grid of the test input, in rows of digits as above, in <answer> "
    "</answer> tags."
)
RESPONSE = f"{_THINK}put your whole response, and nothing else, in <answer> </answer> tags."
PROGRAM = (
    f"{_THINK}return the whole program, with its imports, in a fenced block (```python … ```) in <answer> </answer> "
    "tags."
)
FUNCTION = "Complete this function; keep its name.\n\n```python\n{prompt}\n```" + PROGRAM
TAGS = f"{_THINK}return the final answer in <answer> </answer> tags."


class Fields(Config):
    """Which field of a row is what. Where several names are given, the first that a row has is used."""

    prompt: tuple[str, ...] = Field(default=("prompt", "question", "problem"), description="the question")
    answer: tuple[str, ...] = Field(default=("answer", "gold", "target"), description="the reference answer")
    solution: tuple[str, ...] = Field(default=(), description="without an answer field: its last box is the answer")
    id: tuple[str, ...] = Field(default=(), description="a name that is unique in the file; default: the row number")
    language: tuple[str, ...] = Field(default=(), description="a language code; default: the spec's")
    level: tuple[str, ...] = Field(default=(), description="difficulty, a number (or text that holds one: 'Level 3')")
    family: tuple[str, ...] = Field(
        default=(), description="rows that are not independent share it; default: the same prompt"
    )
    data: tuple[str, ...] = Field(default=(), description="fields that the verifier needs beside the answer")
    pattern: str = Field(default="", description="regular expression; its last match's first group is the answer")
    template: str = Field(default="{prompt}", description="the user's message; {name} is the field of that name")

    @field_validator("prompt", "answer", "solution", "id", "language", "level", "family", "data", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups if value else 1
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from None
        if groups < 1:
            raise ValueError("the pattern needs a group around the answer, such as '#### (.+)'")
        return value


@dataclass(frozen=True)
class Preset:
    """A data set's shape. Example: `PRESETS["gsm8k"].verifier == "number"`"""

    name: str
    fields: Fields
    verifier: str
    domain: str = "math"
    shape: Shape | None = None
    """Makes flat rows of a published row, where that is more than a field each."""


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "gsm8k",
            Fields(prompt=("question",), answer=("answer",), pattern=r"####[ \t]*([^\n]+)", template="{prompt}" + TAGS),
            "number",
        ),
        Preset(
            "math",
            Fields(
                prompt=("problem",),
                answer=("answer",),
                solution=("solution",),
                id=("unique_id",),
                level=("level", "difficulty"),
                template="{prompt}" + TAGS,
            ),
            "math",
        ),
        Preset(
            "aime",
            Fields(prompt=("problem", "question"), answer=("answer",), id=("id",), template="{prompt}" + TAGS),
            "number",
        ),
        Preset(
            "knights",
            Fields(prompt=("quiz",), answer=("solution_text",), data=("names",), template="{prompt}" + KNIGHTS),
            "knights",
            "logic",
        ),
        Preset(
            "arc",
            Fields(prompt=("prompt",), answer=("answer",), id=("id",), family=("family",), template=ARC),
            "grid",
            "logic",
            arc,
        ),
        Preset(
            "ifeval",
            Fields(prompt=("prompt",), id=("id",), data=("constraints",), template="{prompt}" + RESPONSE),
            "constraints",
            "instructions",
            ifeval,
        ),
        Preset(
            "humaneval",
            Fields(prompt=("prompt",), id=("id",), data=("tests", "entry_point", "prelude"), template=FUNCTION),
            "code-check",
            "code",
            humaneval,
        ),
        Preset(
            "mbpp",
            Fields(
                prompt=("prompt",), id=("id",), data=("tests", "entry_point", "prelude"), template="{prompt}" + PROGRAM
            ),
            "code-check",
            "code",
            mbpp,
        ),
        Preset(
            "livecodebench",
            Fields(
                prompt=("prompt",),
                id=("id",),
                level=("level",),
                data=("tests", "function", "prelude"),
                template="{prompt}" + PROGRAM,
            ),
            "code-io",
            "code",
            livecodebench,
        ),
        Preset(
            "codecontests",
            Fields(
                prompt=("prompt",),
                id=("id",),
                level=("level",),
                data=("tests", "seconds", "memory_mb"),
                template="{prompt}" + PROGRAM,
            ),
            "code-io",
            "code",
            codecontests,
        ),
    )
}
