"""Surrogates: what one token loses, given the ratio of the new policy to the one before the update.

Every one is `f(logprobs_N, old_logprobs_N, advantage_N, counts, config) → Surrogate`; gradient flows to `logprobs_N`.
"""

from mull.algo.surrogate.base import Surrogate, SurrogateFunction
from mull.algo.surrogate.cispo import cispo
from mull.algo.surrogate.clip import clip
from mull.algo.surrogate.gspo import gspo

__all__ = ["SURROGATES", "Surrogate", "SurrogateFunction"]

SURROGATES: dict[str, SurrogateFunction] = {"clip": clip, "gspo": gspo, "cispo": cispo}
