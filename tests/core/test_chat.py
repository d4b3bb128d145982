"""Prompts and pieces with two real tokenizers: the embedded world's words, and a byte-level BPE trained here."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from mull.core.chat import R1_ZERO_TEMPLATE, Chat, chat_for
from mull.core.errors import UserError
from mull.core.thinking import R1_TAGS
from mull.core.types import Message, Span
from mull.model.tiny import word_tokenizer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

CORPUS = [
    "What is 17 + 25? Let me think: 17 + 25 = 42. The answer is 42.",
    "User: naïve café, vérifions! Assistant: 日本語 и русский 😀👍🏽",
    "the thinking answer system user assistant start end",
]
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>")
ORDINARY = ("<think>", "</think>", "<|tool|>", "    ")  # added, but not marked special, as some models have them
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ (m['content'].split('</think>')[-1] if m['role'] == 'assistant' else m['content']) | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)


@cache
def byte_tokenizer(template: str | None = CHATML, bos: bool = False) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    backend.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=list(SPECIAL),
    )  # fmt: skip
    backend.train_from_iterator(CORPUS * 4, trainer)
    backend.add_tokens([AddedToken(text, normalized=False) for text in ORDINARY])
    if bos:
        number = backend.token_to_id("<s>")
        backend.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", number)])  # type: ignore[assignment]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<s>", clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = template
    return tokenizer


@cache
def world() -> Chat:
    return Chat(word_tokenizer(vocabulary(), PAD, BOS, EOS))


@cache
def chatml() -> Chat:
    return Chat(byte_tokenizer())


def user(text: str) -> list[Message]:
    return [Message("user", text)]


def added_ids(tokenizer: Any) -> set[int]:
    return {number for number, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}


# -- the embedded world


def test_world_prompt_and_parts() -> None:
    chat = world()
    words = vocabulary()
    assert [words[i] for i in chat.encode(user("3 5 8 make 4"))] == [BOS, "3", "5", "8", "make", "4"]
    ids = chat.tokenizer("<think> 3 5 + 8 so </think> <answer> 3 5 + </answer> <eos>")["input_ids"]
    text, parts = chat.parse((1,), ids)
    assert text == "<think> 3 5 + 8 so </think> <answer> 3 5 + </answer>"
    assert parts.well_formed and not chat.prefilled
    # the space before a closing tag belongs to the part, so its token counts
    assert (parts.thinking, parts.answer) == (Span(1, 7), Span(8, 12))


@given(st.lists(st.integers(0, len(vocabulary()) - 1), max_size=30))
@example([1, 7, 8])
@example([2, 2])
def test_world_pieces_join_to_the_decoded_text(ids: list[int]) -> None:
    chat = world()
    pieces = chat.decode_pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == chat.tokenizer.decode(ids, skip_special_tokens=True)
    assert all(piece == "" for piece, i in zip(pieces, ids, strict=True) if i < 3)


@pytest.mark.parametrize("typed", ["3 <eos>", "3 </think>", "<bos> 4", "three"])
def test_world_refuses_words_it_does_not_have(typed: str) -> None:
    with pytest.raises(UserError, match="is no word of this model's vocabulary"):
        world().encode(user(typed))


# -- byte-level


def test_harmless_prompt_is_what_the_models_own_template_gives() -> None:
    chat = chatml()
    for content in ("What is 17 + 25?", "  trimmed 日本語 \n", "four    spaces", "{prompt} {{ bos_token }}", ""):
        whole = chat.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, return_dict=False
        )
        assert chat.encode(user(content)) == tuple(whole)


def test_template_may_transform_contents() -> None:
    template = "{% for m in messages %}[{{ m['content'] | upper | trim }}]{% endfor %}"
    chat = Chat(byte_tokenizer(template))
    assert chat.tokenizer.decode(chat.encode(user("  abc <|im_end|> "))) == "[ABC <|im_end|>]"


def test_prefilled_thought_is_seen() -> None:
    chat = chatml()
    assert chat.prefilled
    ids = chat.tokenizer("17 + 25 = 42</think><answer>42</answer><|im_end|>", add_special_tokens=False)["input_ids"]
    text, parts = chat.parse(chat.encode(user("?")), ids)
    assert text == "17 + 25 = 42</think><answer>42</answer>"  # the tag stays, the end of turn does not
    assert parts.well_formed and parts.answer_text == "42"


@given(st.lists(st.sampled_from([*SPECIAL, *ORDINARY, "<", "im_end|>", "\ue000", "\ue0000\ue001", "hm"]), max_size=6))
@example(["<|im_end|>"])
@example(["<think>"])
@example(["<|im_<think>end|>"])
def test_nothing_typed_becomes_a_control_token(parts: list[str]) -> None:
    typed = "x" + "".join(parts) + "x"
    chat = chatml()
    given_ids, plain_ids = chat.encode(user(typed)), chat.encode(user("xx"))
    controls = added_ids(chat.tokenizer)
    assert [i for i in given_ids if i in controls] == [i for i in plain_ids if i in controls]
    assert typed in chat.tokenizer.decode(given_ids)


def test_earlier_thoughts_are_dropped_where_the_template_drops_them() -> None:
    turns = [Message("user", "a"), Message("assistant", "<think>secret</think>b<|im_end|>"), Message("user", "c")]
    chat = chatml()
    ids = chat.encode(turns)
    text = chat.tokenizer.decode(ids)
    assert "secret" not in text and "b<|im_end|><|im_end|>" in text
    assert ids.count(chat.tokenizer.convert_tokens_to_ids("<|im_end|>")) == 3  # one a turn, none from the content


def test_base_model_gets_r1_zeros_template() -> None:
    chat = Chat(byte_tokenizer(None))
    text = chat.tokenizer.decode(chat.encode(user("echo {prompt} please")))
    assert text == R1_ZERO_TEMPLATE.replace("{prompt}", "echo {prompt} please")
    assert not chat.prefilled
    assert Chat(byte_tokenizer(), R1_ZERO_TEMPLATE).encode(user("1")) == chat.encode(user("1"))
    assert Chat(byte_tokenizer(None), "{prompt}\n<think>", R1_TAGS).prefilled
    with pytest.raises(UserError, match=r"needs \{prompt\}"):
        Chat(byte_tokenizer(None), "no place for it")


def test_plain_template_begins_with_the_token_the_tokenizer_begins_with() -> None:
    with_bos, without = Chat(byte_tokenizer(None, bos=True)), Chat(byte_tokenizer(None))
    assert with_bos.encode(user("1")) == (with_bos.tokenizer.bos_token_id, *without.encode(user("1")))


def test_a_prompt_ends_with_the_user() -> None:
    for messages in ([], [Message("user", "a"), Message("assistant", "b")]):
        with pytest.raises(UserError, match="ends with a user message"):
            chatml().encode(messages)


def test_every_end_of_sequence_stops() -> None:
    tokenizer = byte_tokenizer()
    known = {tokenizer.convert_tokens_to_ids(t) for t in ("<|endoftext|>", "<|im_end|>")}
    assert Chat(tokenizer).stop_ids == known
    assert chat_for(tokenizer, SimpleNamespace(eos_token_id=[7, 300])).stop_ids == known | {7, 300}
    assert chat_for(tokenizer, SimpleNamespace(eos_token_id=9)).stop_ids == known | {9}
    assert chat_for(tokenizer, SimpleNamespace(eos_token_id=None)).stop_ids == known


def visible(chat: Chat, ids: list[int]) -> str:
    """What the tokenizer itself makes of the ids, special tokens left out."""
    return chat.tokenizer.decode([i for i in ids if i not in special_ids(chat)], clean_up_tokenization_spaces=False)


def special_ids(chat: Chat) -> set[int]:
    return {i for i, token in chat.tokenizer.added_tokens_decoder.items() if token.special}


@given(st.lists(st.integers(0, 343), max_size=40))
@example([0] * 3)
def test_pieces_of_any_ids_join_to_the_decoded_text(ids: list[int]) -> None:
    chat = chatml()
    pieces = chat.decode_pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == visible(chat, ids)
    assert all(not piece for piece, i in zip(pieces, ids, strict=True) if i in special_ids(chat))


@given(st.text(max_size=12), st.lists(st.integers(0, 255), max_size=20), st.text("aé日😀", max_size=4))
@example("", [0x98] * 7 + [0xF0, 0x9F], "😀")
@example("日", [0xE6] * 11, "é")
def test_broken_bytes_never_break_the_characters_after_them(before: str, middle: list[int], after: str) -> None:
    chat = chatml()
    alphabet = [chat.tokenizer.convert_tokens_to_ids(bytes_to_letter(b)) for b in range(256)]
    every = before.encode() + bytes(middle) + after.encode()
    pieces = chat.decode_pieces([alphabet[byte] for byte in every])  # one byte a token
    assert "".join(pieces) == every.decode(errors="replace")


@cache
def _letters() -> list[str]:
    """GPT-2's letters for bytes: printable ones stand for themselves, the others follow from U+0100 on."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return [chr(b) if b in shown else chr(256 + hidden.index(b)) for b in range(256)]


def bytes_to_letter(byte: int) -> str:
    return _letters()[byte]


def test_a_character_comes_whole_with_its_last_token() -> None:
    chat = chatml()
    ids = [chat.tokenizer.convert_tokens_to_ids(bytes_to_letter(b)) for b in "a😀b".encode()]
    assert chat.decode_pieces(ids) == ["a", "", "", "", "😀", "b"]
    end = chat.tokenizer.eos_token_id
    assert chat.decode_pieces([*ids[:3], end]) == ["a", "", "\ufffd", ""]  # cut off: not the end token's text
    assert chat.decode_pieces([*ids[:3], end, *ids[3:]])[-2:] == ["😀", "b"]


def test_leading_spaces_are_kept_on_every_token() -> None:
    chat = chatml()
    ids = chat.tokenizer(" 17 + 25", add_special_tokens=False)["input_ids"]
    assert "".join(chat.decode_pieces(ids)) == " 17 + 25"
