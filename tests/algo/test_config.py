"""Presets, and what overrides them."""

from __future__ import annotations

import pytest

from mull.algo.config import AlgorithmConfig
from mull.core.config import Config, parse_config
from mull.core.errors import UserError


class Stage(Config):
    algorithm: AlgorithmConfig = AlgorithmConfig()


def test_a_bare_name_is_its_preset() -> None:
    stage = parse_config(Stage, {"algorithm": "dapo"}, "stages.zero")
    assert stage.algorithm == AlgorithmConfig(name="dapo", advantage="group_std", aggregation="token", clip_high=0.28)


def test_a_written_key_beats_the_preset_and_the_rest_stays() -> None:
    config = parse_config(Stage, {"algorithm": {"name": "dr_grpo", "aggregation": "token"}}, "s").algorithm
    assert (config.advantage, config.aggregation, config.clip_high) == ("group_mean", "token", 0.2)


def test_the_sampling_limit_fills_an_open_constant_only() -> None:
    assert AlgorithmConfig(name="dr_grpo").with_token_limit(64).constant_tokens == 64
    assert AlgorithmConfig(constant_tokens=9).with_token_limit(64).constant_tokens == 9


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("grppo", "stages.zero.algorithm.name: .*'dr_grpo'"),
        ({"kl": 0.1}, "unknown key"),
        ({"clip_hihg": 0.1}, "did you mean 'clip_high'"),
        ({"kl_coefficient": -1.0}, "greater than or equal to 0"),
        ({"aggregation": "mean"}, "algorithm.aggregation"),
        ({"kl_in": "reward"}, 'kl_estimator = "k1"'),
        ({"name": "rloo", "kl_estimator": "k3"}, "k3 has another gradient"),
        ({"name": "gspo", "dual_clip": 3.0}, "dual_clip belongs to"),
        ({"reference_every": 4}, "needs kl_coefficient"),
        ({"minibatches": 10**9}, "minibatches.*1024"),
        ({"dual_clip": 1.1}, "above 1 \\+ clip_high, which is 1.2"),
        ({"importance_cap": 1.0}, "importance_cap.*greater than 1"),
        (3, "stages.zero.algorithm"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(table: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(Stage, {"algorithm": table}, "stages.zero")
