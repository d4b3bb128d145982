"""What chains of thought do, read from their text: each behaviour, how often, where."""

from mull.analysis.behaviours.checks import checks
from mull.analysis.behaviours.read import behaviours
from mull.analysis.behaviours.table import ABOUT, Behaviour, Behaviours, Spot

__all__ = ["ABOUT", "Behaviour", "Behaviours", "Spot", "behaviours", "checks"]
