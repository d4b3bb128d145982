"""Presets that put a prompt together, and what a verifier of structured answers is given from a row."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.tasks.registry import load_task
from mull.tasks.shapes import ifeval
from mull.verify.registry import verify

DATA = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not here (set MULL_SHARED)")
ARC = {
    "id": "t1",
    "train": [{"input": [[1, 0]], "output": [[0, 1]]}],
    "test": [{"input": [[2, 0]], "output": [[0, 2]]}, {"input": [[3, 0]], "output": [[0, 3]]}],
}


def write(path: Path, *rows: Any) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return str(path)


def test_an_arc_task_is_a_problem_for_each_test_input(tmp_path: Path) -> None:
    first, second = load_task(write(tmp_path / "arc.jsonl", ARC) + "?preset=arc")
    assert (first.id.split("/")[-1], second.id.split("/")[-1]) == ("t1-0", "t1-1")
    assert first.family == second.family == "t1" and first.domain == "logic" and first.verifier == "grid"
    prompt = second.messages[0].content
    assert (
        "Example 1, input:\n1 0\n\nExample 1, output:\n0 1\n\nTest input:\n3 0\n\nShow" in prompt
        and "0 3" not in prompt
    )
    assert verify(first, "0 2").correct and not verify(first, "0 3").correct and verify(second, "[[0, 3]]").correct


@pytest.mark.parametrize(
    "row", [{"id": "t"}, {**ARC, "train": 3}, {**ARC, "test": [{"input": [[1]]}]}, {**ARC, "train": [[]]}]
)
def test_a_row_that_is_no_arc_task_is_named(tmp_path: Path, row: Any) -> None:
    with pytest.raises(UserError, match="row 1: no ARC task") as error:
        load_task(write(tmp_path / "arc.jsonl", row) + "?preset=arc")
    assert "\n" not in str(error.value)


def test_an_arc_task_with_a_bad_grid_is_named(tmp_path: Path) -> None:
    row = {**ARC, "test": [{"input": [[1]], "output": [[1], [1, 2]]}]}
    with pytest.raises(UserError, match="row 1, field 'answer': the answer must be one grid .*unequal length"):
        load_task(write(tmp_path / "arc.jsonl", row) + "?preset=arc")


@needs_data
@pytest.mark.parametrize(("part", "count"), [("training", 416), ("evaluation", 419)])
def test_the_published_arc_tasks(part: str, count: int) -> None:
    problems = load_task(f"{DATA / 'arc_agi_1' / part}.jsonl?preset=arc")
    assert len(problems) == count and len({problem.family for problem in problems}) == 400
    assert all(verify(problem, problem.data["answer"]).correct for problem in problems)
    shifted = problems[1:] + problems[:1]
    assert not any(
        verify(p, q.data["answer"]).correct for p, q in zip(problems, shifted, strict=True) if p.data != q.data
    )


@needs_data
@pytest.mark.parametrize("people", [3, 4, 5])
def test_the_published_knights_and_knaves(people: int) -> None:
    pytest.importorskip("pyarrow.parquet")
    problems = load_task(f"{DATA / 'knights_and_knaves' / f'{people}people_test.parquet'}:test?preset=knights")
    assert len(problems) == 100 and {len(problem.data["names"]) for problem in problems} == {people}
    assert all(verify(problem, problem.data["answer"]).correct for problem in problems)
    assert "knights and knaves" in problems[0].messages[0].content and "<answer>" in problems[0].messages[0].content


def test_json_answers_reach_the_verifier_as_json(tmp_path: Path) -> None:
    rows = [{"prompt": str(n), "answer": answer} for n, answer in enumerate([{"a": True}, [1, None], False, 2, '"x"'])]
    problems = load_task(write(tmp_path / "j.jsonl", *rows) + "?verifier=json")
    assert [p.data["answer"] for p in problems] == ['{"a": true}', "[1, null]", "false", "2", '"x"']
    assert verify(problems[0], '{ "a": true }').correct and verify(problems[2], "false").correct


def test_ifeval_rows_become_constraints(tmp_path: Path) -> None:
    row = {
        "key": 1000,
        "prompt": "Write.",
        "instruction_id_list": [
            "punctuation:no_comma",
            "length_constraints:number_words",
            "change_case:english_lowercase",
        ],
        "kwargs": [{}, {"relation": "less than", "num_words": 4}, {}],
    }
    language = {
        **row,
        "key": 1001,
        "instruction_id_list": ["language:response_language"],
        "kwargs": [{"language": "de"}],
    }
    (problem,) = load_task(write(tmp_path / "i.jsonl", row, language) + "?preset=ifeval")
    assert problem.id.endswith("/1000") and problem.verifier == "constraints" and problem.domain == "instructions"
    assert problem.data["constraints"][1] == {"kind": "words", "at_most": 3}
    assert verify(problem, "one two three").correct and not verify(problem, "one two three four").correct


INSTRUCTIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("keywords:existence", {"keywords": ["a"]}, {"kind": "contains", "phrases": ["a"]}),
    ("keywords:forbidden_words", {"forbidden_words": ["a"]}, {"kind": "forbids", "phrases": ["a"]}),
    (
        "keywords:frequency",
        {"keyword": "a", "frequency": 2, "relation": "at least"},
        {"kind": "frequency", "phrase": "a", "at_least": 2},
    ),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 2, "let_relation": "less than"},
        {"kind": "letters", "letter": "q", "at_most": 1},
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 3},
        {"kind": "paragraphs", "separator": "***", "at_least": 3, "at_most": 3},
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "a", "nth_paragraph": 2, "num_paragraphs": 3},
        {"kind": "first_word", "word": "a", "paragraph": 2, "of": 3},
    ),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 2},
     {"kind": "sections", "marker": "Part", "at_least": 2}),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Do."}, {"kind": "starts_with", "phrase": "Do."}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "constraint"), INSTRUCTIONS, ids=[case[0] for case in INSTRUCTIONS])
def test_each_instruction(name: str, given: dict[str, Any], constraint: dict[str, Any]) -> None:
    row = {"key": 1, "prompt": "?", "instruction_id_list": [name], "kwargs": [{**given, "unused": None}]}
    assert [flat["constraints"] for flat in ifeval(row, "row 1")] == [[constraint]]


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (["keywords:exists"], [{}], "unknown instruction 'keywords:exists'; did you mean 'keywords:existence'?"),
        (["keywords:existence"], [], "two lists of one length"),
        (["keywords:existence"], [{"keywords": None}], "keywords:existence is not as expected"),
        (["length_constraints:number_words"], [{"relation": "about", "num_words": 3}], "is not as expected"),
    ],
)
def test_rows_that_are_not_ifeval_are_named(names: list[str], values: list[Any], message: str) -> None:
    with pytest.raises(UserError, match="row 1") as error:
        list(ifeval({"key": 1, "prompt": "?", "instruction_id_list": names, "kwargs": values}, "row 1"))
    assert message in str(error.value)
