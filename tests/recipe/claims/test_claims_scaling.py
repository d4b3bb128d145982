"""Slopes against an ordinary least-squares fit done by numpy, on budgets and on the FLOPs of training."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def budgets(bench, right):
    return [{**row, "budget": b} for b, r in right.items() for row in bench.grid(r, samples=8)]


def test_the_slope_is_over_budgets_above_0(zero):
    right = {0: 7, 8: 1, 16: 2, 32: lambda f: 4 + f % 2}
    zero.measure("zero", budgets(zero, right), budgets=[0, 8, 16, 32])
    claim = zero.claim("accuracy_grows_with_thinking")
    x = [math.log2(b) for b in (8, 16, 32) for _ in range(12)]
    y = [1 / 8] * 12 + [2 / 8] * 12 + [(4 + f % 2) / 8 for f in range(12)]
    assert claim.change == pytest.approx(np.polyfit(x, y, 1)[0])
    assert (claim.holds, claim.before, claim.after) == (True, 1 / 8, pytest.approx(4.5 / 8))
    assert (claim.n, claim.families, claim.effect) == (12, 12, "slope")
    assert claim.ci_low <= claim.change <= claim.ci_high


def test_thinking_longer_for_nothing_fails(zero):
    zero.measure("zero", budgets(zero, {8: 3, 16: 3}), budgets=[8, 16])
    assert zero.claim("accuracy_grows_with_thinking").holds is False


def test_budgets_are_no_measurement_of_the_model(zero):
    """Rows at budgets must not leak into claims on free thinking."""
    zero.measure("base", zero.grid(1))
    zero.measure("zero", budgets(zero, {8: 4, 16: 4}), budgets=[8, 16])
    assert zero.claim("zero_improves").reason == "no evaluate stage has model = 'zero'"


def test_one_budget_has_no_slope(zero):
    zero.measure("zero", budgets(zero, {0: 1, 8: 1}), budgets=[0, 8])
    assert zero.claim("accuracy_grows_with_thinking").reason == "no evaluate stage has two budgets above 0"


def practice(bench, right, flops, **columns):
    """An R1-Zero stage whose step t got `right[t]` of 4 samples right in each of 6 groups."""
    bench.stage("base", "pretrain")
    rows = [
        {**row, "step": t, "group": int(row["problem_id"][1:]), **columns}
        for t, r in enumerate(right)
        for row in bench.grid(r, families=6)
    ]
    metrics = [{"step": t, **({"flops": f} if f else {})} for t, f in enumerate(flops)]
    bench.stage("zero", "rl", {"init": "base"}, rows=rows[:24], metrics=metrics)
    for t in range(1, len(right)):
        file = bench.path / "stages" / "zero" / "rollouts" / f"step-{t:06d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows[24 * t : 24 * t + 24]), file)


def test_training_is_measured_by_what_was_spent_so_far(bench):
    practice(bench, [1, 2, 3], [1e9, 1e9, 2e9])
    claim = bench.claim("accuracy_grows_with_training")
    assert claim.change == pytest.approx(0.25)  # 1, 2, 4 GFLOPs: a quarter more for each doubling
    assert (claim.holds, claim.before, claim.after, claim.n, claim.families) == (True, 0.25, 0.75, 18, 6)
    assert "1 GFLOPs" in claim.statement and claim.statement.endswith("after 4).")


def test_training_that_unlearns_fails(bench):
    practice(bench, [3, 2, 1], [1e9, 1e9, 2e9])
    assert bench.claim("accuracy_grows_with_training").holds is False


def test_what_is_no_evidence_is_no_failure(bench):
    practice(bench, [4, 4, 4], [1e9, 1e9, 2e9], verdict="timeout")
    claim = bench.claim("accuracy_grows_with_training")
    assert (claim.holds, claim.before) == (None, None)


def test_older_runs_without_flops_are_not_measured(bench):
    practice(bench, [1, 2, 3], [0, 0, 0])
    assert "hold no FLOPs" in bench.claim("accuracy_grows_with_training").reason
