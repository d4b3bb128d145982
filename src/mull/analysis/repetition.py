"""How much of a text says again, word for word, what it said before.

    share = 1 − (different n-grams of words) / (n-grams of words)

0: nothing is repeated; near 1: a loop. n = 8 is about a sentence of prose, and one attempt in the embedded world. Left
out on purpose: repetition in other words.
"""

from __future__ import annotations

N = 8


def repeated_share(text: str, n: int = N) -> float:
    """Share of the text's word n-grams that stood earlier in it; 0.0 for a text of fewer than n words.

    Example: `repeated_share("a b c a b c", 3) == 0.25`
    """
    words = text.split()
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
