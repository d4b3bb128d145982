"""Problems asked of a remote teacher: each as many questions as it has samples, the answers as rollout rows.

    problem × sample ─► Question (a seed of its own) ─► crowd, journal ─► verdict on what follows the thought ─► rows

Teachers write no answer tags: the final answer is looked for in the reply, as `reward.format = "free"` does, whatever
the recipe says there. Well formed is a closed thought and a reply, without tags inside either and not cut off. No token
ids come back: those columns are empty, tokens are the server's own counts and null where it told none. Left out
on purpose: sending several samples in one question, which not every server can.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from mull.analysis.behaviours import checks
from mull.analysis.language import consistency
from mull.core.rows import Reading, rollout_rows
from mull.core.run import StageDir
from mull.core.thinking import Parts
from mull.core.types import Completion, FinishReason, Group, Problem, Scored, Span
from mull.engine.crowd import Question, said_of
from mull.engine.journal import Journal
from mull.engine.purse import Most, Prices, Purse, guess_of, most_of
from mull.engine.remote import RemoteConfig
from mull.evaluation.evaluate import AskingConfig
from mull.rewards.score import RewardConfig, score
from mull.tasks.world.words import lexicon

ANSWERS = "answers.jsonl"


def question(
    remote: RemoteConfig, messages: Sequence[dict[str, str]], settings: dict[str, Any], name: Sequence[Any]
) -> Question:
    """A question under the name of all that decides its answer: server, body, and `name`, which tells samples apart."""
    body = {"model": remote.model, "messages": list(messages), **settings, **remote.extra}
    body = {key: value for key, value in body.items() if key not in remote.omit}
    key = hashlib.sha256(json.dumps([remote.url, body, *name]).encode()).hexdigest()[:32]
    return Question(key, body, most_of(messages, settings["max_tokens"]))


def questions(problems: Sequence[Problem], remote: RemoteConfig, config: AskingConfig, seed: int) -> list[Question]:
    """All that is asked, problem by problem, `config.samples` each."""
    found = []
    for draw, problem in enumerate(problems):
        messages = [{"role": message.role, "content": message.content} for message in problem.messages]
        for sample in range(config.samples):
            settings = {
                "max_tokens": config.max_tokens, "temperature": config.temperature, "top_p": config.top_p,
                "seed": _seed(seed, draw, sample),
            }  # fmt: skip
            # Not of OpenAI's format, known to most servers of open models: sent only by who asks for them.
            settings |= {"top_k": config.top_k} if config.top_k else {}
            settings |= {"min_p": config.min_p} if config.min_p else {}
            found.append(question(remote, messages, settings, (draw, sample)))
    return found


def _seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big") >> 1


def write_rows(
    problems: Sequence[Problem], asked: Sequence[Question], journal: Journal, config: AskingConfig, stage: StageDir
) -> list[dict[str, Any]]:
    """Score what was answered, a file of rollouts a chunk; chunks on disk are not scored again. Gives all rows back."""
    done = set(stage.rollout_steps())
    numbers = range(-(-len(problems) // config.chunk))
    for number in numbers:
        if number in done:
            continue
        rows: list[dict[str, Any]] = []
        for draw in range(number * config.chunk, min((number + 1) * config.chunk, len(problems))):
            mine = asked[draw * config.samples : (draw + 1) * config.samples]
            records = {i: journal[each.key] for i, each in enumerate(mine) if each.key in journal}
            group = draw - number * config.chunk
            rows += [row | {"group": group} for row in _rows(number, draw, problems[draw], records, config)]
        stage.write_rollouts(number, rows)
    return [row for number in numbers for row in stage.read_rollouts(number)]


def _rows(
    step: int, draw: int, problem: Problem, records: dict[int, dict[str, Any]], config: AskingConfig
) -> list[dict[str, Any]]:
    reward = config.reward.model_copy(update={"format": "free"})
    read = {sample: _scored(problem, sample, record, reward) for sample, record in records.items()}

    def judge(problem: Problem, scored: Scored) -> Reading:
        _, parts = read[scored.completion.sample]
        thought = parts.thinking_text or ""
        share = consistency(thought, problem.language, lexicon(problem.task)).share
        return Reading(parts, checks(problem.task, problem.messages[-1].content, thought), share)

    group = Group(problem, tuple(scored for scored, _ in read.values()), draw)
    rows = rollout_rows(step, [group], judge, frozenset())
    counts = ("tokens", "thinking_tokens")
    return [row | {key: record[key] for key in counts} for row, record in zip(rows, records.values(), strict=True)]


def _scored(problem: Problem, sample: int, record: dict[str, Any], reward: RewardConfig) -> tuple[Scored, Parts]:
    """One answer with its verdict, and its parts."""
    said, finish = said_of(record)
    thought = None if said.thought is None else f"\n{said.thought}\n"
    span = None if thought is None else Span(0, 0)
    parts = Parts(span, None, said.closed, said.clean and finish is FinishReason.STOP, thought)
    completion = Completion((), (), (), finish, text=said.text, thinking=span, sample=sample)
    return score(problem, completion, parts, reward, limit=0), parts


def estimate(remote: RemoteConfig, problems: Sequence[Problem], config: AskingConfig) -> str:
    """What asking all of it takes at most, in one line; see `mull.engine.purse` for how it is reckoned."""
    each = [[{"role": m.role, "content": m.content} for m in problem.messages] for problem in problems]
    prompts, requests = sum(map(guess_of, each)) * config.samples, len(problems) * config.samples
    most = Most(prompts, requests * config.max_tokens)
    said = (
        f"{requests:,} requests to {remote.model} at {remote.url}: about {prompts:,} prompt tokens (one for every 4 "
        f"bytes), at most {most.completion:,} completion tokens"
    )
    return said + _money(remote, most)


def _money(remote: RemoteConfig, most: Most) -> str:
    if remote.prices is None:
        return "; no prices are set, so that costs are not counted"
    cost = Purse(remote.prices or Prices()).price(most)
    limit = f"; stops at the budget of {remote.budget:g}" if remote.budget is not None else ""
    return f"; costs at most about {cost:.4g}{limit}"


def forecast(purse: Purse, total: int) -> str:
    """What all of it will take if it goes on as it began."""
    if not purse.told or purse.completion is None:
        return f"{purse.answers} answers so far; the server does not tell how many tokens they have"
    mean = purse.completion / purse.told
    said = f"after {purse.answers} answers: {mean:,.0f} completion tokens each"
    if not (purse.prices.input or purse.prices.output):
        return said
    return f"{said}; all {total:,} requests will cost about {purse.spent / purse.answers * total:.4g}"
