"""Claims from runs made by hand, whose before, after and verdict can be counted on fingers."""

import json
import math

import pytest

from mull.core.errors import UserError
from mull.recipe.claims import TITLES, claims_of, task_rows
from mull.recipe.evidence import read_pairs, read_run
from mull.stats import cons_at_k


@pytest.fixture
def judge(tmp_path, make_run):
    """Claims by id of a run with these rows."""

    def judged(before, after, **options):
        run = make_run(tmp_path / "run", before, after)
        return {claim.id: claim for claim in claims_of(read_pairs(read_run(run)), **options)}

    return judged


def grid(make_row, right, families=12, samples=4, **more):
    """Rows of `families` problems, of which each gets right the first `right` of its samples."""
    return [
        make_row(f"p{f}", s, s < right, family=f"f{f}", **{k: v(f, s) if callable(v) else v for k, v in more.items()})
        for f in range(families)
        for s in range(samples)
    ]


def test_more_right_answers_hold(judge, make_row):
    claim = judge(grid(make_row, 1), grid(make_row, 3))["zero_improves"]
    assert (claim.holds, claim.before, claim.after, claim.change) == (True, 0.25, 0.75, 0.5)
    assert (claim.n, claim.families, claim.stage) == (12, 12, "zero")
    assert "25% → 75%" in claim.statement


def test_the_same_or_fewer_do_not(judge, make_row, tmp_path):
    assert judge(grid(make_row, 2), grid(make_row, 2))["zero_improves"].holds is False


def test_fewer_right_answers_do_not_hold(judge, make_row):
    claim = judge(grid(make_row, 3), grid(make_row, 1))["zero_improves"]
    assert claim.holds is False
    assert claim.ci_high < 0


def test_one_family_is_no_evidence(judge, make_row):
    """However many samples: with one family there is no interval, so the verdict stays open."""
    claim = judge(grid(make_row, 0, families=1, samples=16), grid(make_row, 16, families=1, samples=16))[
        "zero_improves"
    ]
    assert (claim.holds, claim.before, claim.after, claim.ci_low) == (None, 0.0, 1.0, None)


def test_thinking_is_a_ratio_of_means(judge, make_row):
    before = grid(make_row, 1, thinking=lambda f, s: 10 * (s % 2))
    after = grid(make_row, 1, thinking=lambda f, s: 20 + f % 2)
    claim = judge(before, after)["thinking_grows"]
    assert (claim.holds, claim.before, claim.after, claim.effect) == (True, 5.0, 20.5, "ratio")
    assert claim.change == pytest.approx(4.1)
    assert claim.ci_low <= claim.change <= claim.ci_high
    assert "5 → 20.5 thinking tokens" in claim.statement


def test_checking_counts_thoughts_not_completions(judge, make_row):
    """Half of the samples have no thought: they are not thoughts that fail to check."""
    before = grid(make_row, 1, thinking=lambda f, s: 10 * (s < 2), checks=lambda f, s: s == 0)
    after = grid(make_row, 1, thinking=lambda f, s: 10 * (s < 2), checks=lambda f, s: s < 2)
    claim = judge(before, after)["checking_grows"]
    assert (claim.holds, claim.before, claim.after) == (True, 0.5, 1.0)


def test_the_vote_is_on_canonical_answers_of_the_single_answer_task(judge, make_row):
    """Right twice as "4", wrong thrice in three ways: the vote is always right, one try only in 2 of 5."""
    answers = ["4", "4", "1", "2", "3"]
    chain = [
        make_row(f"c{f}", s, a == "4", task="chain_mod", family=f"f{f}", answer=a)
        for f in range(5)
        for s, a in enumerate(answers)
    ]
    claim = judge(chain + grid(make_row, 2, samples=5), chain + grid(make_row, 2, samples=5))["majority_helps"]
    assert (claim.holds, claim.before, claim.after, claim.n) == (True, pytest.approx(0.4), 1.0, 5)
    assert claim.tasks == ("chain_mod",)
    assert "cons@5" in claim.statement


