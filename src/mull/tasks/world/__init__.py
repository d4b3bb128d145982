"""The embedded world: problems, requests, a corpus of mixed quality, plain-word explanations."""

from mull.tasks.world.chain import ChainMod
from mull.tasks.world.countdown import CountdownMod
from mull.tasks.world.request import Requests

COUNTDOWN_MOD = CountdownMod()
CHAIN_MOD = ChainMod()
REQUESTS = Requests()

__all__ = ["CHAIN_MOD", "COUNTDOWN_MOD", "REQUESTS"]
