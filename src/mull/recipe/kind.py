"""What a kind of stage is, and what the kinds share: loading, checking, reading completions.

Left out on purpose: the kinds themselves (`stages`, `supervised`), order, fingerprints and resuming (`execute`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from mull.analysis.behaviours import checks
from mull.analysis.language import consistency
from mull.core.chat import R1_ZERO_TEMPLATE, Chat, chat_for
from mull.core.config import Config
from mull.core.errors import UserError
from mull.core.files import write_json
from mull.core.memory import Meter
from mull.core.rows import Judge, Reading
from mull.core.run import StageDir
from mull.core.types import Problem, Scored
from mull.model.load import LoadedModel, check_source
from mull.model.scalar import load_scalar
from mull.rewards.judge import RewardModel
from mull.rewards.score import RewardConfig
from mull.tasks.mixture import Mixture, load_mixture
from mull.tasks.world.words import GENERAL, lexicon

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
    memory: Meter = field(default_factory=Meter)
    note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class StageKind:
    """A kind of stage. `version` changes when its code would give other results: finished stages then run anew."""

    config: type[Config]
    execute: Callable[[Context], dict[str, Any]]
    check: Callable[[Any, str, frozenset[str]], None]
    makes: Literal["model", "score", "traces", "steps", ""]
    """What later stages can build on."""
    version: str = "1"
    reads: Literal["traces", "steps", "preferences"] = "traces"
    """What a stage that its `data` names must make."""
    lacks: Callable[[Any], list[str]] = lambda config: []
    """What the machine lacks for it, one line each: a run does not begin without it, `--dry-run` only says it."""
    costs: Callable[[Any], list[str]] = lambda config: []
    """What it will cost, one line each, for `--dry-run`."""


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


def chat_of(loaded: LoadedModel, template: str) -> Chat:
    return chat_for(loaded.tokenizer, getattr(loaded.model, "generation_config", None), _template(template))


def _template(name: str) -> str | None:
    return R1_ZERO_TEMPLATE if name == "r1-zero" else None


def check_room(model: Any, chat: Chat, problems: Sequence[Problem], max_tokens: int) -> None:
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


def reward_models(context: Context, config: RewardConfig) -> list[RewardModel]:
    """The reward models of a stage, loaded."""
    found = []
    for name, use in config.models.items():
        model, tokenizer = load_scalar(context.models[f"reward.models.{name}"])
        found.append(RewardModel(name, use, model, chat_for(tokenizer, template=_template(use.template))))
    return found


def check_reward(config: Any, where: str, inner: frozenset[str]) -> None:
    """Reward models from outside exist, and each has something to read and a time to count; raises UserError."""
    uses = config.reward.models
    problems = load_mixture(config.tasks).all
    domains = {problem.domain for problem in problems}
    steps = getattr(config, "steps", 1)
    for name, use in uses.items():
        with named(f"{where}.reward.models.{name}"):
            if f"reward.models.{name}" not in inner:
                load_scalar(use.model)
            if not domains & set(use.domains):
                raise UserError(
                    f"no task has a problem of domain {', '.join(use.domains)}; there are {', '.join(domains)}"
                )
            if use.from_step >= steps:
                raise UserError(f"from_step {use.from_step} never comes: there are {steps} steps, counted from 0")
            if use.shape == "raw" and hasattr(config, "algorithm"):
                raise UserError('shape = "raw" has no zero: ill form would earn more than a bad reply; use "sigmoid"')
    read = {domain for use in uses.values() for domain in use.domains}
    if hasattr(config, "algorithm") and GENERAL in {p.task for p in problems if p.domain not in read}:
        raise UserError(
            f"{where}.tasks: nothing reads {GENERAL}, whose verifier must not pay; name a model in reward.models"
        )


def check_nothing(config: Any, where: str, inner: frozenset[str]) -> None:
    """A stage that needs nothing from outside."""


@contextmanager
def named(where: str) -> Iterator[None]:
    """Put the key in front of what is wrong with its value."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def check_model_and_tasks(key: str) -> Callable[[Any, str, frozenset[str]], None]:
    def check(config: Any, where: str, inner: frozenset[str]) -> None:
        """Models and data exist and can be read; raises UserError otherwise."""
        with named(f"{where}.{key}"):
            if key not in inner:
                check_source(getattr(config, key))
        with named(f"{where}.tasks"):
            load_mixture(config.tasks)
        check_reward(config, where, inner)
        if getattr(config, "monitor", None):
            with named(f"{where}.monitor.tasks"):
                load_mixture(config.monitor.tasks)

    return check
