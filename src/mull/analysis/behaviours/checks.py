"""Does this thought check itself? Read from the text alone, by fixed patterns.

In the embedded world a check has a form of its own: a tried expression is followed by `target - difference verdict`,
a computed chain by `again`, a second pass and `result - difference verdict`. In free text a check is a phrase
("let me check", "verify", "vérifions", "plug back in"). Only its presence counts here; whether it is right does not.
Left out on purpose: model judges, and behaviours other than checking.
"""

from __future__ import annotations

import re

_VERDICT = r"(?:yes|no|oui|non)\b"
_STEP = r"\d+ [-+*] \d+"
_CHAIN_CHECK = re.compile(rf"\b(?:again|encore) \d+ (?:{_STEP} )+\d+ - \d+ {_VERDICT}")
_PHRASES = re.compile(
    r"\b(?:double[- ]check|let(?:'s| me| us) (?:re-?)?(?:check|verify|confirm|test)|to (?:check|verify|confirm)|"
    r"check(?:ing)? (?:this|that|the|our|my|if|whether)|verif(?:y|ying|ication)|plug(?:ging)? (?:\w+ ){0,3}back|"
    r"re-?(?:check|comput|calculat|evaluat|examin)\w*|v[ée]rifi(?:er|ons|cation)|sanity check)",
    re.IGNORECASE,
)


def checks(task: str, prompt: str, thought: str) -> bool:
    """Whether a thought holds at least one check.

    Args:
        task: the problem's task name; the embedded world's tasks are read by their grammar.
        prompt: the user's text (a countdown's last word is its target).
        thought: what stands between the think tags.
    """
    if task == "countdown_mod":
        target = re.escape(prompt.split()[-1])
        return re.search(rf"\b\d+ {_STEP} {_STEP} {target} - \d+ {_VERDICT}", thought) is not None
    if task == "chain_mod":
        return _CHAIN_CHECK.search(thought) is not None
    return _PHRASES.search(thought) is not None
