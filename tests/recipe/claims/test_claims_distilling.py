"""Small models against their rivals; votes at equal FLOPs counted by hand."""

import pytest

from mull.recipe.claims.distilling import Price, votes_for
from mull.recipe.claims.roles import Roles
from mull.recipe.evidence import read_run


@pytest.fixture
def school(zero):
    """A teacher (zero, from base) and a smaller base with its own rl stage, two sft stages on different chains."""
    zero.stage("small", "pretrain")
    zero.stage("chains", "sample", {"model": "zero"})
    zero.stage("own", "sample", {"model": "small"})
    zero.stage("small_rl", "rl", {"init": "small", "tasks": ["t"], "steps": 3}, metrics=[])
    zero.stage("alone", "sft", {"init": "small", "data": ["own"]})
    zero.stage("student", "sft", {"init": "small", "data": ["chains"]})
    return zero


def test_a_student_learns_from_another_origin(school):
    roles = Roles(read_run(school.path))
    assert [(s.stage.name, s.init, s.teacher) for s in roles.students()] == [("student", "small", "zero")]
    assert roles.zero and roles.zero.name == "zero"
    assert roles.tuned() == []


def test_distilling_against_rl_on_the_small_one(school):
    school.measure("small_rl", school.grid(1))
    school.measure("student", school.grid(3))
    claim = school.claim("distil_beats_small_rl")
    assert (claim.holds, claim.before, claim.after, claim.stage) == (True, 0.25, 0.75, "student")


def test_the_teacher_against_chains_of_its_own(school):
    school.measure("alone", school.grid(3))
    school.measure("student", school.grid(3))
    claim = school.claim("teacher_or_traces")
    assert (claim.holds, claim.change) == (False, 0.0)


def test_a_distil_stage_is_a_student_of_its_teacher(zero):
    zero.stage("small", "pretrain")
    zero.stage("student", "distil", {"init": "small", "teacher": "zero", "tasks": ["t"]})
    (student,) = Roles(read_run(zero.path)).students()
    assert (student.stage.name, student.teacher) == ("student", "zero")
    assert "no rl stage has the student's init 'small'" in zero.claim("distil_beats_small_rl").reason
    assert "no sft stage of 'small' learns" in zero.claim("teacher_or_traces").reason


def test_without_a_student_all_three_are_open(zero):
    for name in ("distil_beats_small_rl", "teacher_or_traces", "small_thinker_beats_large_direct"):
        assert "learns from a model of another origin" in zero.claim(name).reason


@pytest.mark.parametrize(
    ("small", "large", "votes"),
    [
        (Price(10, 90), Price(50, 10), 5),  # 100 = 50 + 5 * 10
        (Price(10, 89), Price(50, 10), 4),
        (Price(1, 1), Price(50, 10), 1),  # cannot even pay one: it has one all the same
    ],
)
def test_votes_cost_no_more_than_the_small_thought(small, large, votes):
    assert votes_for(small, large) == votes


def prompt(n):
    return list(range(n))


def direct(bench, answers, right_small, task="chain_mod", thinking=93):
    """A large model of 400 parameters at once with these answers (right: "4"), a small one of 100 that thinks.

    Small: 100 * (6 + thinking + 9) * 2; large: 400 * (6 + 2k) * 2 for k answers of 2 tokens.
    """
    large = [
        bench.row(f"p{f}", s, a == "4", family=f"f{f}", task=task, answer=a, tokens=2, prompt_ids=prompt(6), budget=0)
        for f in range(12)
        for s, a in enumerate(answers)
    ]
    others = [{**row, "budget": 8, "verdict": "wrong"} for row in large]
    bench.measure("zero", large + others, {"parameters": 400}, budgets=[0, 8])
    rows = bench.grid(right_small, task=task, answer=lambda f, s: "4" if s < right_small else "7", thinking=thinking)
    bench.measure("student", [{**row, "prompt_ids": prompt(6)} for row in rows], {"parameters": 100})
    return bench.claim("small_thinker_beats_large_direct")


def test_the_large_model_votes_as_often_as_the_flops_allow(school):
    """(108 * 100 - 400 * 6) / (400 * 2) = 10.5 votes, but 5 were sampled: cons@5 of two right in five is 1 of 1."""
    claim = direct(school, ["4", "4", "1", "2", "3"], 3)
    assert (claim.holds, claim.before, claim.after) == (False, 1.0, 0.75)
    assert "5 votes (the FLOPs would allow 10)" in claim.statement
    assert "12,800 FLOPs" in claim.statement and "21,600" in claim.statement


def test_a_thinker_can_win(school):
    """(24 * 100 - 400 * 6) = 0 FLOPs are left: one try of the large model, right in 1 of 5."""
    claim = direct(school, ["4", "0", "1", "2", "3"], 3, thinking=9)
    assert (claim.holds, claim.before, claim.after) == (True, pytest.approx(0.2), 0.75)
    assert "1 vote:" in claim.statement


def test_with_many_right_answers_there_is_no_vote(school):
    """On a task that was solved in two ways the large model keeps its pass@1."""
    large = [
        school.row(f"p{f}", s, s < 2, family=f"f{f}", answer=f"e{s}", tokens=2, prompt_ids=prompt(6), budget=0)
        for f in range(12)
        for s in range(4)
    ]
    school.measure("zero", large, {"parameters": 400}, budgets=[0])
    school.measure(
        "student", [{**r, "prompt_ids": prompt(6)} for r in school.grid(3, thinking=93)], {"parameters": 100}
    )
    assert school.claim("small_thinker_beats_large_direct").before == 0.5


def test_what_is_not_larger_or_has_no_budget_of_0_is_no_rival(school):
    school.measure("student", school.grid(3), {"parameters": 100})
    school.measure("zero", school.grid(3), {"parameters": 400})
    assert "0 among its budgets" in school.claim("small_thinker_beats_large_direct").reason
