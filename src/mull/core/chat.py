"""Messages to tokens and tokens to parts: the only place that knows templates.

A model's own chat template is used where it has one; a base model gets R1-Zero's. What a user typed never becomes a
control token: its text is encoded with special tokens taken apart. Tokens become text again piece by piece, one piece
an id, so that spans found in the text are spans of tokens. Imports no torch; the tokenizer is handed in.

R1-Zero's template: DeepSeek-R1 (arXiv 2501.12948), table 1. Left out on purpose: tool calls and images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
_MARK = "\ue000{}\ue001"  # stands for a message's content while a template is rendered; private use, no tokenizer's own


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
        self._silent = set(tokenizer.all_special_ids) | self.stop_ids
        self._silent -= {tokenizer.convert_tokens_to_ids(tag) for tag in tags.all}
        self._words = self._is_word_level()
        self._pieces: dict[int, str] = {}
        self.prefilled = self._rendered([Message("user", "?")]).rstrip().endswith(tags.think_open)

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The prompt's ids, ready for the first token of the answer.

        Raises:
            UserError: no message, or the last one is not the user's.
        """
        if not messages or messages[-1].role != "user":
            raise UserError("a prompt ends with a user message")
        marked = [Message(m.role, _MARK.format(i)) for i, m in enumerate(messages)]
        text, ids = self._rendered(marked), []
        for i, message in enumerate(messages):
            before, mark, after = text.partition(_MARK.format(i))
            if not mark:  # a template may drop a turn (thoughts of earlier turns, say)
                continue
            ids += self._control(before) + self._plain(message.content)
            text = after
        return tuple(ids + self._control(text))

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
            if pieces and pieces[0].startswith(" "):
                pieces[0] = pieces[0][1:]
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
        """Ids of text that somebody typed, in which no special token is meant."""
        if not self._words:
            if not text:
                return []
            return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        controls = {*self.tokenizer.all_special_tokens, *self.tags.all}
        unknown = [word for word in text.split() if word in controls or word not in self.tokenizer.get_vocab()]
        if unknown:
            raise UserError(f"{unknown[0]!r} is no word of this model's vocabulary")
        return self.tokenizer.convert_tokens_to_ids(text.split())

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
        pieces: list[str] = []
        waiting: list[int] = []
        for token in token_ids:
            if token in self._silent:
                pieces.append("")
                continue
            waiting.append(token)
            text = self._decode(waiting)
            if text.endswith("\ufffd") and len(waiting) < 8:  # the first bytes of a longer character
                pieces.append("")
                continue
            pieces.append(text)
            waiting = []
        if waiting:
            pieces[-1] = self._decode(waiting)
        return pieces

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
