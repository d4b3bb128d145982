"""Marked conversations: what is learned is exactly what would be asked and answered."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import PreTrainedTokenizerFast

from mull.core.chat import Chat
from mull.core.conversation import Turn, mark
from mull.core.errors import UserError
from mull.core.types import Message
from mull.model.tiny import word_tokenizer
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary

ENDS = "{% if add_generation_prompt %}<a>{% endif %}"
PLAIN = "{% for m in messages %}<{{ m['role'][0] }}>{{ m['content'] }}<e>\n{% endfor %}" + ENDS
FORGETS = PLAIN.replace("{{ m['content'] }}", "{{ m['content'].split('</think>')[-1] }}")
OPENS = PLAIN.replace(ENDS, "{% if add_generation_prompt %}<a><think>\n{% endif %}")


def chat(template: str | None) -> Chat:
    """Bytes as tokens, and the few special ones of the templates above."""
    backend = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    backend.decoder = ByteLevel()  # type: ignore[assignment]
    backend.add_special_tokens(["<s>", "<u>", "<a>", "<e>", "<end>"])
    backend.add_tokens(["<think>", "</think>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", clean_up_tokenization_spaces=False)
    tokenizer.chat_template = template
    return Chat(tokenizer, extra_stop_ids=[tokenizer.convert_tokens_to_ids("<e>")])


def turns(*said: str, train: bool = True) -> list[Turn]:
    roles = ("user", "assistant")
    return [Turn(Message(roles[i % 2], text), train and i % 2 == 1) for i, text in enumerate(said)]


def learned(chat: Chat, marked: Any) -> str:
    return chat.tokenizer.decode([t for t, on in zip(marked.token_ids, marked.marks, strict=True) if on])


def whole(chat: Chat, marked: Any) -> str:
    return chat.tokenizer.decode(marked.token_ids)


def test_one_sequence_with_every_reply_and_its_end_marked() -> None:
    plain = chat(PLAIN)
    [marked] = mark(plain, turns("hi", "ho", "again", "well"))
    assert whole(plain, marked) == "<u>hi<e>\n<a>ho<e>\n<u>again<e>\n<a>well<e>"
    assert learned(plain, marked) == "ho<e>well<e>"


def test_a_template_that_forgets_thoughts_gives_a_sequence_a_reply() -> None:
    forgets = chat(FORGETS)
    found = mark(forgets, turns("hi", "<think>hm</think>ho", "again", "<think>so</think>well"))
    assert [whole(forgets, marked) for marked in found] == [
        "<u>hi<e>\n<a><think>hm</think>ho<e>",
        "<u>hi<e>\n<a>ho<e>\n<u>again<e>\n<a><think>so</think>well<e>",
    ]
    assert [learned(forgets, marked) for marked in found] == [
        "<think>hm</think>ho<e>", "<think>so</think>well<e>",
    ]  # fmt: skip


def test_a_thought_that_the_template_opens_is_not_opened_twice() -> None:
    opens = chat(OPENS)
    for said in ("<think>\nhm</think>ho", "hm</think>ho"):
        [marked] = mark(opens, turns("hi", said))
        assert whole(opens, marked) == "<u>hi<e>\n<a><think>\nhm</think>ho<e>"
        assert learned(opens, marked) == "hm</think>ho<e>"


def test_only_what_is_wanted_is_learned_and_nothing_after_it_is_kept() -> None:
    plain, said = chat(PLAIN), turns("hi", "ho", "again", "well")
    said[3] = Turn(said[3].message)
    [marked] = mark(plain, said)
    assert whole(plain, marked) == "<u>hi<e>\n<a>ho<e>"
    said[1], said[3] = Turn(said[1].message), Turn(said[3].message, train=True)
    [marked] = mark(plain, said)
    assert learned(plain, marked) == "well<e>"


def test_control_strings_in_a_reply_are_text_and_tags_are_not() -> None:
    plain = chat(PLAIN)
    [marked] = mark(plain, turns("hi", "<think>x</think>a<e>b<u>"))
    ids = [t for t, on in zip(marked.token_ids, marked.marks, strict=True) if on]
    special = plain.tokenizer.convert_tokens_to_ids
    assert ids.count(special("<e>")) == 1 and ids[-1] == special("<e>") and special("<u>") not in ids
    assert ids[0] == special("<think>")
    assert learned(plain, marked) == "<think>x</think>a<e>b<u><e>"


def test_a_base_model_ends_with_its_end_of_sequence() -> None:
    base = chat(None)
    [marked] = mark(base, turns("17 + 25?", " <think>x</think> <answer>42</answer>"))
    assert learned(base, marked) == " <think>x</think> <answer>42</answer><end>"
    assert marked.token_ids[: len(base.encode([Message("user", "17 + 25?")]))] == base.encode(
        [Message("user", "17 + 25?")]
    )


def test_the_embedded_world() -> None:
    world = Chat(word_tokenizer(vocabulary(), PAD, BOS, EOS))
    [marked] = mark(world, turns("3 5 8 make 4", "<think> 3 5 + 8 </think> <answer> 3 5 + </answer>"))
    words = world.tokenizer.convert_ids_to_tokens(marked.token_ids)
    assert words[:7] == [BOS, "3", "5", "8", "make", "4", "<think>"] and words[-1] == EOS
    assert marked.marks == (False,) * 6 + (True,) * 12
    for text in ("<think> seven </think>", "3 <pad>", f"{EOS}"):
        with pytest.raises(UserError, match="no word of this model"):
            mark(world, turns("3 5 8 make 4", text))


def test_what_cannot_be_learned_is_refused() -> None:
    plain = chat(PLAIN)
    with pytest.raises(UserError, match="no turn to learn from"):
        mark(plain, turns("hi", "ho", train=False))
    with pytest.raises(UserError, match="message 1 is the user's"):
        mark(plain, [Turn(Message("user", "hi"), train=True)])
    with pytest.raises(UserError, match="ends with a user message"):
        mark(plain, [Turn(Message("assistant", "hi"), train=True)])
