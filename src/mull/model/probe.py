"""Whether our attention is all by which the tokens of a model meet: measured, not read off a list of names.

Two short streams go through the model, packed in a different order. A model that mixes tokens in any other way
(recurrent states, convolutions, linear attention, masks that we do not build) calls our attention too rarely or lets a
neighbouring segment shine through; trained on packed streams it would learn from what it cannot see when it samples.
Left out on purpose: comparing with the model's own attention, which may differ in the last bits on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mull.core.errors import UserError
from mull.model.attention import ATTENTION, PackedLayout
from mull.model.head import hidden_states, lm_head

FIRST, OTHER, LONG = [3, 7, 5, 4, 6], [3, 7, 2, 1], [4, 4, 1, 6, 2, 5, 3]
SHARED = 2
"""FIRST and OTHER begin with this many equal tokens."""


@dataclass
class Recorder:
    """A packed layout that notes who asked. Example: `Recorder(PackedLayout.from_lengths([5, 7])).windows`"""

    layout: PackedLayout
    windows: list[tuple[int, int | None]] = field(default_factory=list)

    def attend(
        self, layer: int, query_1HTD: Tensor, key_1HTD: Tensor, value_1HTD: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        self.windows.append((layer, window))
        return self.layout.attend(layer, query_1HTD, key_1HTD, value_1HTD, scaling, window)


@torch.no_grad()
def check_kind(model: Any, source: str) -> None:
    """Refuse a model whose tokens meet elsewhere than in our attention; sets the attention to ours.

    Raises:
        UserError: recurrent, hybrid, bidirectional or otherwise unsupported.
    """
    kind = f"{source}: {type(model).__name__} is not supported"
    mend = "mull trains decoder-only transformers such as Llama, Qwen, Mistral or SmolLM"
    try:
        model.set_attn_implementation(ATTENTION)
        first, hidden_a = _pass(model, FIRST, LONG)
        _, hidden_b = _pass(model, LONG, OTHER)
        lm_head(model)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    except (TypeError, ValueError, AttributeError, LookupError, NotImplementedError) as error:
        raise UserError(f"{kind}: its layers do not take an attention function from outside; {mend}") from error
    _check_layers(model.config.get_text_config(), first, f"{kind}: ", mend)
    same = [(hidden_a[:SHARED], hidden_b[len(LONG) :][:SHARED]), (hidden_a[len(FIRST) :], hidden_b[: len(LONG)])]
    # What is measured is rounding; types of 16 bits round 4 to 7 bits earlier, and experts may be chosen otherwise.
    limit = 1e-3 if hidden_a.dtype == torch.float32 else 1e-1
    scale = hidden_a.float().std().item()
    if any((a.float() - b.float()).abs().max().item() > limit * scale for a, b in same):
        raise UserError(f"{kind}: its tokens see more than their own past; {mend}")


def _pass(model: Any, *segments: list[int]) -> tuple[Recorder, Tensor]:
    embedding = model.get_input_embeddings().weight
    device = embedding.device
    ids = torch.tensor([[token % len(embedding) for segment in segments for token in segment]], device=device)
    lengths = [len(segment) for segment in segments]
    positions = torch.cat([torch.arange(length, device=device) for length in lengths])[None]
    recorder = Recorder(PackedLayout.from_lengths(lengths, device))
    return recorder, hidden_states(model, ids, positions, recorder)[0]


def _check_layers(config: Any, recorder: Recorder, kind: str, mend: str) -> None:
    """Every layer asked once, in order, and with a window where the configuration wants one."""
    layers = config.num_hidden_layers
    asked = [layer for layer, _ in recorder.windows]
    if asked != list(range(layers)):
        raise UserError(f"{kind}only {len(set(asked))} of its {layers} layers attend through mull; {mend}")
    window = getattr(config, "sliding_window", None)
    types = getattr(config, "layer_types", None) or ["sliding_attention" if window else "full_attention"] * layers
    for (layer, given), wanted in zip(recorder.windows, types, strict=True):
        if wanted not in ("full_attention", "sliding_attention") or (wanted == "sliding_attention") != bool(given):
            raise UserError(f"{kind}layer {layer} wants {wanted.replace('_', ' ')} that mull cannot give; {mend}")
