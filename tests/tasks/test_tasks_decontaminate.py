"""Decontamination: what counts as the same question, what is boilerplate, the report, specs and the command."""

import json
import os
import random
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mull.cli.tasks import register
from mull.core.errors import UserError
from mull.tasks.decontaminate import SIZES, Prompt, find, words
from mull.tasks.mixture import load_mixture
from mull.tasks.registry import find_contamination, load, load_task

DATA = Path(os.environ.get("MULL_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not here (set MULL_SHARED)")
LONG = "Natalia sold 1,000 clips to her friends in April and then she sold half as many clips in May again"


def clashes(train: str, test: str, **more: object) -> list[str]:
    found = find([Prompt("t", train)], {"bench": [Prompt("b", test)]}, **more)  # type: ignore[arg-type]
    return [clash.how for clash in found.clashes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He paid $1,000.50 — twice!", "he paid 1000.5 twice"),
        ("1000.0 and 007 and 0.50", "1000 and 7 and 0.5"),
        ("Straße ＡＢ naïve", "strasse ab naïve"),
        ("小明有3个苹果", "小 明 有 3 个 苹 果"),
        ("3,5 and 1.2.3", "3.5 and 1.2.3"),
        ("\\frac{1}{2}x^2", "frac 1 2 x 2"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert " ".join(words(text)) == expected


@pytest.mark.parametrize("size", SIZES)
def test_a_shared_run_of_words_is_a_clash_and_one_word_less_is_not(size: int) -> None:
    shared = [f"w{chr(97 + n)}" for n in range(size)]
    assert clashes(f"start {' '.join(shared)} end", f"other {' '.join(shared).upper()}, rest", size=size) == [
        f"{size} words"
    ]
    assert not clashes(f"start {' '.join(shared[1:])} end", f"other {' '.join(shared[1:])} rest", size=size)


def test_numbers_are_compared_by_value_or_not_at_all() -> None:
    assert clashes(LONG.replace("1,000", "1000"), LONG) == ["the whole prompt"]
    asked = "in april natalia sold clips to {} of her friends who then sold half"
    one, other = f"So: {asked.format(48)}", f"Well: {asked.format(77)}"
    assert not clashes(one, other, size=13)
    assert clashes(one, other, size=13, numbers="any") == ["13 words"]


def test_short_items_are_compared_whole_and_with_their_signs() -> None:
    assert clashes("What is 2 + 3?", "what is 2+3") == ["the whole prompt"]
    assert not clashes("What is 2 - 3?", "What is 2 + 3?")
    assert not clashes("What is 2 + 3 now?", "What is 2 + 3?")
    assert clashes("What is 2 - 3?", "What is 7 - 4?", numbers="any") == ["the whole prompt"]
    assert not clashes("?", "!")


def test_boilerplate_says_nothing_but_the_whole_prompt_does() -> None:
    rule = "a very special island is inhabited only by knights and knaves who always lie you meet"
    rng = random.Random(0)
    names = ["".join(rng.choices("abcdefgh", k=6)) for _ in range(80)]
    bench = [Prompt(f"b{n}", f"{rule} {names[n]} who is who") for n in range(40)]
    train = [Prompt(f"t{n}", f"{rule} {names[n]} who is who") for n in range(38, 80)]
    found = find(train, {"bench": bench})
    assert [(clash.id, clash.other, clash.how) for clash in found.clashes] == [
        ("t38", "b38", "the whole prompt"),
        ("t39", "b39", "the whole prompt"),
    ]


def test_prompts_of_a_program_are_compared_whole() -> None:
    prompts = [Prompt("t", LONG + " one", whole=True), Prompt("u", LONG, whole=True)]
    assert [clash.id for clash in find(prompts, {"b": [Prompt("b", LONG, whole=True)]}).clashes] == ["u"]


@given(st.text(), st.text())
def test_any_text_clashes_with_itself_where_it_has_words(text: str, other: str) -> None:
    for numbers in ("same", "any"):
        found = find([Prompt("t", text)], {"b": [Prompt("b", text), Prompt("c", other)]}, numbers=numbers)
        assert bool(found.clashes) == bool(words(text))


def write(path: Path, *questions: str) -> str:
    rows = [{"question": question, "answer": "#### 1"} for question in questions]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return f"{path}?preset=gsm8k"


def test_a_spec_drops_what_its_benchmarks_ask(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", LONG, "How many legs has one cat?")
    train = write(tmp_path / "train.jsonl", f"Well: {LONG}?", "Something else altogether.", "how many legs has one cat")
    loaded = load(train, {"decontaminate": [test]})
    assert [problem.messages[0].content[:9] for problem in loaded.problems] == ["Something"]
    report = loaded.contamination
    assert report is not None and report.checked == 3 and report.size == 10
    label = f"{tmp_path.name}/test:train"
    assert [(c.benchmark, c.how) for c in report.clashes] == [(label, "10 words"), (label, "the whole prompt")]
    assert report.as_dict()["dropped"] == 2 and json.dumps(report.as_dict())
    assert len(load_task(f"{train}&decontaminate={test}&ngram=13")) == 1
    mixture = load_mixture([{"source": train, "decontaminate": [test], "name": "mine"}])
    assert len(mixture.all) == 1 and mixture.contamination["mine:train"].dropped == {"mine/1", "mine/3"}
    assert load_mixture([train]).contamination == {}


def test_the_template_around_a_prompt_is_no_part_of_it(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.jsonl", "One plus one?"), write(tmp_path / "b.jsonl", "Two plus two?")
    assert load(one, {"decontaminate": [other], "ngram": 8}).contamination.clashes == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ngram": 9}, "ngram: must be 8, 10 or 13"),
        ({"numbers": "none"}, "numbers"),
        ({"decontaminate": ["missing.jsonl"]}, "missing.jsonl: no such file"),
        ({"decontaminate": ["countdown?lvl=1"]}, "lvl: unknown key"),
        ({"decontaminate": ["arithmetic:test", "arithmetic:train"]}, "every problem is in"),
    ],
)
def test_mistakes_are_one_clear_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        load_task("arithmetic:train", options)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_built_in_splits_share_nothing() -> None:
    for name in ("arithmetic", "countdown"):
        assert not find_contamination(f"{name}:train", {"decontaminate": [f"{name}:test", f"{name}:dev"]}).clashes


def test_the_command_reports(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    test, train = write(tmp_path / "test.jsonl", LONG), write(tmp_path / "train.jsonl", LONG, "Something else.")
    run = ["tasks", train, "--decontaminate", test]
    shown = CliRunner().invoke(app, run)
    assert shown.exit_code == 0, shown.output
    assert f"2 problems against {tmp_path.name}/test:train (1): 1 in both (the whole prompt: 1)" in shown.output
    assert "natalia sold 1000 clips" in shown.output
    found = json.loads(CliRunner().invoke(app, [*run, "--json", "--ngram", "8"]).output)["decontamination"]
    assert (found["checked"], found["dropped"], found["ngram"]) == (2, 1, 8) and found["clashes"][0]["how"]
    assert isinstance(CliRunner().invoke(app, ["tasks", "--decontaminate", test]).exception, UserError)


@needs_data
def test_published_sets() -> None:
    def count(train: str, test: str, **options: object) -> int:
        return len(find_contamination(f"{DATA / train}", {"decontaminate": [f"{DATA / test}"], **options}).clashes)

    assert count("gsm8k/train.jsonl?preset=gsm8k", "gsm8k/test.jsonl?preset=gsm8k") < 20
    # problems of AIME 1983 to 2022 that MATH-500 took over word for word
    found = find_contamination(
        f"{DATA / 'aime/train_before_2023.json'}?preset=aime",
        {"decontaminate": [f"{DATA / 'math/math500.jsonl'}?preset=math"]},
    )
    assert sum(clash.how == "the whole prompt" for clash in found.clashes) == 6
    assert count("gsm8k/test.jsonl?preset=gsm8k", "gsm8k/test.jsonl?preset=gsm8k&name=same") == 1319
