"""Numbers as people read them: shares as percentages, differences with a sign, durations in words.

A true minus sign, a dash for what is missing, and never more digits than the number of samples supports.
"""

from __future__ import annotations

import math

MISSING = "–"


def finite(value: float | None) -> bool:
    """Whether there is a number at all (neither None nor nan nor infinite)."""
    return value is not None and math.isfinite(value)


def share(value: float | None, digits: int = 0) -> str:
    """0.813 as `81%`."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{100 * value:.{digits}f}%".replace("-", "−")


def number(value: float | None) -> str:
    """Three significant digits, thousands apart: `0.0312`, `24.6`, `1,320`."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 8)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def points(value: float | None, digits: int = 1) -> str:
    """A difference of two shares in percentage points with its sign: 0.634 as `+63.4`."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{100 * value:+.{digits}f}".replace("-", "−")


def times(value: float | None) -> str:
    """A ratio: 3.2 as `3.20×`."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.2f}×"


def size(value: float | None) -> str:
    """Bytes in decimal units, three significant digits: `812 MB`, `1.3 GB`."""
    if value is None or not math.isfinite(value):
        return MISSING
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= 0.9995 * factor:
            return f"{number(value / factor)} {unit}"
    return f"{number(value)} B"


def duration(seconds: float | None) -> str:
    """`8.2 s`, `6 min 05 s`, `2 h 14 min`."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
