"""What each kind of stage is: its configuration, what is checked before a run, and how it is executed.

Here the parts meet: models are loaded, learner and engine paired, tasks opened, and handed to the stage's own spine.
Left out on purpose: order, fingerprints and resuming (`execute`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mull.analysis.behaviours import checks
from mull.analysis.language import consistency
from mull.backend.local import make_pair
from mull.core.chat import R1_ZERO_TEMPLATE, Chat, chat_for
from mull.core.config import Config
from mull.core.errors import UserError
from mull.core.files import write_json
from mull.core.rows import Judge, Reading, rollout_rows
from mull.core.run import StageDir
from mull.core.types import Problem, Scored
from mull.engine.local import LocalEngine
from mull.evaluation.evaluate import EvaluateConfig, evaluate
from mull.model.load import LoadedModel, check_source, load_model, save_model
from mull.model.lora import merge_lora
from mull.rewards.score import scorer
from mull.tasks.mixture import Mixture, load_mixture
from mull.tasks.world.words import lexicon
from mull.train.loop import Loop
from mull.train.pretrain import PretrainConfig, blank_model, pretrain
from mull.train.rl import RLConfig, train_rl

Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Context:
    """What a stage is given. `models` maps its reference keys (init, model) to what to load.

    Example: `KINDS["rl"].execute(Context(stage_dir, config, {"init": "runs/a/stages/base/model"}, seed=0))`
    """

    stage: StageDir
    config: Any
    models: dict[str, str]
    seed: int
    stop: Callable[[], bool] = lambda: False
    begin: Callable[[int, str], None] = lambda total, unit: None
    report: Report = lambda done, metrics: None


@dataclass(frozen=True)
class StageKind:
    """A kind of stage. `version` changes when its code would give other results: finished stages then run anew."""

    config: type[Config]
    execute: Callable[[Context], dict[str, Any]]
    check: Callable[[Any, str, frozenset[str]], None]
    makes_model: bool
    version: str = "1"


def run_pretrain(context: Context) -> dict[str, Any]:
    """Make a base model."""
    config: PretrainConfig = context.config
    model, tokenizer = blank_model(config.model, context.seed)
    loop = Loop(context.stage, config, context.stop, context.report)
    result = pretrain(model, config, context.seed, loop, lambda total: context.begin(total, "step"))
    save_model(model, tokenizer, context.stage.model)
    return result


def run_rl(context: Context) -> dict[str, Any]:
    """Reinforcement learning on verdicts."""
    config: RLConfig = context.config
    mixture = load_mixture(config.tasks)
    report_dropped(context, mixture)
    loaded = load_model(context.models["init"], config.dtype)
    chat = _chat(loaded, config.template)
    learner, engine = make_pair(loaded, config, context.seed)
    _check_room(loaded.model, chat, mixture.all, config.sampling.max_tokens)
    context.begin(config.steps, "step")
    metrics = train_rl(
        engine,
        learner,
        chat,
        mixture.iterator(context.seed, retire_at=config.retire_at),
        scorer(chat, config.reward, config.sampling.max_tokens),
        config,
        context.seed,
        Loop(context.stage, config, context.stop, context.report),
        lambda step, groups, trained: rollout_rows(step, groups, judge(chat), trained),
    )
    merge_lora(loaded.model)
    save_model(loaded.model, loaded.tokenizer, context.stage.model)
    return {k: v for k, v in metrics.items() if math.isfinite(v)}


def run_evaluate(context: Context) -> dict[str, Any]:
    """Measure a model."""
    config: EvaluateConfig = context.config
    mixture = load_mixture(config.tasks)
    report_dropped(context, mixture)
    problems = mixture.all
    loaded = load_model(context.models["model"], config.dtype)
    chat = _chat(loaded, config.template)
    _check_room(loaded.model, chat, problems, config.max_tokens)
    context.begin(math.ceil(len(problems) / config.chunk), "chunk")
    return evaluate(
        LocalEngine(loaded.model, slots=config.slots),
        chat,
        problems,
        scorer(chat, config.reward, config.max_tokens),
        config,
        context.seed,
        context.stage,
        lambda step, groups: rollout_rows(step, groups, judge(chat), frozenset()),
        context.stop,
        context.report,
    )


def report_dropped(context: Context, mixture: Mixture) -> None:
    """`decontamination.json` beside the stage's other files: what was left out of each source, and why."""
    if mixture.contamination:
        found = {source: report.as_dict() for source, report in mixture.contamination.items()}
        write_json(context.stage.path / "decontamination.json", found)


def judge(chat: Chat) -> Judge:
    """What a completion's text shows, for the rollout table."""

    def run(problem: Problem, scored: Scored) -> Reading:
        _, parts = chat.parse(scored.completion.prompt_ids, scored.completion.token_ids)
        thought = parts.thinking_text or ""
        share = consistency(thought, problem.language, lexicon(problem.task)).share
        return Reading(parts, checks(problem.task, problem.messages[-1].content, thought), share)

    return run


def _chat(loaded: LoadedModel, template: str) -> Chat:
    chosen = R1_ZERO_TEMPLATE if template == "r1-zero" else None
    return chat_for(loaded.tokenizer, getattr(loaded.model, "generation_config", None), chosen)


def _check_room(model: Any, chat: Chat, problems: Sequence[Problem], max_tokens: int) -> None:
    """Raises UserError when a prompt and its completion do not fit the model."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None:
        return
    for problem in problems:
        length = len(chat.encode(problem.messages))
        if length + max_tokens > limit:
            raise UserError(
                f"{problem.id}: its prompt has {length} tokens; with max_tokens = {max_tokens} that exceeds "
                f"the model's {limit} positions; lower max_tokens or leave long problems out"
            )


def _check_nothing(config: Any, where: str, inner: frozenset[str]) -> None:
    """A stage that needs nothing from outside."""


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Put the key in front of what is wrong with its value."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _check_model_and_tasks(key: str) -> Callable[[Any, str, frozenset[str]], None]:
    def check(config: Any, where: str, inner: frozenset[str]) -> None:
        """Models and data exist and can be read; raises UserError otherwise."""
        with _named(f"{where}.{key}"):
            if key not in inner:
                check_source(getattr(config, key))
        with _named(f"{where}.tasks"):
            load_mixture(config.tasks)

    return check


KINDS: dict[str, StageKind] = {
    "pretrain": StageKind(PretrainConfig, run_pretrain, _check_nothing, makes_model=True),
    "rl": StageKind(RLConfig, run_rl, _check_model_and_tasks("init"), makes_model=True),
    "evaluate": StageKind(EvaluateConfig, run_evaluate, _check_model_and_tasks("model"), makes_model=False),
}
