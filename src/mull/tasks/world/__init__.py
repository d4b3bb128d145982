"""The embedded world: two families of problems, a corpus of mixed quality, and plain-word explanations."""

from mull.tasks.world.chain import ChainMod
from mull.tasks.world.countdown import CountdownMod

COUNTDOWN_MOD = CountdownMod()
CHAIN_MOD = ChainMod()

__all__ = ["CHAIN_MOD", "COUNTDOWN_MOD"]
