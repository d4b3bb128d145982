"""How large a stage's model is, without loading it: from the recipe where it is made, from config.json where it exists.

Counted is the common decoder (gated feed-forward, grouped-query attention); a family that differs is off by a little.
Left out on purpose: GGUF files and hub ids that are not on this machine, of which nothing is read here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.core.errors import UserError
from mull.model.cache import KNOWN, in_cache
from mull.recipe.graph import Recipe
from mull.tasks.world.words import vocabulary


@dataclass(frozen=True)
class Sizes:
    """A decoder's shape. Widths are in numbers, not bytes.

    Example: `Sizes(vocabulary=40, hidden=96, layers=3, queries=96, keys=48, feed_forward=256, tied=True)`
    """

    vocabulary: int
    hidden: int
    layers: int
    queries: int
    """Query heads times head width."""
    keys: int
    """Key/value heads times head width."""
    feed_forward: int
    tied: bool = True

    @property
    def body(self) -> int:
        """Parameters of the layers' matrices."""
        attention = 2 * self.hidden * self.queries + 2 * self.hidden * self.keys
        return self.layers * (attention + 3 * self.hidden * self.feed_forward)

    @property
    def table(self) -> int:
        """Parameters of the embedding, which is one pass of the head too."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters."""
        norms = (2 * self.layers + 1) * self.hidden
        return self.body + self.table * (1 if self.tied else 2) + norms

    def flops(self, context: float) -> float:
        """Of a token's forward pass when it looks at `context` others: 2 a weight, and 4 a key and value."""
        return 2 * (self.body + self.table) + 4 * self.layers * self.queries * context


def sizes_of(recipe: Recipe, name: str) -> Sizes | None:
    """The size of the model that a reference names, through as many stages as it takes; None: not known here."""
    stage = recipe.stages.get(name)
    if stage is None:
        return _outside(name)
    shape: Any = getattr(stage.config, "model", None)
    if stage.settings["kind"] == "pretrain":
        return Sizes(
            len(vocabulary(stage.settings["corpus"] == "embedded-general")), shape.hidden, shape.layers, shape.hidden,
            shape.hidden // shape.heads * shape.kv_heads, shape.feed_forward,
        )  # fmt: skip
    inner = getattr(stage.config, "init", None) or shape
    return sizes_of(recipe, inner) if isinstance(inner, str) else None


def _outside(source: str) -> Sizes | None:
    path = Path(source).expanduser()
    try:
        if source in KNOWN and not path.is_dir():
            found = in_cache(KNOWN[source])
            path = Path(found.path) if found else path
        return read_sizes(json.loads((path / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, UserError, KeyError, TypeError, AttributeError):
        return None


def read_sizes(config: dict[str, Any]) -> Sizes:
    """The sizes that a config.json says.

    Raises:
        KeyError: a size that every decoder has is missing.
    """
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    return Sizes(
        config["vocab_size"], config["hidden_size"], config["num_hidden_layers"], heads * width,
        (config.get("num_key_value_heads") or heads) * width, config["intermediate_size"],
        bool(config.get("tie_word_embeddings", False)),
    )  # fmt: skip
