"""The task `functions`: write a small Python function, checked by hidden tests, at five levels of difficulty."""

from mull.tasks.functions.task import FUNCTIONS

__all__ = ["FUNCTIONS"]
