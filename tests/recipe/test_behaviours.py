"""What a run's thoughts do: shares, curves and associations against counts made by hand, and mistakes in one line."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mull.analysis.behaviours import Behaviour
from mull.cli.behaviours import register
from mull.core.errors import UserError
from mull.core.thinking import R1_TAGS, R1_ZERO_TAGS, split_completion
from mull.recipe import thoughts
from mull.recipe.behaviours import association, studies
from mull.recipe.evidence import read_pairs, read_run
from mull.recipe.report import read_report, report_html
from mull.recipe.thoughts import Chain, read_thoughts, thought_of

CHECKED = "<think> 3 5 + 8 8 * 9 4 - 5 no so </think> <answer> 3 5 + 8 * </answer>"
UNCHECKED = "<think> 3 5 + 8 8 * 9 no so </think> <answer> 3 5 + 8 * </answer>"
V = Behaviour.SELF_VERIFICATION


@pytest.fixture
def app():
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return app


def chain(problem, shown, right, *, family="f", step=0, length=10, task="t"):
    return Chain(problem, task, family, step, right, length, {b: shown if b is V else None for b in Behaviour})


def study_of(path, stage=None):
    run = read_run(path)
    return studies(run, read_pairs(run), stage)


def test_shares_and_their_change(tmp_path, make_run, make_row):
    """Of each problem's four thoughts one checks before and three after."""

    def rows(checked):
        return [
            make_row(f"p{f}", s, s < 2, family=f"f{f}", text=CHECKED if s < checked else UNCHECKED)
            for f in range(6)
            for s in range(4)
        ]

    (study,) = study_of(make_run(tmp_path / "run", rows(1), rows(3)))
    (row,) = [row for row in study.rows if row.behaviour is V]
    assert row.before is not None
    assert row.after is not None
    assert row.change is not None
    assert (row.before.mean, row.after.mean, row.change.value) == (0.25, 0.75, 0.5)
    assert (row.before.n, row.before.clusters, row.change.n) == (24, 6, 6)
    # After: samples 0, 1 (right) and 2 (wrong) check, 3 (wrong) does not.
    assert row.right.value == pytest.approx(2 / 3)
    assert (row.right.n, row.right.clusters) == (6, 6)
    assert {r.behaviour for r in study.rows} == {
        V, Behaviour.BACKTRACKING, Behaviour.LANGUAGE_SWITCH, Behaviour.REPETITION_LOOP,
    }  # fmt: skip


def test_association_is_within_problems():
    """Easy problems are right and checked, hard ones neither: checking seems to help, and hurts within a problem."""
    chains = [chain(f"easy{i}", True, True, family=f"e{i}") for i in range(8) for _ in range(9)]
    chains += [chain(f"easy{i}", False, True, family=f"e{i}") for i in range(8)]
    chains += [chain(f"hard{i}", False, True, family=f"h{i}") for i in range(8)]
    chains += [chain(f"hard{i}", True, False, family=f"h{i}") for i in range(8)]
    chains += [chain(f"hard{i}", False, False, family=f"h{i}") for i in range(8)]
    found = association(V, chains)
    assert found.value == pytest.approx((8 * 0 + 8 * (0 - 0.5)) / 16)
    assert (found.n, found.clusters) == (16, 16)


def test_association_leaves_out_what_is_no_evidence_and_pairs_within_a_step():
    chains = [chain("p", True, True), chain("p", False, None), chain("p", True, True, step=1)]
    assert association(V, chains).n == 0
    chains.append(chain("p", False, False, step=1))
    found = association(V, chains)
    assert (found.n, found.value) == (1, 1.0)


def test_at_equal_length_long_chains_are_not_credited_to_a_behaviour():
    """Being right depends on length alone; the long check more often."""
    chains = []
    for i in range(12):
        for length, right in ((10, False), (20, False), (30, True)):
            shown = [True, False, False, False] if length < 30 else [True, True, True, False]
            chains += [chain(f"p{i}", s, right, family=f"f{i}", length=length) for s in shown]
    assert association(V, chains).value == pytest.approx(3 / 5 - 1 / 7)
    assert association(V, chains, by_length=True).value == 0.0
    assert association(V, chains, by_length=True).n == 36


def training_run(path, make_run, make_row, world=False):
    rows = [make_row(f"p{f}", s, s < 2, family=f"f{f}", text=CHECKED) for f in range(4) for s in range(4)]
    run = make_run(path, rows, rows)
    folder = run / "stages" / "zero" / "rollouts"
    for step in range(4):
        texts = [CHECKED] * step + [UNCHECKED] * (4 - step)
        kept = [make_row("q", s, s == 0, step=step, text=text) for s, text in enumerate(texts)]
        kept.append(make_row("q", 4, False, step=step, text="<answer> 3 </answer>", thinking=0))
        pq.write_table(pa.Table.from_pylist(kept), folder / f"step-{step:06d}.parquet")
    return run


