"""A few phrases of French and German: only what is said in one plain way. The rest counts as 0 there.

Left out on purpose: full lists, which need readers of these languages to label thoughts first.
"""

from __future__ import annotations

from mull.analysis.behaviours.rules import rule
from mull.analysis.behaviours.table import Behaviour

_OPEN = r"(?:^|(?<=[.!?…\n,;:])\s{0,3})"

FRENCH = (
    rule(
        Behaviour.SELF_VERIFICATION,
        r"\bv[ée]rifi(?:ons|er (?:que|si|la|le|ce)|cation)\b|\bje (?:vais )?v[ée]rifier?\b|\brecalcul(?:ons|er)\b",
        keys="rifi|recalcul",
        unless=r"\b(?:inutile de|pas besoin de|sans) (?:\w{1,12} )?",
    ),
    rule(
        Behaviour.REFLECTION,
        _OPEN + r"(?:attends|attendez|attendons|hmm+|euh|non,)(?=[ ,.!…]|$)|\bje me suis tromp[ée]",
        r"\bj'ai fait une erreur\b",
        keys="attend|hm|euh|non,|tromp|erreur",
    ),
    rule(
        Behaviour.BACKTRACKING,
        r"\b(?:essayons|essayer|prenons) (?:une |un )?autre\b|\b[çc]a ne (?:marche|m[èe]ne)\b",
        keys="autre|marche|ne m",
    ),
    rule(
        Behaviour.RESTART,
        r"\b(?:reprenons|recommen[çc]ons)(?: tout)?(?: depuis le| au| du)? ?(?:d[ée]but|z[ée]ro)?\b",
        keys="repren|recommen",
    ),
    rule(Behaviour.RE_READING, r"\b(?:relisons|relire|je relis) (?:la|l'|le)", keys="reli"),
    rule(
        Behaviour.DECOMPOSITION,
        _OPEN + r"(?:tout d'abord|d'abord|premi[èe]rement)\b|\b[ée]tape par [ée]tape\b",
        keys="abord|premi|tape",
    ),
    rule(Behaviour.CASE_ANALYSIS, _OPEN + r"(?:1er |premier )?cas \d{1,2}\b|\bdeux cas\b", keys="cas"),
    rule(
        Behaviour.CONTRADICTION,
        r"\bcontradiction\b|\bpar l'absurde\b",
        keys="contradiction|absurde",
        unless=r"\b(?:pas de|aucune|sans) ",
    ),
    rule(
        Behaviour.WORKING_BACKWARDS,
        r"\b(?:travaillons|raisonnons|remontons) (?:[àa] rebours|[àa] l'envers)\b",
        keys="rebours|envers",
    ),
)
GERMAN = (
    rule(
        Behaviour.SELF_VERIFICATION,
        r"\b(?:[üu]berpr[üu]fen|pr[üu]fen|kontrollieren) wir\b|\b(?:zur )?probe:|\bich (?:[üu]ber)?pr[üu]fe\b",
        keys="fen wir|kontrollieren wir|probe:|fe",
    ),
    rule(
        Behaviour.REFLECTION,
        _OPEN + r"(?:moment|warte|halt|hm+)(?=[ ,.!…]|$)|\bich habe mich (?:geirrt|verrechnet)\b",
        keys="moment|warte|halt|hm|habe mich",
    ),
    rule(
        Behaviour.BACKTRACKING,
        r"\b(?:versuchen|nehmen) wir (?:es |einen? )?(?:mit )?(?:anders|andere[nrs]?)\b",
        keys="wir",
    ),
    rule(Behaviour.RESTART, r"\b(?:noch einmal |wieder |ganz )?von (?:vorne|vorn|neuem)\b", keys="von "),
    rule(Behaviour.RE_READING, r"\b(?:lesen wir|ich lese) (?:die |noch ?mal )", keys="lese"),
    rule(
        Behaviour.DECOMPOSITION,
        _OPEN + r"(?:zuerst|zun[äa]chst|erstens)\b|\bschritt f[üu]r schritt\b",
        keys="zuerst|zun|erstens|schritt",
    ),
    rule(Behaviour.CASE_ANALYSIS, _OPEN + r"(?:1\. )?fall \d{1,2}\b|\bfallunterscheidung\b", keys="fall"),
    rule(Behaviour.CONTRADICTION, r"\bwiderspr(?:uch|icht)\b", keys="widerspr", unless=r"\b(?:kein|keinen|ohne) "),
    rule(Behaviour.WORKING_BACKWARDS, r"\br[üu]ckw[äa]rts (?:rechnen|arbeiten|vorgehen)\b", keys="rts"),
)
