"""The one error that is the user's to mend.

Everything else that goes wrong is ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what the user gave us. The message is one line that says what is wrong and how to mend it.

    The command line prints it without a traceback and exits with code 2.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'steps'?"` when a known word is close, else the list of known words.

    >>> nearest("stpes", ["steps", "seed"])
    "; did you mean 'steps'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


class StageFailed(RuntimeError):
    """A stage stopped because going on would do harm: a loss that is not finite, an engine that disagrees.

    The message says what was seen and what usually causes it; the last checkpoint is good.
    """


class Stopped(Exception):
    """Somebody asked a stage to stop (Ctrl-C); its state is saved and the same command resumes it."""
