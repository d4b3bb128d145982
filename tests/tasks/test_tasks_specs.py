"""Specs, files and presets: what is read, and what each mistake gets."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mull.core.errors import UserError
from mull.tasks.mixture import load_mixture
from mull.tasks.registry import TaskSpec, load_task, parse_spec
from mull.verify.registry import verify

DATA = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not here (set MULL_SHARED)")
ROWS: list[dict[str, Any]] = [{"question": "1+1?", "answer": "2"}, {"question": "half?", "answer": "\\frac{1}{2}"}]


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return str(path)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.parquet", "rows.jsonl.gz"])
def test_every_kind_of_file_gives_the_same_problems(tmp_path: Path, name: str) -> None:
    path = tmp_path / "set" / name
    path.parent.mkdir()
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))
    elif name.endswith(".parquet"):
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.Table.from_pylist(ROWS), path)
    elif name.endswith(".jsonl"):
        write(path, ROWS)
    else:
        path.write_text(json.dumps(ROWS))
    problems = load_task(str(path))
    assert [p.id for p in problems] == ["set/rows/1", "set/rows/2"]
    assert [p.messages[0].content for p in problems] == ["1+1?", "half?"]
    assert [p.data for p in problems] == [{"answer": "2"}, {"answer": "\\frac{1}{2}"}]
    assert verify(problems[1], "0.5").correct
    assert {p.split for p in load_task(f"{path}:test")} == {"test"}


def test_fields_map_everything(tmp_path: Path) -> None:
    rows = [
        {
            "q": "Eins?",
            "a": "so: 1 => 1",
            "lang": "de",
            "hard": "Level 3",
            "group": "g",
            "key": "k1",
            "numbers": [1, 2],
        },
        {"q": "Un?", "a": "2 => 3 => 4", "lang": "fr", "hard": 1, "group": "g", "key": "k2", "numbers": [1, 2]},
    ]
    fields = {
        "prompt": "q",
        "answer": "a",
        "language": "lang",
        "level": "hard",
        "family": "group",
        "id": "key",
        "pattern": "=> (.+?)(?=$| =>)",
        "template": "{prompt} Box it: \\boxed{} {numbers}",
        "data": "numbers",
    }
    source = write(tmp_path / "r.jsonl", rows)
    first, second = load_task({"source": source, "fields": fields, "verifier": "number", "name": "mine"})
    assert first.id == "mine/k1"
    assert (first.language, first.level, first.family, second.language, second.level) == ("de", 3, "g", "fr", 1)
    assert first.messages[0].content == "Eins? Box it: \\boxed{} [1, 2]"
    assert (first.data, second.data["answer"]) == ({"answer": "1", "numbers": [1, 2]}, "4")
    assert [p.id for p in load_task({"source": source, "fields": fields, "name": "m", "languages": ["fr"]})] == ["m/k2"]


def test_countdown_rows_need_no_answer(tmp_path: Path) -> None:
    source = write(tmp_path / "c.jsonl", [{"nums": "", "prompt": "make 24", "numbers": [8, 3, 8, 3], "target": 24}])
    (problem,) = load_task({"source": source, "verifier": "countdown", "fields": {"data": ["numbers", "target"]}})
    assert verify(problem, "8/(3-8/3)").correct


@pytest.mark.parametrize(
    ("rows", "spec", "message"),
    [
        ([], {}, "no rows; the file is empty"),
        ([{"question": "?"}], {}, "row 1: no field 'answer'"),
        ([ROWS[0], {"question": "?", "answer": None}], {}, "row 2: no answer in field 'answer'"),
        ([ROWS[0], {"question": "?", "answer": "  "}], {}, "row 2: no answer"),
        (
            [ROWS[0], {"question": " ", "answer": "1"}],
            {},
            "row 2: the prompt (field 'prompt' or 'question' or 'problem')",
        ),
        ([{"question": "?", "answer": "many"}], {"verifier": "number"}, "row 1, field 'answer'"),
        ([{"question": "?", "answer": "\\frac{1}{2"}], {}, "cannot be read"),
        ([{"question": "?", "answer": "18"}], {"preset": "gsm8k"}, "does not match the pattern"),
        ([{"problem": "?", "solution": "none"}], {"preset": "math"}, "field 'solution' holds no \\boxed"),
        (ROWS, {"fields": {"prompt": "qestion"}}, "row 1: no field 'qestion'; did you mean 'question'?"),
        (ROWS, {"fields": {"level": "lvl"}}, "row 1: no field 'lvl'"),
        (ROWS, {"fields": {"promt": "question"}}, "fields.promt: unknown key; did you mean 'prompt'?"),
        (ROWS, {"fields": {"pattern": "("}}, "not a regular expression"),
        (ROWS, {"fields": {"pattern": "x"}}, "needs a group"),
        (ROWS, {"preset": "gsm"}, "unknown preset 'gsm'; did you mean 'gsm8k'?"),
        (ROWS, {"verifier": "nummer"}, "unknown verifier 'nummer'; did you mean 'number'?"),
        (ROWS, {"levels": [9]}, "no problem has a level"),
        ([{**ROWS[0], "id": 1}, {**ROWS[1], "id": 1}], {"fields": {"id": "id"}}, "occurs twice"),
        (["text"], {}, "row 1: an object"),
        (ROWS, {"wieght": 2}, "wieght: unknown key; did you mean 'weight'?"),
        (ROWS, {"weight": 0}, "weight"),
    ],
)
def test_mistakes_in_rows_and_specs_are_one_clear_line(
    tmp_path: Path, rows: list[Any], spec: dict[str, Any], message: str
) -> None:
    source = write(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError) as error:
        load_task({"source": source, **spec})
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.jsonl", "missing.jsonl: no such file"),
        ("contdown:train", "unknown task 'contdown'; did you mean 'countdown'?"),
        ("countdown:trian", "no split 'trian'; did you mean 'train'?"),
        ("countdown?lvl=1", "lvl: unknown key"),
        ("countdown?preset=gsm8k", "built-in task"),
        ("countdown?limit=0", "limit"),
    ],
)
def test_mistakes_in_text_specs(spec: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        load_task(spec)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_broken_files(tmp_path: Path) -> None:
    for name, content, message in [
        ("a.jsonl", b'{"question": "?"', "row 1 is not valid JSON"),
        ("b.json", b"[{", "not valid JSON"),
        ("c.parquet", b"no", "not a Parquet file"),
        ("d.jsonl", b"\xff\xfe\xfa", "cannot be read"),
        ("e.txt", b"x", "unknown kind of file"),
        ("f.jsonl.gz", b"no", "cannot be read"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            load_task(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("cut.jsonl.gz", gzip.compress(json.dumps(ROWS[0]).encode())[:-9], "cannot be read"),
        ("bad.jsonl.gz", gzip.compress(b"x" * 99)[:10] + b"\xff" * 30, "cannot be read"),
        ("long.jsonl", b'{"question": "?", "answer": ' + b"9" * 5000 + b"}", "row 1 cannot be read as JSON"),
        ("deep.jsonl", b"[" * 100_000, "cannot be read as JSON"),
        ("half.jsonl", b'{"question": "\\ud800?", "answer": "1"}', "row 1: half of a surrogate pair"),
    ],
    ids=["cut", "torn", "long", "deep", "half"],
)
def test_hostile_files_are_one_clear_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as error:
        load_task(str(tmp_path / name))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "bom.jsonl").write_text("\ufeff" + json.dumps(ROWS[0]))
    assert load_task(str(tmp_path / "bom.jsonl"))[0].data["answer"] == "2"


def test_unanswered_rows_can_be_left_out_on_request(tmp_path: Path) -> None:
    source = write(tmp_path / "r.jsonl", [*ROWS, {"question": "?", "answer": None}])
    assert len(load_task(f"{source}?skip_unanswered=true")) == 2


def test_a_spec_in_its_three_forms_is_one() -> None:
    text = parse_spec("countdown:dev?limit=7&levels=1,2&weight=2")
    assert text == parse_spec({"source": "countdown:dev", "limit": 7, "levels": [1, 2], "weight": 2.0})
    assert text == TaskSpec.model_validate("countdown:dev?limit=7&levels=1,2&weight=2")
    assert text == TaskSpec(source="countdown", split="dev", limit=7, levels=(1, 2), weight=2)
    assert text == TaskSpec.model_validate(text.model_dump())
    problems = load_task(text)
    assert len(problems) == 7 and {p.level for p in problems} == {1, 2}
    assert problems == load_task(text)
    assert {p.id for p in load_task(text, {"limit": 3})} < {p.id for p in problems}


def test_a_limit_is_spread_over_families() -> None:
    every = Counter(problem.family for problem in load_task("countdown_mod:test"))
    picked = Counter(problem.family for problem in load_task("countdown_mod:test?limit=200"))
    assert len(every) == 40 and picked.keys() == every.keys()
    assert all(picked[family] in (5, 6) or picked[family] == every[family] for family in every)
    assert len({problem.family for problem in load_task("countdown_mod:test?limit=7")}) == 7


def test_a_mixture_keeps_names_and_weights(tmp_path: Path) -> None:
    source = write(tmp_path / "r.jsonl", ROWS)
    mixture = load_mixture(["countdown:dev?weight=3", {"source": source, "name": "mine"}])
    assert mixture.weights == {"countdown:dev": 3.0, "mine:train": 1.0}
    drawn = [draw.problem.task for draw in mixture.iterator(seed=0).next(40)]
    assert drawn.count("countdown") == 30 and drawn.count("mine") == 10
    with pytest.raises(UserError, match="named twice"):
        load_mixture(["countdown:dev", "countdown:dev"])
    with pytest.raises(UserError, match="no tasks"):
        load_mixture([])


@needs_data
@pytest.mark.parametrize(
    ("file", "preset", "rows"),
    [
        ("gsm8k/test.jsonl", "gsm8k", 1319),
        ("math/math500.jsonl", "math", 500),
        ("aime/aime2024.jsonl", "aime", 30),
        ("aime/aime2025-I.jsonl", "aime", 15),
        ("aime/aime2025-II.jsonl", "aime", 15),
        ("aime/train_before_2023.json", "aime", 975),
    ],
)
def test_presets_read_the_published_files_and_their_own_answers_are_right(file: str, preset: str, rows: int) -> None:
    problems = load_task(f"{DATA / file}?preset={preset}")
    assert len(problems) == rows
    for problem in problems:
        assert verify(problem, f"\\boxed{{{problem.data['answer']}}}").correct, problem.data


@needs_data
def test_math_train_names_its_rows_without_an_answer() -> None:
    with pytest.raises(UserError, match="train.json: row 887: no answer in field 'answer'"):
        load_task(f"{DATA / 'math/train.json'}?preset=math")
    assert len(load_task(f"{DATA / 'math/train.json'}?preset=math&skip_unanswered=true")) == 7470


def test_math_rows_with_a_solution_take_the_last_box(tmp_path: Path) -> None:
    source = write(
        tmp_path / "m.jsonl",
        [{"problem": "?", "solution": "\\boxed{3}, no, $\\boxed{\\frac{1}{2}}$.", "level": "Level 4"}],
    )
    (problem,) = load_task(f"{source}?preset=math")
    assert problem.data == {"answer": "\\frac{1}{2}"} and problem.level == 4


def test_a_hub_that_cannot_be_reached_is_the_users_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach the Hub\nlong trace")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UserError, match="openai/gsm8k: the hub did not give split 'train' .*download a file") as error:
        load_task("openai/gsm8k:train?preset=gsm8k")
    assert "\n" not in str(error.value)


def test_rows_of_the_hub_become_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(name: str, subset: str | None, split: str) -> Any:
        asked.append((name, subset, split))
        return datasets.Dataset.from_list([{"question": "?", "answer": "so\n#### 1,000"}])

    monkeypatch.setattr(datasets, "load_dataset", load)
    (problem,) = load_task("openai/gsm8k:test?preset=gsm8k&subset=main")
    assert asked == [("openai/gsm8k", "main", "test")]
    assert problem.data == {"answer": "1,000"} and problem.id == "openai/gsm8k/1" and problem.split == "test"


def test_prompts_that_nothing_verifies(tmp_path: Path) -> None:
    path = write(tmp_path / "asks.jsonl", [{"question": "Say hello."}, {"question": "Tell me a joke."}])
    problems = load_task(f"{path}?verifier=open")
    assert [problem.domain for problem in problems] == ["general"] * 2
    assert verify(problems[0], "hello").kind.value == "ambiguous" and not verify(problems[0], "hello").is_evidence
    assert load_task(f"{path}?verifier=open&domain=chat")[0].domain == "chat"
    with pytest.raises(UserError, match=r"row 1: no field 'answer'"):
        load_task(path)
    with pytest.raises(UserError, match="domain are for files"):
        load_task("countdown_mod?domain=chat")
