"""Phrases of English that show what a thought does.

False friends are kept out by form: "wait" only as an interjection (the passengers wait), "first" only where it opens a
step (the first term), "case" only where it is numbered or counted as a possibility (a case of soda), "check" only where
the writer checks something that was worked out (a bank check; each worker checks 12 boxes). "However" and "but" alone
show nothing here, though DeepSeek-R1 (arXiv 2501.12948) counts them among its reflective words: they are as common in
plain prose. The text is lower-cased and its apostrophes are plain (`rules.lowered`).
"""

from __future__ import annotations

import re

from mull.analysis.behaviours.rules import Opposites, rule
from mull.analysis.behaviours.table import Behaviour

OPEN = r"(?:^|(?<=[.!?…:;\n*#(])\s{0,3})"
"""The beginning of a sentence or a line."""
CLAUSE = r"(?:^|(?<=[.!?…:;,\n*#(—–-])\s{0,3})"
LET = (
    r"\b(?:let(?:'s| me| us)|i(?:'ll| will| should| can| must| need to| want to|'d(?: better)?)?|"
    r"we(?:'ll| will| should| can| must| need to)?)"
)
"""Somebody who thinks, about to do something."""
RESULT = (
    r"(?:this|that|it|my|our|these|them|if|whether|with|by|again|"
    r"the (?:answers?|results?|calculations?|arithmetic|solutions?|conditions?|work|math|equations?|sums?|units|"
    r"products?|constraints?|values?|second|first|original|other))\b"
)
QUESTION = r"(?:question|problem(?! set)|statement|prompt|task|puzzle|exercise)"
WAYS = r"(?:approach|way|method|idea|strategy|path|route|combination|tack|angle|formula|expression|order|choice|one)"
NEGATED = (
    r"(?:\bno need(?: to)?|\bnot|\bnever|\bwithout|\bunnecessary(?: to)?|n't|\bcannot|\binstead of|\brather than|\bnor)"
    r" (?:\w{1,12} ){0,2}"
)