def test_without_chain_mod_the_vote_is_on_tasks_solved_one_way_only(judge, make_row):
    one = [
        make_row(f"q{f}", s, s < 2, task="sums", family=f"f{f}", answer="7" if s < 2 else f"w{s}")
        for f in range(4)
        for s in range(4)
    ]
    many = [
        make_row(f"m{f}", s, s < 2, task="search", family=f"f{f}", answer=f"e{s}") for f in range(4) for s in range(4)
    ]
    assert judge(one + many, one + many)["majority_helps"].tasks == ("sums",)


def test_the_vote_can_be_sent_to_a_task(judge, make_row):
    rows = grid(make_row, 2, task="search")
    assert judge(rows, rows, vote_tasks=["search"])["majority_helps"].tasks == ("search",)


def test_a_vote_without_such_a_task_is_open(judge, make_row):
    rows = grid(make_row, 2, task="search", answer=lambda f, s: f"e{s}")
    claim = judge(rows, rows)["majority_helps"]
    assert (claim.holds, claim.before, claim.n) == (None, None, 0)
    assert "no task with a single right answer" in claim.statement


def test_sharpening_is_the_difference_of_gains(judge, make_row):
    """The base solves each problem once in 16 (pass@16 = 1): training cannot add to that, only to pass@1."""
    claim = judge(grid(make_row, 1, samples=16), grid(make_row, 12, samples=16))["pass_at_k_limit"]
    assert (claim.holds, claim.before, claim.after) == (True, 1.0, 1.0)
    assert claim.change == pytest.approx(11 / 16)
    assert "pass@16 100% base and 100% trained: with 16 tries neither is clearly ahead" in claim.statement


def test_a_gain_in_reach_alone_refutes_sharpening(judge, make_row):
    """Never solved before, once in 16 after: pass@16 gains 1, pass@1 a sixteenth."""
    claim = judge(grid(make_row, 0, samples=16), grid(make_row, 1, samples=16))["pass_at_k_limit"]
    assert (claim.holds, claim.change) == (False, pytest.approx(1 / 16 - 1))
    assert "the trained model is ahead" in claim.statement


def test_what_is_no_evidence_is_left_out(judge, make_row):
    """A timeout is ours, no answer is the model's; None and nan in optional columns are unknown, not zero."""
    after = grid(make_row, 2)
    for row in after:
        if row["sample"] == 3:
            row.update(verdict="timeout")
        elif row["sample"] == 2:
            row.update(verdict="no_answer", answer=None)
        if row["sample"] == 0:
            row.update(thinking_tokens=None, checks=None)
    found = judge(grid(make_row, 1), after)
    assert found["zero_improves"].after == pytest.approx(2 / 3)
    assert found["thinking_grows"].after == 20.0
    assert found["pass_at_k_limit"].after == pytest.approx(1.0)


def test_a_missing_column_leaves_its_claim_open(judge, make_row):
    rows = grid(make_row, 1)
    for row in rows:
        del row["thinking_tokens"], row["checks"], row["answer"]
    found = judge(rows, rows)
    assert found["zero_improves"].holds is False
    assert found["thinking_grows"].holds is None
    assert found["checking_grows"].holds is None


def test_only_problems_asked_on_both_sides_count(judge, make_row):
    before = grid(make_row, 1, families=8)
    assert judge(before, grid(make_row, 2, families=20))["zero_improves"].n == 8


def test_a_run_without_measurement_says_what_is_missing(tmp_path, make_stage):
    make_stage(tmp_path, "zero", "rl", {"init": "base"}, metrics=[])
    claims = claims_of(read_pairs(read_run(tmp_path)))
    assert [claim.id for claim in claims] == list(TITLES)
    assert all(claim.holds is None for claim in claims)
    assert "no evaluate stage has model = 'base'" in claims[0].statement
    (tmp_path / "other").mkdir()
    make_stage(tmp_path / "other", "base", "pretrain", {})
    assert "no rl stage" in claims_of(read_pairs(read_run(tmp_path / "other")))[0].statement


