"""Thinking budgets: where a thought is ended, by a count of its own; resuming; what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.errors import Stopped, UserError
from mull.core.rows import Reading, rollout_rows
from mull.core.run import Run
from mull.core.thinking import Tags
from mull.core.types import Completion, Group, Problem, Scored
from mull.engine.base import Capabilities, Request, Sampling
from mull.engine.local import LocalEngine
from mull.evaluation.budget import budgeted
from mull.evaluation.evaluate import EvaluateConfig, ask, summary_by_budget
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.rewards.score import scorer
from mull.tasks.registry import load_task
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
CHAT = Chat(TOKENIZER)
IDS = TOKENIZER.get_vocab()
OPEN, CLOSE, ANSWER, END = (IDS[tag] for tag in ("<think>", "</think>", "<answer>", EOS))
MODEL = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), TOKENIZER, seed=0)
PROBLEMS = load_task("countdown_mod:dev?limit=3") + load_task("chain_mod:dev?limit=2")
SETTINGS: dict[str, Any] = {
    "kind": "evaluate", "model": "m", "tasks": ["countdown_mod:dev"], "samples": 4, "max_tokens": 24, "chunk": 2,
    "budgets": [0, 3, 8],
}  # fmt: skip
CONFIG = parse_config(EvaluateConfig, SETTINGS, "stages.scale")


class Keeping(LocalEngine):
    """The local engine, keeping every completion."""

    def __init__(self) -> None:
        super().__init__(MODEL, slots=8)
        self.made: list[Completion] = []

    def generate(self, requests: Sequence[Request]) -> list[tuple[Completion, ...]]:
        found = super().generate(requests)
        self.made += [completion for group in found for completion in group]
        return found


def rows(step: int, groups: Sequence[Group]) -> list[dict[str, Any]]:
    def judge(problem: Problem, scored: Scored) -> Reading:
        return Reading(CHAT.parse(scored.completion.prompt_ids, scored.completion.token_ids)[1], False)

    return rollout_rows(step, groups, judge, frozenset())


def run(path: Path, engine: LocalEngine, stop: Any = lambda: False) -> list[dict[str, Any]]:
    score = scorer(CHAT, CONFIG.reward, CONFIG.max_tokens)
    stage = Run(path).stage("scale")
    return ask(engine, CHAT, PROBLEMS, score, CONFIG, 3, stage, rows, stop, budgets=CONFIG.budgets)


def thought(ids: Sequence[int]) -> tuple[int, bool]:
    """Tokens between the first opening tag and what closes it (or the end), and whether it was closed: by index."""
    start = ids.index(OPEN) + 1
    rest = list(ids[start:])
    return (rest.index(CLOSE), True) if CLOSE in rest else (len(rest), False)


def test_thoughts_end_at_their_budget_and_forced_tokens_are_counted(tmp_path: Path) -> None:
    engine = Keeping()
    found = run(tmp_path, engine)
    assert [row["budget"] for row in found] == [b for b in (0, 3, 8) for _ in range(len(PROBLEMS) * 4)]
    cut = 0
    for row, made in zip(found, engine.made, strict=True):
        ids, budget = list(made.token_ids), row["budget"]
        assert ids == row["token_ids"]
        if budget == 0:
            assert ids[:2] == [OPEN, CLOSE] and made.forced == {0, 1} and thought(ids) == (0, True)
            continue
        if OPEN not in ids or (made.forced == frozenset() and ANSWER in ids[: ids.index(OPEN)]):
            assert not made.forced  # no thought, nothing to end
            continue
        length, closed = thought(ids)
        if made.forced:
            assert (length, closed) == (budget, True) and made.forced == {ids.index(OPEN) + 1 + budget}
            cut += 1
        else:
            assert length <= budget
    assert cut > 5


def test_a_larger_budget_goes_on_where_a_smaller_one_ended(tmp_path: Path) -> None:
    """One stream of random numbers a sample: the forced tag is the first difference."""
    found = run(tmp_path, Keeping())
    by = {(row["budget"], row["problem_id"], row["sample"]): row["token_ids"] for row in found}
    compared = 0
    for (budget, problem, sample), ids in by.items():
        if budget == 3 and OPEN in ids:
            upto = ids.index(OPEN) + 4
            assert by[8, problem, sample][:upto] == ids[:upto]
            compared += 1
    assert compared > 5


def test_resumed_it_asks_nothing_twice_and_gives_the_same(tmp_path: Path) -> None:
    whole, first, second = Keeping(), Keeping(), Keeping()
    expected = run(tmp_path / "whole", whole)
    answers = iter([False] * 4 + [True])  # in the middle of the second budget: 3 chunks a budget
    with pytest.raises(Stopped, match="after 4 of 9 chunks"):
        run(tmp_path / "cut", first, lambda: next(answers))
    assert run(tmp_path / "cut", second) == expected
    assert first.made + second.made == whole.made
    found = summary_by_budget(expected, 4)
    assert list(found) == ["0", "3", "8"]
    assert found["0"]["countdown_mod"]["thinking_tokens"]["mean"] <= 1  # the closing tag's own space
    right = [row["verdict"] == "correct" for row in expected if row["budget"] == 8 and row["task"] == "chain_mod"]
    assert found["8"]["chain_mod"]["pass@1"]["mean"] == pytest.approx(sum(right) / len(right))


@pytest.mark.parametrize(
    ("budgets", "said"), [([24], "below max_tokens = 24"), ([-1], "at least 0"), ([4, 4], "named once")]
)
def test_budgets_that_leave_no_room_are_refused(budgets: list[int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_config(EvaluateConfig, {**SETTINGS, "budgets": budgets}, "stages.scale")


class Spelled:
    """What a controller needs of a chat, for a tokenizer of single characters: tags take many tokens."""

    def __init__(self, prefilled: bool) -> None:
        self.tags, self.prefilled = Tags(answer_open=None), prefilled

    def tag_ids(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def decode_pieces(self, ids: Sequence[int]) -> list[str]:
        return [chr(i) for i in ids]


@given(st.text("</thinkab ", max_size=40), st.integers(0, 12), st.booleans())
def test_a_spelled_out_tag_is_never_later_than_the_budget(said: str, budget: int, prefilled: bool) -> None:
    """The model would say `said`; the controller writes over it from the moment a tag is due."""
    controller = budgeted(Spelled(prefilled), budget)(0)  # type: ignore[arg-type]
    wanted, ids = iter("<think>" + said if not prefilled else said), []
    while (forced := controller.next(ids)) is not None or (char := next(wanted, None)) is not None:
        ids.append(ord(char) if forced is None else forced)
    text = "".join(map(chr, ids))
    inside = text if prefilled else text.partition("<think>")[2]
    before, tag, _ = inside.partition("</think>")
    assert len(before) <= budget or not tag
    if len(said) > budget + len("</think>"):
        assert tag and len(before) <= budget
    if budget == 0:
        assert before == ""


def test_a_closing_tag_that_the_model_began_is_completed() -> None:
    controller = budgeted(Spelled(True), 6)(0)  # type: ignore[arg-type]
    ids = list(map(ord, "abcd</"))
    for _ in range(6):
        ids.append(controller.next(ids) or 0)
    assert "".join(map(chr, ids)) == "abcd</think>"
    assert controller.next(ids) is None


def test_the_free_run_has_no_budget(tmp_path: Path) -> None:
    score = scorer(CHAT, CONFIG.reward, CONFIG.max_tokens)
    found = ask(Keeping(), CHAT, PROBLEMS, score, CONFIG, 3, Run(tmp_path).stage("free"), rows)
    assert {row["budget"] for row in found} == {None}
    assert len(found) == len(PROBLEMS) * 4
    plain = LocalEngine(MODEL).generate([
        Request(f"{p.id}#{i}", CHAT.encode(p.messages), Sampling(24), 4, 3, CHAT.stop_ids)
        for i, p in enumerate(PROBLEMS)
    ])  # fmt: skip
    assert [row["token_ids"] for row in found] == [list(c.token_ids) for group in plain for c in group]


def test_an_engine_that_cannot_force_tokens_is_refused_at_once(tmp_path: Path) -> None:
    class Free(Keeping):
        capabilities = Capabilities(logprobs=True)

    with pytest.raises(UserError, match="cannot force tokens"):
        run(tmp_path, Free())
    assert not list(tmp_path.rglob("*.parquet"))
