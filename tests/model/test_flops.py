"""Working parameters counted by hand from the shapes of a small Llama."""

from __future__ import annotations

import pytest

from mull.core.config import parse_config
from mull.model.flops import working_parameters
from mull.model.load import LoadedModel
from mull.model.scalar import scalar_of
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

TOKENIZER = word_tokenizer(vocabulary(), PAD, BOS, EOS)
HIDDEN, LAYERS, FORWARD = 16, 2, 24
SHAPE = parse_config(
    TinyConfig, {"hidden": HIDDEN, "layers": LAYERS, "heads": 2, "kv_heads": 1, "feed_forward": FORWARD}, "model"
)
ATTENTION = HIDDEN * HIDDEN * 2 + 2 * HIDDEN * (HIDDEN // 2)
"""q and o in full; k and v of one head of two"""
TRUNK = LAYERS * (ATTENTION + 3 * HIDDEN * FORWARD + 2 * HIDDEN) + HIDDEN


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_counts_once_and_a_look_up_never(tied: bool) -> None:
    model = small_model(SHAPE, TOKENIZER, 0)
    if not tied:
        model.lm_head.weight = type(model.lm_head.weight)(model.lm_head.weight.detach().clone())
    rows = model.get_input_embeddings().weight.shape[0]
    assert (model.lm_head.weight is model.get_input_embeddings().weight) is tied
    assert working_parameters(model) == TRUNK + rows * HIDDEN


def test_a_critic_has_a_score_in_place_of_the_head() -> None:
    model = small_model(SHAPE, TOKENIZER, 0)
    critic = scalar_of(LoadedModel(model, TOKENIZER, "-"))
    assert working_parameters(critic) == TRUNK + HIDDEN