RULES = (
    rule(
        Behaviour.SELF_VERIFICATION,
        r"\b(?:double|re|cross)[- ]?check(?:ing|ed)?\b",
        r"\b(?:sanity|quick)[- ](?:check|test)\b",
        r"\bdo(?:es)? (?:this|that|it|\d{1,9}) make sense\b|\bis (?:this|that|it) consistent with\b",
        LET + r" (?:just |quickly |now |also |then |first )?(?:check|verify|confirm|validate)\b"
        r"(?! (?:in|out|into)\b| \d)",
        LET + rf" (?:just |quickly |now |also |then |first )?test {RESULT}",
        rf"\bto (?:be sure|make sure|(?:check|verify|confirm)(?: {RESULT}|[,:]))",
        rf"\bmake sure (?:that )?(?:i |we |{RESULT})",
        OPEN + rf"(?:check(?:ing)?|verif(?:ication|y(?:ing)?)|confirm(?:ing)?)(?:\s?[:,]| {RESULT})",
        rf"\b(?:check|verify|confirm)(?:ing)? {RESULT}",
        r"\bplug(?:ging|ged)?\b[^.!?\n]{0,30}\b(?:back|in(?:to)?)\b",
        r"\bsubstitut(?:e|ing)\b[^.!?\n]{0,30}\bback\b",
        r"\bre-?(?:comput|calculat|evaluat|examin|verif|count)(?:e|ing|ying|y|ed)?\b",
        keys="check|make sense|consistent|verif|confirm|validat|test|sure|plug|substitut|recomput|re-comput|"
        "recalcul|re-calcul|reevalu|re-evalu|reexam|re-exam|recount|re-count",
        unless=NEGATED,
    ),
    rule(
        Behaviour.REFLECTION,
        r"(?:^|(?<=[.!?…\n,;:—–(-])\s{0,3}|\b(?:oh|but|hm{1,9}|no|ok|okay|so|and),? )wait(?=\s?[,.!?…:;—–-]|\s?$|"
        r"\s(?:no|a (?:second|minute|moment|sec)|that|this|maybe|if|but|actually|let|i|is|what|why|how|because|we|"
        r"there|it|so|not|also|perhaps|are|does|the (?:problem|question))\b)",
        r"\bhm{1,20}\b",
        CLAUSE + r"(?:but |oh,? |ok,? |okay,? )?(?:hold|hang) on\b(?! to\b)",
        r"\b(?:i|we)(?:'ve| have)? (?:just |must have |may have |might have |probably |think )?"
        r"made an? (?:\w{1,12} )?(?:mistake|error)",
        r"\b(?:my|our) (?:mistake|error)\b",
        r"\b(?:i|we)(?:'ve| have)? (?:just |must have |may have |probably )?"
        r"(?:miscounted|misread|miscalculated|misunderstood|misinterpreted|forgot|overlooked|messed up)\b",
        r"\b(?:can't|cannot|can not|couldn't) be (?:right|correct)\b",
        r"\b(?:doesn't|does not|don't) (?:seem|look|sound|feel) (?:right|correct)\b",
        r"\b(?:that|this)(?:'s| is) (?:wrong|not right|incorrect|not correct)\b",
        r"\bsomething(?:'s| is| seems| must be)(?: \w{1,12})? (?:off|wrong|amiss)\b",
        r"\b(?:that|this|it) seems (?:wrong|off|odd|strange|suspicious|too )",
        OPEN + r"(?:but |oh,? |no,? |well,? )?actually\b",
        r"\b(?:gone|went) wrong (?:somewhere|here)\b|\bon reflection\b|\b(?:^|(?<=[.!?\n] ))no, (?:no|that|this)\b",
        r"\boops\b|\bon second thought|\bam i sure\b|\bis (?:that|this) (?:right|correct)\?",
        LET + r" (?:think again|reconsider|rethink|re-think|think about (?:this|that|it) again)\b",
        keys="wait|hm|reflection|no, |hold on|hang on|mistake|error|misc|misr|misu|misi|forgot|overlooked|messed|right|"
        "correct|wrong|something|seems|actually|oops|second thought|am i sure|think again|consider|"
        "rethink|re-think|think about",
    ),
    rule(
        Behaviour.BACKTRACKING,
        r"\b(?:this|that|it|which)(?: \w{1,12})? (?:doesn't|does not|didn't|won't|isn't|will not) (?:seem to )?"
        r"(?:work|working|lead anywhere|help)\b",
        r"\b(?:try|use|consider|take|need) (?:a |an |some |yet )?(?:different|another|other|alternative) (?:\w{1,15} )?"
        + WAYS + r"\b",
        LET + r" (?:now |just )?try (?:something else|another|again|others?)\b(?! and again)",
        CLAUSE + r"(?:trying|try) (?:something else|another|again)\b(?! and again)",
        LET + r" (?:instead )?try\b[^.!?\n]{1,50}\binstead\b",
        r"\binstead,? (?:let(?:'s| me| us)|i(?:'ll| will)|we(?:'ll| can| will)) ",
        r"\b(?:is|reached|hit|at|to) a dead[- ]end\b(?! (?:street|road|alley|of)\b)",
        r"\b(?:lead|leads|leading|get|gets|getting|going) (?:us |me )?nowhere\b",
        LET + r" (?:go|step|move|turn|come) back\b(?! (?:to|and (?:re-?)?read) (?:the |what the )?(?:original )?"
        + QUESTION + ")",
        r"\bbacktrack(?:ing)?\b",
        r"\b(?:perhaps|maybe) (?:a |an |the |another )?(?:\w{1,15} )?(?:is|would be) better\b",
        r"\b(?:abandon|scrap|discard|give up on) (?:this|that|the|my)\b",
        r"\b(?:approach|method|idea|attempt|path|plan|factoring|substitution) (?:fails|failed|doesn't work|"
        r"does not work|gets (?:too )?messy|is (?:not working|too (?:complicated|messy|long)))\b",
        r"(?:too (?:big|small|large|low|high|much)|\bnot \d{1,9}|doesn't work|no good|not it|no luck)[.,;:)]{0,3}"
        r"\s{1,3}(?:so |now |then |instead,? |ok,? |okay,? )?(?:let(?:'s| me| us) |i(?:'ll| will) |we )?try\b",
        keys="n't|not|different|another|other|alternative|try|instead|dead|nowhere|back|better|abandon|scrap|discard|"
        "give up|fails|failed|messy|complicated|too long",
    ),
    rule(
        Behaviour.RESTART,
        LET + r" (?:just |better )?(?:start|begin|do (?:this|it)) (?:all )?(?:over|again|from scratch|afresh|anew)\b",
        LET + r" (?:just )?restart\b",
        CLAUSE + r"forget (?:all (?:of )?(?:that|this|the above)|everything)\b",
        CLAUSE + r"(?:restarting|start(?:ing)? (?:over|again|from scratch)|from scratch)\b",
        keys="start|begin|forget|scratch|over|again|afresh|anew",
    ),
    rule(
        Behaviour.RE_READING,
        rf"\bre-?read(?:ing)? (?:the |this |that )?(?:original )?{QUESTION}",
        OPEN + r"re-?read(?:ing)?\s?[:,]|" + LET + r" re-?read\b(?! (?:the |this |that )?book)",
        r"\b(?:go|going|look|looking|come|coming|think|thinking|refer|referring|step|stepping) back (?:to|at) "
        rf"(?:the |our |this )?(?:original |initial |given )?{QUESTION}",
        rf"\breturn(?:ing)? to the (?:original )?{QUESTION}",
        rf"\b(?:read|reading|look|looking)(?: again)?(?: at)? the (?:original )?{QUESTION}(?: statement| text)? "
        r"(?:again|carefully|more carefully|once more|properly)\b",
        rf"\b(?:read|reading|look|looking) again (?:at )?the {QUESTION}",
        rf"\bwhat (?:was|did|is|does) the {QUESTION} (?:again|ask|say|want)",
        rf"(?:\b(?:but|wait|hmm|again|remember|however)),? the {QUESTION} (?:says?|states?|asks?|said|asked|wants)\b",
        keys="read|back|return|look|the question|the problem|statement|prompt|task|puzzle|exercise",
    ),
    rule(
        Behaviour.DECOMPOSITION,
        r"\bbreak(?:ing)? (?:this|it|that|things|everything|the (?:problem|question|task|calculation|expression)) "
        r"(?:\w{1,12} )?(?:down|up|into)\b",
        r"\bstep[- ]by[- ]step\b",
        OPEN + r"step (?:\d{1,2}|one)\s?[:.)–-]",
        OPEN + r"(?:(?:so|now|ok|okay),? )?(?:first(?:ly| of all)?|to (?:begin|start) with),? (?:i|we|let|let's|find|"
        r"compute|calculate|determine|consider|identify|solve|count|get|simplify|figure|work|look|add|multiply|"
        r"subtract|convert|express|write|define|list|factor|expand|rewrite|note)\b",
        OPEN + r"first(?:ly| of all|,)",
        r"\b(?:i|we)(?:'ll| will| should| can| must| have to| need to)? first (?:need|find|compute|calculate|"
        r"determine|solve|have to|want|must|count|simplify|look|get|consider)\b",
        r"\b(?:split|divide|separate|decompose|reduce|partition)(?:ting|ing)? (?:this |the |our )?"
        r"(?:problem|task|question|calculation|work)\b",
        CLAUSE + r"first things first\b|\bthings to (?:work out|find|compute|do)\b",
        r"\bsub-?(?:problem|goal|task|question)s?\b",
        OPEN + r"(?:my |our |the |here's (?:my|the) )?plan(?: is)?\s?[:,]|\bmy plan is\b",
        keys="break|step|first|things|begin with|start with|problem|question|calculation|work|task|goal|plan",
    ),
    rule(
        Behaviour.CASE_ANALYSIS,
        OPEN + r"\**(?:sub-?)?case (?:\d{1,2}|[ivx]{1,4}|[a-d]|one|two|three)(?=\s?[:.,)(–*-]| (?:is|when|where|if)\b)",
        r"\b(?:consider|examine|distinguish|analy[sz]e|handle)[^.!?\n]{0,25}\bcases\b(?! of [a-z]{3})",
        r"\b(?:there are|we have|i have|gives?|get) (?:only |exactly )?(?:\w{1,8} )?(?:possible |different )?cases"
        r"(?= to\b|[:;]| here\b| depending\b)",
        r"\bcases? (?:separately|individually|by case)\b|\bcase[- ]by[- ]case\b",
        r"\bcase(?:work\b| analysis\b)|\bby cases\b",
        r"\bin the (?:first|second|third|other) case\b(?! of)",
        keys="case",
    ),
    rule(
        Behaviour.CONTRADICTION,
        r"\bcontradictions?\b",
        r"\bcontradict(?:s|ing)? (?:the|our|this|that|what|itself|each|one|my|his statement|her statement)\b",
        r"\bcontradictory\b|\bassumption (?:was|is|must be) (?:false|wrong)\b",
        r"\b(?:which|that|this)(?:'s| is| would be) (?:impossible|absurd)\b(?! to)",
        r"\bif so\b[^.!?\n]{1,40}\bimpossible\b",
        keys="contradict|assumption|impossible|absurd",
        unless=r"\b(?:no|not|not an?|without|without an?|any|avoids?|avoiding|n't|n't an?|free of) ",
    ),
    rule(
        Behaviour.WORKING_BACKWARDS,
        r"\bwork(?:ing)? (?:\w{1,12} )?backwards?\b|\bbackward (?:reasoning|chaining|induction)\b",
        r"\b(?:think|thinking|reason|reasoning|solve|solving)(?: this| it)? (?:backwards?|in reverse)\b",
        LET + r" (?:go|count|do (?:this|it)) (?:backwards?|in reverse)\b",
        r"\brevers(?:e|ing) (?:the |these |each |all )?(?:the )?(?:operations?|steps?|process)\b",
        r"\b(?:start|starting|begin|beginning|work|working|go|going)(?: back(?:wards?)?)? (?:from|with|at) the "
        r"(?:end|answer|target|goal|final|result|last)\b",
        r"\bto (?:get|reach|make|end up with|obtain|arrive at) (?:to )?-?\d{1,9},? (?:i|we|the last|the final)\b",
        keys="backward|reverse|reversing|from the|with the|at the|to get|to reach|to make|to end|to obtain|"
        "to arrive",
    ),
)  # fmt: skip

_PAIRS = (
    ("even", "odd"), ("positive", "negative"), ("knight", "knave"), ("true", "false"), ("prime", "composite"),
    ("truth", "lies"), ("truth", "lying"), ("heads", "tails"),
)  # fmt: skip


def both_ways(pairs: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    """Each word's opposites."""
    words = {word for pair in pairs for word in pair}
    return {word: tuple(b if a == word else a for a, b in pairs if word in (a, b)) for word in words}


OPPOSITES = Opposites(
    re.compile(r"\b(?:if|when|suppose|assume|assuming) [^.!?;,\n]{1,40}?\b(even|odd|positive|negative|knight|knave|"
               r"true|false|prime|composite|truth|lies|lying|heads|tails)\b"),
    ("if ", "when ", "suppose ", "assum"),
    both_ways(_PAIRS),
)  # fmt: skip
