"""What a person sees: few lines in a log, one live bar on a terminal, a time left that follows the last steps."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from mull.recipe.progress import Bars, Lines, Pace, duration, numbers

MEASURED = {"tasks": {"chain_mod": {"pass@1": {"mean": 0.5, "low": 0.4, "high": 0.6}}}}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_a_log_gets_a_line_now_and_then() -> None:
    clock, file = Clock(), io.StringIO()
    lines = Lines(file, every=10, clock=clock)
    lines.skipped("base")
    lines.begin("zero", 100, "step")
    for done in range(1, 101):
        clock.time += 4
        lines.update(done, {"reward": 0.25, "pass_rate": 0.5, "thinking_tokens": 71.6, "checks": 0.9, "loss": 1e-9})
    lines.finish("zero", {})
    lines.begin("after", 1, "chunk")
    lines.finish("after", MEASURED)
    said = file.getvalue().splitlines()
    assert said[:3] == [
        "base     done before",
        "zero     100 steps",
        "zero     step 3/100: reward 0.25, pass@1 0.50, thinking 72 tokens, checks 90%, 6 min 28 s left",
    ]
    assert len(said) == 3 + 100 // 3 - 1 + 1 + 1 + 1 + 2
    assert said[-5:] == [
        "zero     step 100/100: reward 0.25, pass@1 0.50, thinking 72 tokens, checks 90%",
        "zero     done in 6 min 40 s",
        "after    1 chunk",
        "after    chain_mod: pass@1 0.500 [0.400, 0.600]",
        "after    done in 0 s",
    ]


def test_the_time_left_follows_the_last_steps() -> None:
    clock = Clock()
    pace = Pace(clock, window=5)
    for done in range(50, 60):  # a resumed stage: what came before it cost nothing now
        pace.at(done)
        clock.time += 1
    assert pace.left(159) == "1 min 40 s"
    for done in range(60, 66):
        clock.time += 9
        pace.at(done)
    assert pace.left(165) == "15 min 0 s"
    assert pace.left(65) == ""
    fresh = Pace(clock)
    fresh.at(3)
    assert fresh.left(10) == ""


def test_a_terminal_gets_a_bar_and_keeps_what_is_done() -> None:
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, force_terminal=True, width=110, color_system=None)
    bars = Bars(console, clock)
    bars.begin("zero", 10, "step")
    for done in (1, 2):
        clock.time += 30
        bars.update(done, {"reward": 0.5, "pass_rate": 0.25})
    assert bars.bars is not None
    bars.bars.refresh()
    bars.note("a [bracket] stays")
    bars.finish("zero", MEASURED)
    bars.close()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert re.search(r"zero +.* 2/10 steps 4 min 0 s left: reward 0.50, pass@1 0.25", plain)
    assert "a [bracket] stays" in plain
    assert "zero     chain_mod: pass@1 0.500 [0.400, 0.600]" in plain
    assert plain.rstrip().endswith("zero     done in 1 min 0 s")


def test_nothing_breaks_before_a_stage_began() -> None:
    bars = Bars(Console(file=io.StringIO()))
    bars.update(1, {})
    bars.close()
    bars.skipped("base")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 0 s"), (75.2, "1 min 15 s"), (7325, "2 h 2 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_policys_loss_is_not_shown() -> None:
    assert numbers({"loss": 1.0}) == "loss 1.000"
    assert numbers({"loss": 1.0, "reward": 0.5}) == "reward 0.50"