def test_evaluations_on_the_same_tasks_are_paired_test_split_first(tmp_path, make_row, make_stage):
    asked = {"dev": ["countdown_mod:dev"], "test": ["countdown_mod:test"]}
    make_stage(tmp_path, "zero", "rl", {"init": "base", "tasks": ["countdown_mod:train"]}, metrics=[], start=5)
    for split, tasks in asked.items():
        for model, right in (("base", 1), ("zero", 3)):
            rows = [
                {**row, "split": split, "problem_id": f"{split}{row['problem_id']}"} for row in grid(make_row, right)
            ]
            make_stage(tmp_path, f"{model}_{split}", "evaluate", {"model": model, "tasks": tasks}, rows=rows)
    (pair,) = read_pairs(read_run(tmp_path))
    assert (pair.before.name, pair.after.name) == ("base_test", "zero_test")
    assert {after.split for _, after in pair.problems} == {"test"}


def test_claims_on_the_world_are_what_the_samples_say(world_run):
    (pair,) = read_pairs(read_run(world_run))
    found = {claim.id: claim for claim in claims_of([pair])}
    assert all(claim.holds for claim in found.values())
    chains = [after for _, after in pair.problems if after.task == "chain_mod"]
    votes = [cons_at_k([s.answer for s in a.samples], [bool(s.correct) for s in a.samples], 16) for a in chains]
    assert found["majority_helps"].after == pytest.approx(sum(votes) / len(votes))
    assert found["majority_helps"].n == found["majority_helps"].families == 20
    right = [s.correct for _, after in pair.problems for s in after.samples]
    assert found["zero_improves"].after == pytest.approx(sum(right) / len(right))
    rows = task_rows(pair)
    assert [(row.task, row.level) for row in rows[:3]] == [("chain_mod", None), ("chain_mod", 1), ("chain_mod", 2)]
    assert sum(row.after.n for row in rows if row.level is None) == 40
    json.dumps([row.to_json() for row in rows] + [claim.to_json() for claim in found.values()], allow_nan=False)


def test_each_claim_has_the_promised_keys(world_run):
    for claim in claims_of(read_pairs(read_run(world_run))):
        row = claim.to_json()
        assert {"id", "statement", "holds", "before", "after", "ci_low", "ci_high", "n", "families"} <= row.keys()
        assert all(math.isfinite(row[key]) for key in ("before", "after", "ci_low", "ci_high"))


def test_what_is_no_finished_run_is_refused_with_the_way_out(tmp_path, make_run, make_row, make_stage):
    with pytest.raises(UserError, match="no such run"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no stages"):
        read_run(tmp_path)
    (tmp_path / "stages").mkdir()
    with pytest.raises(UserError, match="no stage has run yet"):
        read_run(tmp_path)
    run = make_run(tmp_path / "run", [], [])
    record = run / "stages" / "zero" / "stage.json"
    done = record.read_text()
    record.write_text(done.replace('"done"', '"running"'))
    with pytest.raises(UserError, match=r"stage 'zero' is not finished \(running\); finish it with `mull run "):
        read_run(run)
    record.write_text(done[: len(done) // 2])
    with pytest.raises(UserError, match="stage.json: cannot be read"):
        read_run(run)
    record.unlink()
    with pytest.raises(UserError, match=r"'zero' is not finished \(not started\)"):
        read_run(run)


def test_a_torn_rollout_file_is_named(tmp_path, make_run, make_row):
    run = make_run(tmp_path / "run", grid(make_row, 1), grid(make_row, 1))
    file = run / "stages" / "measure_zero" / "rollouts" / "step-000000.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"step-000000.parquet: cannot be read"):
        read_pairs(read_run(run))
