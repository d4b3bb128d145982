"""The scorecard as a whole: every claim always there, verdicts that follow their intervals, rows on the page."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.pages.scorecard import scorecard_table
from mull.recipe.board import score_row, scorecard_section
from mull.recipe.claims import DEFINITIONS
from mull.recipe.claims.claim import Definition, judged, missing
from mull.recipe.report import read_report, report_html, report_json
from mull.stats import Change


def test_every_claim_is_listed_even_where_nothing_ran(bench):
    bench.stage("base", "pretrain")
    document = report_json(read_report(bench.path))
    assert [claim["id"] for claim in document["claims"]] == list(DEFINITIONS)
    assert len(document["claims"]) == 21
    for claim in document["claims"]:
        assert (claim["holds"], claim["n"], claim["families"], claim["ci_low"]) == (None, 0, 0, None)
        assert claim["reason"]
    json.dumps(document, allow_nan=False)


def test_the_page_shows_each_once_with_its_verdict(zero):
    zero.measure("base", zero.grid(3))
    zero.measure("zero", zero.grid(1))
    report = read_report(zero.path)
    html = report_html(report)
    for claim, definition in zip(report.scorecard, DEFINITIONS.values(), strict=True):
        assert html.count(f'id="{claim.id}"') == 1
        assert definition.source.split(" (")[0] in html
    assert "No clear change" not in html
    failing = [c.id for c in report.scorecard if c.holds is False]
    assert "zero_improves" in failing
    assert html.count("does not hold</span>") == len(failing)
    assert f"{len(failing)} do not, " in html
    assert "no two rl stages of one init" in html  # why a row was not measured


def test_the_documentation_lists_every_claim_in_its_own_words():
    page = (Path(__file__).parents[3] / "docs" / "scorecard.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{d.id}`: {d.title} | {d.source} | {d.how} |" for d in DEFINITIONS.values()]


@given(
    st.sampled_from(list(DEFINITIONS.values())),
    *[st.floats(-2, 2, allow_nan=False)] * 2,
)
def test_a_claim_holds_only_with_its_whole_interval_on_its_side(definition: Definition, one: float, two: float):
    low, high = min(one, two), max(one, two)
    claim = judged(definition, Change(0.5, 0.5, (low + high) / 2, low, high, 9, 5), "said")
    nothing = {"ratio": 1.0}.get(definition.effect, 0.0) - definition.margin
    sided = low > nothing if definition.direction == "up" else high < nothing
    assert claim.holds is sided
    assert (claim.ci_low, claim.ci_high, claim.n, claim.families) == (low, high, 9, 5)


def test_one_family_leaves_a_claim_open_and_says_why():
    definition = next(iter(DEFINITIONS.values()))
    claim = judged(definition, Change(0.1, 0.2, 0.1, math.nan, math.nan, 4, 1), "said")
    assert (claim.holds, claim.change) == (None, 0.1)
    assert claim.reason == "it has no interval: one family alone"


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_a_row_tells_what_how_and_who(definition):
    claim = judged(definition, Change(0.1, 0.4, 0.3, 0.2, 0.4, 1200, 5), "ten & four")
    html = scorecard_table([score_row(claim, definition), score_row(missing(definition, "no <stage>"), definition)])
    assert "Ten &amp; four." in html
    assert "no &lt;stage&gt;" in html
    assert definition.show(0.4) in html
    assert f"1,200 {definition.counted}" in html
    assert ("5 families" in html) is (definition.id != "grpo_saves_memory")
    assert scorecard_section([claim]).count("<tr") == 2
