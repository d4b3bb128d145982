"""The judge of a `sample` stage: asked about what rules cannot tell, here or behind an API; every ruling is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mull.core.errors import Stopped
from mull.core.said import Said
from mull.core.types import Message, Problem
from mull.engine.base import Request, Sampling
from mull.engine.crowd import Answer, Crowd, Question, as_record, said_of
from mull.engine.journal import Journal
from mull.engine.local import LocalEngine
from mull.engine.purse import Most, Prices, Purse, Usage, most_of
from mull.evaluation.judge import JUDGED, JudgeConfig, Ruling, name_of, prompt, ruling, shown
from mull.evaluation.sample import SampleConfig, to_judge
from mull.model.load import load_model
from mull.recipe.kind import Context, chat_of, check_room

Prompts = dict[str, Message]


def judged(
    context: Context, problems: Sequence[Problem], rows: Sequence[Mapping[str, Any]]
) -> tuple[dict[int, Ruling], dict[str, Any]]:
    """What the judge says, by the places of the rows it was asked about, and for the summary what it took."""
    config: SampleConfig = context.config
    judge = config.keep.judge
    if judge is None:
        return {}, {}
    names, prompts = _prompts(judge, problems, rows, to_judge(rows, config.keep))
    remote = judge.remote
    purse = Purse(remote.prices or Prices(), remote.budget) if remote else Purse()
    with Journal(context.stage.path / JUDGED, purse) as journal:
        took: dict[str, Any] = {}
        if remote:
            questions = [_question(judge, name, message) for name, message in prompts.items()]
            context.begin(len(questions), "ruling")
            crowd = Crowd(remote, journal, f"{context.stage.name}.keep.judge.remote", context.stop, context.report)
            crowd.ask(questions)
            took = crowd.summary(questions)
        else:
            _ask_here(context, judge, prompts, journal)
        rulings = {place: _ruling(journal, name) for place, name in names.items()}
    counts = Counter(str(found) for found in rulings.values())
    return rulings, {"judge": {"asked": len(rulings), "correct": counts["correct"], **took}}


def _prompts(
    judge: JudgeConfig, problems: Sequence[Problem], rows: Sequence[Mapping[str, Any]], places: Sequence[int]
) -> tuple[dict[int, str | None], Prompts]:
    """Place → the name of its ruling (None: there is nothing to show), and the prompt of each name."""
    names: dict[int, str | None] = {}
    prompts: Prompts = {}
    for place in places:
        problem, answer = problems[rows[place]["draw"]], shown(rows[place]["text"], judge)
        names[place] = None if answer is None else name_of(problem, answer)
        if answer is not None:
            prompts.setdefault(name_of(problem, answer), prompt(problem, answer))
    return names, prompts


def _ruling(journal: Journal, name: str | None) -> Ruling:
    if name is None:
        return Ruling.NO_ANSWER
    if name not in journal:
        return Ruling.FAILED
    said, finish = said_of(journal[name])
    return ruling(said.text, finish)


def _question(judge: JudgeConfig, name: str, message: Message) -> Question:
    remote = judge.remote
    assert remote is not None
    messages = [{"role": message.role, "content": message.content}]
    body = {"model": remote.model, "messages": messages, "max_tokens": judge.max_tokens}
    body |= {"temperature": judge.temperature, **remote.extra}
    body = {key: value for key, value in body.items() if key not in remote.omit}
    return Question(name, body, most_of(messages, judge.max_tokens))


def _ask_here(context: Context, judge: JudgeConfig, prompts: Prompts, journal: Journal) -> None:
    """Ask a model on this machine what is not ruled yet, as many at a time as it decodes side by side."""
    missing = [name for name in prompts if name not in journal]
    context.begin(len(prompts), "ruling")
    if not missing:
        return
    loaded = load_model(context.models["keep.judge.model"], judge.dtype)
    chat, engine = chat_of(loaded, judge.template), LocalEngine(loaded.model, slots=judge.slots)
    asked = [Problem("keep.judge", (prompts[name],), "open", {}) for name in missing]
    check_room(loaded.model, chat, asked, judge.max_tokens)
    sampling = Sampling(judge.max_tokens, judge.temperature)
    for start in range(0, len(missing), judge.slots):
        if context.stop():
            raise Stopped(f"stopped after {len(prompts) - len(missing) + start} of {len(prompts)} rulings")
        batch = missing[start : start + judge.slots]
        requests = [
            Request(name, chat.encode([prompts[name]]), sampling, 1, context.seed, chat.stop_ids) for name in batch
        ]
        for name, (completion,) in zip(batch, engine.generate(requests), strict=True):
            text, _ = chat.parse(completion.prompt_ids, completion.token_ids)
            opened = "<think>" if chat.prefilled else ""  # the template opened the thought, the text does not say so
            usage = Usage(len(completion.prompt_ids), len(completion.token_ids))
            most = Most(usage.prompt or 0, usage.completion or 0)
            record = as_record(Answer(Said(None, opened + text), completion.finish, usage))
            journal.sent(name, most)
            journal.answered(name, record, usage, most)
        context.report(len(prompts) - len(missing) + start + len(batch), {})