def test_curves_over_training(tmp_path, make_run, make_row):
    (study,) = study_of(training_run(tmp_path / "run", make_run, make_row))
    (curve,) = [curve for curve in study.curves if curve.behaviour is V]
    assert curve.steps == [0, 1, 2, 3]
    assert curve.shares == [0.0, 0.25, 0.5, 0.75]
    assert curve.thoughts == [4, 4, 4, 4]
    assert curve.smooth == pytest.approx([0.25, 0.375, 0.375, 0.5])
    assert study.chains == 20 + 32
    assert study.read == 16 + 32
    page = report_html(read_report(tmp_path / "run"))
    assert "What the thoughts do" in page
    assert "Share of thoughts, mean of 5 steps" in page


def test_a_large_stage_is_read_in_part_and_always_the_same_part(tmp_path, monkeypatch, make_run, make_row):
    rows = [make_row(f"p{f}", s, True, family=f"f{f}", text=CHECKED) for f in range(200) for s in range(4)]
    path = make_run(tmp_path / "run", rows, rows) / "stages" / "measure_zero"
    whole = read_thoughts(path, "measure_zero")
    assert (len(whole.chains), whole.total, whole.sampled) == (800, 800, False)
    monkeypatch.setattr(thoughts, "MOST_CHAINS", 200)
    part = read_thoughts(path, "measure_zero")
    assert part == read_thoughts(path, "measure_zero")
    assert part.sampled
    assert 100 < len(part.chains) < 300
    problems = {c.problem for c in part.chains}
    assert len(part.chains) == 4 * len(problems), "problems are drawn whole"


TAGS = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", " 3 5 + 8", " wait", "\n"])


@given(st.lists(TAGS, max_size=8), st.booleans(), st.booleans())
def test_the_thought_is_what_the_state_machine_says(pieces, prefilled, answers):
    text = "".join(pieces)
    tags = R1_ZERO_TAGS if answers else R1_TAGS
    parts = split_completion(pieces, tags, prefilled)
    tokens = parts.thinking.end - parts.thinking.start if parts.thinking else 0
    expected = parts.thinking_text or ""
    if "<think>" in text and prefilled:
        return  # a second opening tag: a text alone does not tell where the thought began
    if not answers and "<answer>" in text:
        return
    assert thought_of(text, tokens).strip() == expected.strip()


def test_the_command_prints_a_table_and_json(world_run, app):
    result = CliRunner().invoke(app, ["behaviours", str(world_run)])
    assert result.exit_code == 0
    assert "checks itself" in result.stdout
    assert "no cause" in result.stdout
    result = CliRunner().invoke(app, ["behaviours", str(world_run), "--json"])
    (stage,) = json.loads(result.stdout)["stages"]
    assert (stage["stage"], stage["before"], stage["after"]) == ("zero", "measure_base", "measure_zero")
    (verified,) = [b for b in stage["behaviours"] if b["behaviour"] == "self_verification"]
    assert verified["after"]["share"] > verified["before"]["share"] + 0.3
    assert verified["change"]["low"] > 0
    alone = CliRunner().invoke(app, ["behaviours", str(world_run), "--stage", "measure_base", "--json"])
    (stage,) = json.loads(alone.stdout)["stages"]
    assert (stage["stage"], stage["before"], stage["association_of"]) == ("measure_base", None, "measure_base")


@pytest.mark.parametrize(
    ("stage", "words"),
    [("measure_bas", "did you mean 'measure_base'"), ("zero", "kept no chains; name one that did"), ("x", "known")],
)
def test_a_wrong_stage_is_one_clear_line(world_run, app, stage, words):
    result = CliRunner().invoke(app, ["behaviours", str(world_run), "--stage", stage])
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_run_without_thoughts_says_what_to_do(tmp_path, make_run, make_row, make_stage, app):
    rows = [make_row("p", s, True, text="4", thinking=0) for s in range(4)]
    run = make_run(tmp_path / "plain", rows, rows)
    with pytest.raises(UserError, match=r"no thoughts; the model must write .*<think>"):
        study_of(run)
    assert "What the thoughts do" not in report_html(read_report(run))
    make_stage(tmp_path / "pre", "base", "pretrain", {})
    with pytest.raises(UserError, match="add a stage of kind rl or evaluate"):
        study_of(tmp_path / "pre")
    assert isinstance(CliRunner().invoke(app, ["behaviours", str(tmp_path / "nowhere")]).exception, UserError)


def test_a_broken_file_is_named(world_run):
    file = world_run / "stages" / "measure_zero" / "rollouts" / "step-000000.parquet"
    pairs = read_pairs(read_run(world_run))
    for content in (b"no parquet", None):
        if content is None:
            pq.write_table(pa.table({"problem_id": ["p"], "verdict": ["correct"]}), file)
        else:
            file.write_bytes(content)
        with pytest.raises(UserError, match=r"step-000000\.parquet.*run stage 'measure_zero' again"):
            studies(read_run(world_run), pairs)
