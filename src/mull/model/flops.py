"""How many parameters work on a token, and what that costs: 2·N FLOPs forward, 6·N forward and backward.

N counts every weight but the input embedding, which is looked up and not multiplied; a head that is tied to it is
multiplied and counts. (Kaplan et al. 2020, arXiv 2001.08361 §2.1, leave the head out as well; in a small model with a
large vocabulary most of the work is there.) Left out on purpose: attention's own products, which grow with the
context, the optimizer's arithmetic, and norms.
"""

from __future__ import annotations

from typing import Any

FORWARD, TRAINED = 2, 6
"""FLOPs a parameter and token: one multiplication and one addition forward, twice as much backward."""


def working_parameters(model: Any) -> int:
    """N of a Hugging Face model: its parameters without the input embedding, unless that is its head too."""
    total = sum(weight.numel() for weight in model.parameters())
    embedding = model.get_input_embeddings().weight
    head = getattr(model, "get_output_embeddings", lambda: None)()
    return total if head is not None and head.weight is embedding else total - embedding.numel()
