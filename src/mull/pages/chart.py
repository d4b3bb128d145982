"""A line chart as SVG: steps along the bottom, one or more series, bands for intervals, marks for measurements.

Colours come from the page's style sheet by class, so that dark mode and print need nothing here; series differ by
dash and mark as well as by colour. Each chart names and describes itself for screen readers. Left out on purpose:
scripts, zooming, logarithmic axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mull.pages.markup import Markup, tag
from mull.pages.numbers import number

WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 38
MOST_POINTS = 240


@dataclass(frozen=True)
class Series:
    """One line. `low` and `high`, where given, are drawn as a band. nan leaves a gap.

    Example: `Series("reward", (0, 1, 2), (0.1, 0.2, 0.4))`
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Mark:
    """A single measurement with its interval, drawn as a dot with whiskers. `style` is "before" or "after".

    Example: `Mark("before", 0, 0.18, 0.15, 0.21, "before")`
    """

    name: str
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    style: str = "after"


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    marks: Sequence[Mark] = (),
    x_label: str = "RL step",
    y_format: Callable[[float], str] = number,
    y_range: tuple[float, float] | None = None,
    smooth: int = 1,
) -> Markup:
    """The chart as a `<figure>`. `y_range` fixes the axis (shares: 0 to 1), else it starts at 0 where all y >= 0.

    With `smooth` > 1 the values themselves are faint and their centred mean over that many steps is the line.
    """
    series = [_thinned(s, smooth) for s in series]
    xs = [x for s in series for x in s.x] + [m.x for m in marks]
    ys = [v for s in series for v in (*s.y, *(s.low or ()), *(s.high or ()))] + [
        v for m in marks for v in (m.y, m.low, m.high)
    ]
    ys = [v for v in ys if math.isfinite(v)]
    heading = tag("figcaption", title)
    if not xs or not ys:
        return tag("figure", heading, tag("p", "not recorded in this run", class_="muted"), class_="chart")
    frame = _Frame(min(xs), max(xs), *(y_range or _nice_range(ys)))
    drawn = [_axes(frame, x_label, y_format)]
    drawn += [part for index, s in enumerate(series) for part in _series(frame, s, index, smooth)]
    drawn += [_mark(frame, mark, y_format) for mark in marks]
    told = _describe(series, marks, x_label, y_format)
    svg = tag(
        "svg", tag("title", title), tag("desc", told), drawn,
        viewbox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{title}. {told}",
    )  # fmt: skip
    return tag("figure", heading, svg, _legend(series), class_="chart")


def multiples(charts: Sequence[Markup]) -> Markup:
    """Charts of equal size, as many beside each other as the page is wide."""
    return tag("div", list(charts), class_="multiples")


@dataclass(frozen=True)
class _Frame:
    """Data coordinates to drawing coordinates."""

    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        span = self.x1 - self.x0 or 1.0
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.x0) / span

    def y(self, value: float) -> float:
        span = self.y1 - self.y0 or 1.0
        inside = min(max(value, self.y0), self.y1)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (inside - self.y0) / span


TINY = 1e-200
"""A narrower range is none: its tenth power would be no float."""


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most about `most` round numbers (1, 2 or 5 times a power of ten apart) within [low, high]."""
    if not high - low > TINY:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 5) if m * power >= raw * 0.999), 10 * power)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _nice_range(ys: Sequence[float]) -> tuple[float, float]:
    low, high = min(ys), max(ys)
    low = 0.0 if low >= 0 else low * 1.05
    high = high * 1.08 if high > 0 else 0.0
    return (low, high) if high - low > TINY else (low - 0.5, low + 0.5)


def _thinned(s: Series, smooth: int) -> Series:
    """At most MOST_POINTS points: means of equal runs of steps, so that a long run does not make a heavy page."""
    stride = math.ceil(len(s.x) / MOST_POINTS)
    if stride <= 1:
        return s

    def mean(values: Sequence[float]) -> list[float]:
        return [_mean(values[i : i + stride]) for i in range(0, len(values), stride)]

    return Series(s.name, mean(s.x), mean(s.y), s.low and mean(s.low), s.high and mean(s.high))


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """The centred mean over `window` values, narrower at both ends, nan where all of them are."""
    half = window // 2
    return [_mean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def _path(frame: _Frame, xs: Sequence[float], ys: Sequence[float]) -> str:
    """An SVG path that lifts the pen where y is nan."""
    words, down = [], False
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            words.append(f"{'L' if down else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}")
            down = True
        else:
            down = False
    return "".join(words)


def _series(frame: _Frame, s: Series, index: int, smooth: int) -> list[Markup]:
    parts = []
    if s.low and s.high:
        known = [(x, a, b) for x, a, b in zip(s.x, s.low, s.high, strict=True) if math.isfinite(a) and math.isfinite(b)]
        if known:
            xs, low, high = zip(*known, strict=True)
            edge = _path(frame, [*xs, *reversed(xs)], [*high, *reversed(low)])
            parts.append(tag("path", d=edge + "Z", class_=f"band s{index}"))
    if smooth > 1 and len(s.x) > smooth:
        parts.append(tag("path", d=_path(frame, s.x, s.y), class_=f"raw s{index}"))
        parts.append(tag("path", d=_path(frame, s.x, smoothed(s.y, smooth)), class_=f"line s{index}"))
    else:
        parts.append(tag("path", d=_path(frame, s.x, s.y), class_=f"line s{index}"))
    return parts


def _mark(frame: _Frame, mark: Mark, y_format: Callable[[float], str]) -> Markup:
    if not math.isfinite(mark.y):
        return Markup("")
    x, parts = frame.x(mark.x), [tag("title", f"{mark.name}: {y_format(mark.y)}")]
    if math.isfinite(mark.low) and math.isfinite(mark.high):
        parts.append(tag("line", x1=x, x2=x, y1=frame.y(mark.low), y2=frame.y(mark.high)))
    parts.append(tag("circle", cx=x, cy=frame.y(mark.y), r=4.5))
    return tag("g", parts, class_=f"mark {mark.style}")


def _axes(frame: _Frame, x_label: str, y_format: Callable[[float], str]) -> Markup:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in ticks(frame.y0, frame.y1, 4):
        y = frame.y(value)
        parts.append(tag("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", y_format(value), x=LEFT - 7, y=y + 3.5, text_anchor="end"))
    for value in ticks(frame.x0, frame.x1, 5):
        parts.append(tag("text", number(value), x=frame.x(value), y=floor + 16, text_anchor="middle"))
    parts.append(tag("text", x_label, x=(LEFT + right) / 2, y=HEIGHT - 5, text_anchor="middle", class_="label"))
    return tag("g", parts, class_="axes", aria_hidden="true")


def _describe(series: Sequence[Series], marks: Sequence[Mark], x_label: str, y_format: Callable[[float], str]) -> str:
    told = []
    for s in series:
        known = [(x, y) for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
        if known:
            (x0, y0), (x1, y1) = known[0], known[-1]
            told.append(f"{s.name}: {y_format(y0)} at {x_label} {number(x0)}, {y_format(y1)} at {number(x1)}")
    told += [f"{m.name}: {y_format(m.y)}" for m in marks if math.isfinite(m.y)]
    return "; ".join(told)


def _legend(series: Sequence[Series]) -> Markup | None:
    if len(series) < 2:
        return None
    return tag("ul", [tag("li", s.name, class_=f"s{i}") for i, s in enumerate(series)], class_="legend")
