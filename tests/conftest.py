"""What many tests need: one thread, a random Llama so small that it costs nothing, a wall around programs."""

from __future__ import annotations

import signal

import pytest
import torch
from hypothesis import settings
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mull.core.errors import UserError
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.verify.sandbox import walls

torch.set_num_threads(1)
settings.register_profile("mull", deadline=None)  # a busy machine is no failure
settings.load_profile("mull")
WORDS = ("<pad>", "<bos>", "<eos>", *"0123456789", "+", "-", "=")


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Words: three control tokens, ten digits, `+`, `-` and `=`."""
    return word_tokenizer(WORDS, "<pad>", "<bos>", "<eos>")


@pytest.fixture
def tiny_model(tiny_tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Two layers of random weights that attend through mull; a fresh one for every test."""
    shape = TinyConfig(hidden=16, layers=2, heads=2, kv_heads=1, feed_forward=32)
    return small_model(shape, tiny_tokenizer, seed=0).eval()


@pytest.fixture(scope="session")
def sandbox() -> str:
    """The name of the wall that programs run behind here; without one the test is skipped, and says why."""
    try:
        return walls.current().name
    except UserError as error:
        pytest.skip(str(error))


# A shell that starts the tests in the background has Ctrl-C ignored, and children inherit that: tests that press it
# would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
