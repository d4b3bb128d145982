"""Messages to tokens and tokens to parts: the only place that knows templates.

A model's own chat template is used where it has one; a base model gets R1-Zero's. What a user typed never becomes a
control token: control strings in it are put aside while the template is rendered, and encoded as plain text. Tokens
become text again piece by piece, one piece an id, so that spans found in the text are spans of tokens. Imports no
torch; the tokenizer is handed in.

R1-Zero's template: DeepSeek-R1 (arXiv 2501.12948), table 1. Left out on purpose: tool calls and images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from mull.core.errors import UserError
from mull.core.thinking import R1_TAGS, R1_ZERO_TAGS, Parts, Tags, split_completion
from mull.core.types import Message

R1_ZERO_TEMPLATE = (
    "A conversation between User and Assistant. The User asks a question, and the Assistant solves it. The Assistant "
    "first thinks about the reasoning process in the mind and then provides the User with the answer. The reasoning "
    "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> "
    "reasoning process here </think> <answer> answer here </answer>.\nUser: {prompt}\nAssistant:"
)
END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_sentence|>")
_OPEN, _CLOSE = "\ue000", "\ue001"  # around the number of a string put aside; private use, no tokenizer's own
_ASIDE = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_LONGEST = 8  # tokens that may wait for the rest of a character


class Chat:
    """One tokenizer with its template and tags.

    Args:
        tokenizer: a Hugging Face tokenizer.
        template: a text with `{prompt}` that replaces the model's own template.
        tags: what marks thought and answer; R1-Zero's by default, `R1_TAGS` for models that mark only the thought.
        extra_stop_ids: what else ends a completion, such as a generation config's list.

    Example: `chat = Chat(tokenizer); ids = chat.encode([Message("user", "17 + 25?")])`
    """

    def __init__(
        self, tokenizer: Any, template: str | None = None, tags: Tags = R1_ZERO_TAGS, extra_stop_ids: Iterable[int] = ()
    ) -> None:
        if template is not None and "{prompt}" not in template:
            raise UserError("a prompt template needs {prompt} where the problem's text belongs")
        self.tokenizer = tokenizer
        self.tags = tags
        self._template = template if template is not None or tokenizer.chat_template else R1_ZERO_TEMPLATE
        self.stop_ids = self._stop_ids(extra_stop_ids)
        added, vocabulary = tokenizer.added_tokens_decoder, tokenizer.get_vocab()
        self._silent = {*tokenizer.all_special_ids, *self.stop_ids, *(i for i, t in added.items() if t.special)}
        self._silent -= {vocabulary[tag] for tag in tags.all if tag in vocabulary}
        # Some models mark `<think>` or `<|User|>` as ordinary added tokens; runs of spaces are the only harmless ones.
        self._controls = {t.content for t in added.values() if not t.content.isspace()}
        self._controls |= {*tokenizer.all_special_tokens, *(vocabulary.keys() & {*tags.all, *END_OF_TURN})}
        longest_first = sorted(self._controls | {_OPEN}, key=len, reverse=True)
        self._typed = re.compile("|".join(map(re.escape, longest_first)))
        self._own_turns = re.compile("|".join(re.escape(c) for c in longest_first if c not in tags.all))
        self._words = self._is_word_level()
        self._bare = None if self._words else self._without_added_tokens()
        self._lead = self._leading_ids()
        self._pieces: dict[int, str] = {}
        self.prefilled = self._rendered([Message("user", "?")]).rstrip().endswith(tags.think_open)

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The prompt's ids, ready for the first token of the answer.

        The template sees the contents themselves, so that it may trim them or drop earlier thoughts; only control
        strings are put aside. Thoughts of earlier assistant turns keep their tags.

        Raises:
            UserError: no message, the last one is not the user's, or a word that a word-level model does not have.
        """
        if not messages or messages[-1].role != "user":
            raise UserError("a prompt ends with a user message")
        aside: list[str] = []
        ids = list(self._lead)
        parts = _ASIDE.split(self._rendered([self._defused(message, aside) for message in messages]))
        for number, part in enumerate(parts):  # text, number, text, number, …, text
            ids += self._plain(aside[int(part)]) if number % 2 else self._control(part)
        return tuple(ids)

    def encode_reply(self, text: str) -> tuple[int, ...]:
        """The ids of an assistant's turn, thought and all, and the token that ends it.

        Tags are the model's own words here, other control strings are plain text. Where the template opens the thought
        itself, the text's own opening tag is left out.

        Raises:
            UserError: a word that a word-level model does not have.
        """
        if self.prefilled and text.lstrip().startswith(self.tags.think_open):
            text = text.lstrip().removeprefix(self.tags.think_open).lstrip("\n")
        if self._words:
            vocabulary = self.tokenizer.get_vocab()
            for word in text.split():
                if word not in vocabulary or (word in self._controls and word not in self.tags.all):
                    raise UserError(f"{word!r} is no word of this model's vocabulary")
            return (*(vocabulary[word] for word in text.split()), self.end_id)
        ids: list[int] = []
        start = 0
        for typed in self._own_turns.finditer(text):
            ids += self._control(text[start : typed.start()]) + self._plain(typed.group())
            start = typed.end()
        return (*ids, *self._control(text[start:]), self.end_id)

    def tag_ids(self, text: str) -> tuple[int, ...]:
        """The ids of a tag, or of the rest of one, as the model itself would write it."""
        return tuple(self._control(text))

    @cached_property
    def end_id(self) -> int:
        """The token that ends an assistant's turn: the template's, or the end of the sequence."""
        if self._template is None:
            turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@@"}]
            tail = self.tokenizer.apply_chat_template(turns, tokenize=False).rpartition("@@")[2]
            ends = [token for token in self._control(tail) if token in self.stop_ids]
            if ends:
                return ends[0]
        eos = self.tokenizer.eos_token_id
        return min(self.stop_ids) if eos is None else eos

    def _defused(self, message: Message, aside: list[str]) -> Message:
        """The message with its control strings replaced by numbers into `aside`."""
        if self._words:
            self._check_words(message.content)
            return message

        def put_aside(found: re.Match[str]) -> str:
            aside.append(found.group())
            return f"{_OPEN}{len(aside) - 1}{_CLOSE}"

        pattern = self._own_turns if message.role == "assistant" else self._typed
        return Message(message.role, pattern.sub(put_aside, message.content))

    def decode_pieces(self, token_ids: Sequence[int]) -> list[str]:
        """One text a token; together they are the decoded text. Stop and other special tokens are "".

        A character spread over several tokens comes whole with its last one.
        """
        if self._words:
            known = self._pieces
            try:
                pieces = [known[token] for token in token_ids]
            except KeyError:
                for token in token_ids:
                    known[token] = "" if token in self._silent else " " + self.tokenizer.convert_ids_to_tokens(token)
                pieces = [known[token] for token in token_ids]
            first = next((i for i, piece in enumerate(pieces) if piece), None)
            if first is not None:
                pieces[first] = pieces[first][1:]
            return pieces
        return self._bpe_pieces(token_ids)

    def parse(self, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> tuple[str, Parts]:
        """A completion's text and its parts; the template says whether the prompt already opened the thought."""
        pieces = self.decode_pieces(token_ids)
        return "".join(pieces), split_completion(pieces, self.tags, self.prefilled)

    def _rendered(self, messages: Sequence[Message]) -> str:
        if self._template is not None:
            return self._template.replace("{prompt}", messages[-1].content)
        turns = [{"role": m.role, "content": m.content} for m in messages]
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    def _control(self, text: str) -> list[int]:
        """Ids of the template's own text, in which special tokens are meant."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []

    def _plain(self, text: str) -> list[int]:
        """Ids of a control string that somebody typed: ordinary text."""
        if self._bare is not None:
            return self._bare.encode(text, add_special_tokens=False).ids
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def _without_added_tokens(self) -> Any:
        """The same tokenizer knowing no added token; None for one that is not a fast tokenizer.

        `split_special_tokens` is not enough: it leaves added tokens that are not marked special whole.
        """
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return None
        return type(backend).from_str(json.dumps({**json.loads(backend.to_str()), "added_tokens": []}))

    def _leading_ids(self) -> list[int]:
        """The beginning-of-sequence token, where the tokenizer puts one and the plain template cannot."""
        bos = self.tokenizer.bos_token_id
        if self._template is None or bos is None:
            return []
        return [bos] if self.tokenizer("a")["input_ids"][:1] == [bos] else []

    def _check_words(self, text: str) -> None:
        vocabulary = self.tokenizer.get_vocab()
        for word in text.split():
            if word in self._controls or word not in vocabulary:
                raise UserError(f"{word!r} is no word of this model's vocabulary")

    def _stop_ids(self, extra: Iterable[int]) -> frozenset[int]:
        found = {int(i) for i in extra}
        if self.tokenizer.eos_token_id is not None:
            found.add(self.tokenizer.eos_token_id)
        vocabulary = self.tokenizer.get_vocab()
        found |= {vocabulary[token] for token in END_OF_TURN if token in vocabulary}
        if not found:
            raise UserError("this tokenizer has no end-of-sequence token: completions would never stop; set eos_token")
        return frozenset(found)

    def _is_word_level(self) -> bool:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return backend is not None and type(backend.model).__name__ == "WordLevel"

    def _bpe_pieces(self, token_ids: Sequence[int]) -> list[str]:
        pieces = [""] * len(token_ids)
        waiting: list[int] = []
        last = 0  # the position of the last token in `waiting`
        for position, token in enumerate(token_ids):
            if token in self._silent:
                continue
            waiting.append(token)
            last = position
            text = self._decode(waiting)
            if not text.endswith("\ufffd"):
                pieces[position], waiting = text, []
            elif len(waiting) >= _LONGEST:
                pieces[position], waiting = self._settled(waiting, text)
        if waiting:
            pieces[last] += self._decode(waiting)
        return pieces

    def _settled(self, waiting: list[int], text: str) -> tuple[str, list[int]]:
        """What is certain of a run of broken bytes, and the tokens that may still begin a character."""
        for cut in range(len(waiting) - 3, 0, -1):
            before, after = self._decode(waiting[:cut]), waiting[cut:]
            if before + self._decode(after) == text:  # no character lies across the cut
                return before, after
        return text, []

    def _decode(self, ids: list[int]) -> str:
        """Text of some ids in the middle of a text (a tokenizer may drop a leading space at its beginning)."""
        if len(ids) == 1 and ids[0] in self._pieces:
            return self._pieces[ids[0]]
        anchor = self._anchor()
        text = self.tokenizer.decode([*anchor, *ids], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        text = text[len(self.tokenizer.decode(anchor, clean_up_tokenization_spaces=False)) :]
        if len(ids) == 1:
            self._pieces[ids[0]] = text
        return text

    def _anchor(self) -> list[int]:
        if not hasattr(self, "_anchor_ids"):
            self._anchor_ids = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        return self._anchor_ids


def chat_for(tokenizer: Any, generation_config: Any = None, template: str | None = None) -> Chat:
    """The Chat of a model: all its end-of-sequence ids, its own template or R1-Zero's."""
    eos = getattr(generation_config, "eos_token_id", None)
    extra = eos if isinstance(eos, list | tuple) else [] if eos is None else [eos]
    return Chat(tokenizer, template, R1_ZERO_TAGS, extra)


__all__ = ["R1_TAGS", "R1_ZERO_TAGS", "R1_ZERO_TEMPLATE", "Chat", "chat_for"]
