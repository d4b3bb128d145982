"""Components: nothing escapes the escaping, charts put points where the numbers are, text cut at its tags."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mull.pages.chain import ChainLine, ChainView, chain, raw_lines
from mull.pages.chart import Mark, Series, line_chart, smoothed, ticks
from mull.pages.claim import ClaimCard, claim_card
from mull.pages.markup import Markup, join, page, tag
from mull.pages.numbers import duration, number, points, share, times
from mull.pages.table import facts, table

FLOATS = st.one_of(st.floats(-1e6, 1e6), st.just(math.nan))


@given(st.text(), st.text())
def test_any_text_survives_as_text(child, attribute):
    root = ElementTree.fromstring(tag("p", child, title=attribute))
    clean = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
    assert len(root) == 0
    assert (root.text or "").replace("\r", "\n") == clean.sub("\ufffd", child).replace("\r\n", "\n").replace("\r", "\n")
    assert root.keys() == ["title"]


def test_markup_is_kept_and_attributes_are_named_as_html_has_them():
    built = tag("a", Markup("<b>x</b>"), ["y<", None, 3], class_="k", aria_label="<", hidden=True, id=None, x=1.50)
    assert built == '<a class="k" aria-label="&lt;" hidden x="1.5"><b>x</b>y&lt;3</a>'
    assert tag("br") == "<br>"
    assert join("<", Markup("<")) == "&lt;<"


def test_a_page_forbids_itself_to_load_anything():
    html = page("a < b", tag("p", "hello"))
    assert "<title>a &lt; b</title>" in html
    assert "default-src &#x27;none&#x27;" in html


@example(points_=[(0.0, 5e-324)], smooth=1)
@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=40), st.integers(1, 9))
def test_a_chart_of_any_numbers_is_valid_and_inside_its_box(points_, smooth):
    xs, ys = [x for x, _ in points_], [y for _, y in points_]
    xs = sorted(x for x in xs if math.isfinite(x))
    html = line_chart("t", [Series("s", xs, ys[: len(xs)])], smooth=smooth)
    assert "nan" not in html.split("<svg")[-1]
    for svg in re.findall(r"<svg.*</svg>", html):
        root = ElementTree.fromstring(svg)
        for path in root.iter("path"):
            for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d")):
                assert 0 <= float(x) <= 340
                assert 0 <= float(y) <= 210


def test_points_stand_where_the_numbers_are():
    """Equal steps in the data are equal steps on the page, upwards; a gap lifts the pen."""
    html = line_chart("t", [Series("s", [0, 1, 2, 3], [0.0, 0.5, math.nan, 1.0])], y_range=(0, 1))
    path = re.search(r'd="([^"]*)" class="line s0"', html).group(1)
    (x0, y0), (x1, y1), (x3, y3) = [tuple(map(float, p)) for p in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert path.count("M") == 2
    assert x3 - x0 == pytest.approx(3 * (x1 - x0), abs=0.2)
    assert y0 - y3 == pytest.approx(2 * (y0 - y1), abs=0.2)
    assert y3 < y1 < y0


def test_bands_marks_and_legend():
    series = [Series("a", [0, 1], [1, 2], [0.5, 1.5], [1.5, 2.5]), Series("b", [0, 1], [2, 1])]
    html = line_chart("t", series, marks=[Mark("before", 0, 1.0, 0.8, 1.2, "before"), Mark("gone", 1, math.nan)])
    assert html.count('class="band s0"') == 1
    assert 'class="mark before"' in html
    assert "gone" not in html
    assert '<ul class="legend">' in html


def test_a_long_run_is_thinned_without_moving_its_mean():
    values = [math.sin(i / 50) + 2 for i in range(5000)]
    html = line_chart("t", [Series("s", range(5000), values)], y_range=(0, 4))
    path = re.search(r'd="([^"]*)" class="line', html).group(1)
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
    assert len(heights) <= 240
    whole = 172 - (172 - 12) * (sum(values) / 5000) / 4
    assert sum(heights) / len(heights) == pytest.approx(whole, abs=0.6)


def test_nothing_to_draw_is_said():
    assert "not recorded" in line_chart("t", [Series("s", [1, 2], [math.nan, math.nan])])
    assert "not recorded" in line_chart("t", [])


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_inside(low, span):
    found = ticks(low, low + span)
    assert len(found) <= 7
    assert all(low - 1e-6 * span - 1e-9 <= t <= low + span * (1 + 1e-6) + 1e-9 for t in found)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(1, 9))
def test_smoothing_stays_between_the_extremes(values, window):
    assert len(smoothed(values, window)) == len(values)
    assert all(min(values) - 1e-9 <= v <= max(values) + 1e-9 for v in smoothed(values, window))


def test_a_card_says_its_verdict_in_words_and_draws_the_interval():
    card = ClaimCard("id", "S", True, 0.2, 0.8, 0.7, 0.9, 1.0, "before", "after", "note")
    html = claim_card(card, share)
    assert "holds" in html
    bar = ElementTree.fromstring(re.search(r"<svg.*</svg>", html).group(0))
    interval = bar.find("rect")
    dots = [float(c.get("cx")) for c in bar.iter("circle")]
    left, right = float(interval.get("x")), float(interval.get("x")) + float(interval.get("width"))
    assert dots[0] < left < dots[1] < right
    assert "does not hold" in claim_card(ClaimCard("i", "S", False, 0.2, 0.2, None, None, 1, "b", "a", "n"), share)
    assert "not measured" in claim_card(ClaimCard("i", "S", None, None, None, None, None, 1, "b", "a", "n"), share)


def test_raw_text_is_cut_at_its_tags():
    text = "<think> first\n\nsecond </think> <answer> 42 </answer>"
    assert raw_lines(text) == (ChainLine("first", "step"), ChainLine("second", "step"), ChainLine("42", "answer"))
    assert raw_lines("one two </think> so 7") == (ChainLine("one two", "step"), ChainLine("so 7", "answer"))
    assert raw_lines("<think> never ends")[-1] == ChainLine("ends without an answer", "broken")
    assert raw_lines("") == (ChainLine("ends without an answer", "broken"),)


@given(st.text(alphabet="ab<>/ \nthinkaswer", max_size=80))
def test_any_raw_text_can_be_shown(text):
    view = ChainView("t", "before", "wrong", False, "d", raw_lines(text), text)
    ElementTree.fromstring(chain(view))


def test_long_chains_show_both_ends():
    lines = tuple(ChainLine(f"line {i}.", "step") for i in range(500))
    html = chain(ChainView("t", "after", "right", True, "d", lines, "x" * 10_000))
    assert "460 lines left out" in html
    assert "line 0." in html
    assert "line 499." in html
    assert len(html) < 20_000


def test_a_try_its_check_and_verdict_are_one_item():
    lines = tuple(
        ChainLine(k, k) for k in ("try", "check", "verdict", "try", "verdict", "step", "check", "verdict", "answer")
    )
    html = chain(ChainView("t", "after", "right", True, "d", lines, ""))
    assert re.findall(r'<li class="(\w+)"', html) == ["try", "try", "step", "check", "answer"]


def test_tables_head_their_rows_and_refuse_crooked_ones():
    html = table(["task", "n"], [["a<b", "3"]], caption="c")
    assert '<th scope="row">a&lt;b</th><td class="num">3</td>' in html
    assert facts([("a", "b")]) == '<dl class="facts"><div><dt>a</dt><dd>b</dd></div></dl>'
    with pytest.raises(ValueError, match="needs 2 cells"):
        table(["a", "b"], [["1"]], caption="c")


def test_numbers_read_as_people_write_them():
    assert [share(0.813), share(0.8134, 1), share(None), share(-0.02)] == ["81%", "81.3%", "–", "−2%"]
    assert [number(v) for v in (0, 24.61, 0.03124, 1320.4, -3.0, math.nan)] == [
        "0",
        "24.6",
        "0.0312",
        "1,320",
        "−3",
        "–",
    ]
    assert [number(v) for v in (100.0, 99.96, 9.999)] == ["100", "100", "10"]
    assert [points(0.634), points(-0.01), times(3.2)] == ["+63.4", "−1.0", "3.20×"]
    assert [duration(v) for v in (8.24, 59.97, 365, 8040, None)] == [
        "8.2 s",
        "1 min 00 s",
        "6 min 05 s",
        "2 h 14 min",
        "–",
    ]
