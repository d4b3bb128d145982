"""The report's page and command on a run made by hand: what it says, and that it is one safe, whole file."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from mull.cli.report import register
from mull.core.errors import UserError
from mull.recipe.chains import chosen, typical
from mull.recipe.claims import DEFINITIONS
from mull.recipe.report import read_report, report_html, write_report

EVIL = "<think> <script>alert(1)</script> & \x00 </think> <answer> \"'><img src=x onerror=alert(2)> </answer>"


class Balance(HTMLParser):
    """Fails on a tag that is closed without being open; collects text and tags."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "hr", "img", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


@pytest.fixture
def app():
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)  # with a second command the first keeps its name
    return app


@pytest.fixture
def page(world_run):
    return report_html(read_report(world_run))


def test_the_page_tells_what_happened(page):
    said = " ".join(" ".join(Balance(page).text).split())
    assert re.search(r"From \d+% to \d+% right", said)
    for words in ("after 64 steps of reinforcement learning", "A majority vote beats a single try", "Thinking tokens",
                  "Entropy of the next token", "Cut off at the token limit",
                  "once each, with two of +, − and ×, to make",
                  "checks:", "How it was made", "torch 2.13.0", "2 cores", "no problem here is of that split",
                  "another seed gives another model", "chain_mod, level 2"):  # fmt: skip
        assert words in said
    assert page.count("holds</p>") == 5
    # Each once more on the scorecard, and the base's attempts that thought are less often right than the trained ones.
    assert said.count("✓ holds") == 2 * 5 + 1


def test_the_page_is_one_small_file_that_loads_nothing(page):
    assert len(page.encode()) < 300_000
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page
    parsed = Balance(page)
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in parsed.tags}
    assert not any(key in ("src", "href") or key.startswith("on") for _, attrs in parsed.tags for key in attrs)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_every_chart_is_whole_and_says_what_it_shows(page):
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 11
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root.find("title") is not None
    labels = " ".join(ElementTree.fromstring(c).get("aria-label") for c in charts)
    assert re.search(
        r"Right answers \(pass@1\)\. practice: \d+% at RL step 1, \d+% at 64; before: \d+%; after: \d+%", labels
    )


def test_the_problems_are_chosen_by_rule(world_run):
    (pair,) = read_report(world_run).pairs
    problems = chosen(pair)
    assert len({after.problem for _, after in problems}) == 3
    assert {after.task for _, after in problems} == {"chain_mod", "countdown_mod"}
    gains = [after.pass_at(1) - before.pass_at(1) for before, after in problems if after.task == "chain_mod"]
    assert gains[0] > gains[1]
    for side in (side for sides in problems for side in sides):
        assert typical(side).correct is (side.pass_at(1) >= 0.5)


def test_what_a_model_wrote_stays_text(tmp_path, make_run, make_row):
    rows = [
        make_row(f"p{f}", s, s < 2, family=f"f{f}", task="<b>own</b>", text=EVIL, prompt="<i>how?</i>")
        for f in range(4)
        for s in range(4)
    ]
    html = report_html(read_report(make_run(tmp_path / "run", rows, rows)))
    parsed = Balance(html)
    assert not {"script", "img", "b", "i"} & {tag for tag, _ in parsed.tags}
    assert "\x00" not in html
    said = "".join(parsed.text)
    assert "<script>alert(1)</script> & \ufffd" in said
    assert "<i>how?</i>" in said


def test_no_change_and_harm_are_said_in_the_headline(tmp_path, make_run, make_row):
    def rows(right):
        return [make_row(f"p{f}", s, s < right, family=f"f{f}") for f in range(9) for s in range(4)]

    same = report_html(read_report(make_run(tmp_path / "a", rows(2), rows(2))))
    assert "No clear change: 50% right before, 50% after" in same
    assert "did not clearly grow" in same
    worse = report_html(read_report(make_run(tmp_path / "b", rows(3), rows(1))))
    assert "It got worse: from 75% to 25% right" in worse


def test_a_run_that_measured_nothing_still_has_a_page(tmp_path, make_stage):
    make_stage(tmp_path, "zero", "rl", {"init": "base"}, metrics=[{"step": 1, "reward": float("nan")}])
    html = report_html(read_report(tmp_path))
    assert html.count("not measured</p>") == 5
    assert html.count("not measured</span>") == len(DEFINITIONS)
    assert "not recorded in this run" in html
    (tmp_path / "pre").mkdir()
    make_stage(tmp_path / "pre", "base", "pretrain", {})
    assert "no reinforcement learning" in report_html(read_report(tmp_path / "pre"))


def test_two_rl_stages_are_told_apart(world_run, make_stage):
    make_stage(world_run, "again", "rl", {"init": "zero"}, metrics=[{"step": 1, "reward": 0.5}], start=12)
    report = read_report(world_run)
    assert [c.stage for c in report.stages] == ["zero"] * 5 + ["again"] * 5
    assert [c.stage for c in report.scorecard[:5]] == ["zero"] * 5
    html = report_html(report)
    assert re.search(r"<h1>From \d+% to", html)
    assert "Stage again" in html


def test_json_is_one_document_and_writes_nothing(world_run, app):
    result = CliRunner().invoke(app, ["report", str(world_run), "--json"])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    ids = ["zero_improves", "thinking_grows", "checking_grows", "majority_helps", "pass_at_k_limit"]
    assert [claim["id"] for claim in document["claims"]] == [*ids, *list(DEFINITIONS)[5:]]
    for claim in document["claims"]:
        assert {"holds", "n", "families", "ci_low", "ci_high", "reason"} <= claim.keys()
        assert claim["holds"] is not None or claim["reason"]
    assert document["run"]["seed"] == 0
    assert document["seconds"]["zero"] == 150.0
    assert not (world_run / "report.html").exists()


def test_the_command_writes_the_page_and_prints_the_claims(world_run, app):
    result = CliRunner().invoke(app, ["report", str(world_run)])
    assert result.exit_code == 0
    page = world_run / "report.html"
    assert result.stdout.rstrip().endswith(str(page))
    assert "Reinforcement learning alone" in result.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert page.read_text(encoding="utf-8") == report_html(read_report(world_run))
    assert not list(world_run.glob(".*.part"))


def test_the_command_passes_a_mistake_on(tmp_path, app):
    result = CliRunner().invoke(app, ["report", str(tmp_path / "nowhere")])
    assert isinstance(result.exception, UserError)


def test_writing_again_replaces_the_page(world_run):
    (world_run / "report.html").write_text("old")
    assert "old" not in write_report(read_report(world_run)).read_text(encoding="utf-8")[:3]
