"""Phrases of Chinese that show what a thought does.

Chinese puts no spaces between words, so false friends are kept out by what stands beside: 等等 is doubt only where a
sentence or clause begins (苹果、梨等等 ends a list), 检查 only with a word for "once more" or "a moment" after it or the
writer before it (医生检查身体), 情况 only where it is numbered or divided (身体情况, 在这种情况下), 矛盾 not after a
negation. Simplified characters; a few traditional ones. Left out on purpose: segmentation by dictionaries.
"""

from __future__ import annotations

import re

from mull.analysis.behaviours.english import both_ways
from mull.analysis.behaviours.rules import Opposites, rule
from mull.analysis.behaviours.table import Behaviour

OPEN = r"(?:^|(?<=[。！？!?…\n，,；;：:（(\s]))"
WAYS = r"(?:思路|方法|办法|角度|做法|方式|路|解法|策略|组合|途径)"
QUESTION = r"(?:题目|题干|题意|原题|问题|题)"
ONCE = r"(?:一下|一遍|一次|下|看看|结果|答案|计算|[：:，,])"

RULES = (
    rule(
        Behaviour.SELF_VERIFICATION,
        r"[验驗][证證算]|检验(?!员|科|部|机构)|核对|核实|复核|回代|代回",
        rf"检查{ONCE}|(?:让我|我们|我|再|来)(?:来|再)?检查(?!\s?\d)",
        r"代入[^。！？\n]{0,10}[检验]",
        r"再(?:计算|算|核算|确认|数)(?:一遍|一次|一下)|确认一下",
        unless=r"(?:不需要?|无需|不用|不必|没必要|无须|没有必要|不再|未)(?:再|去|进行)?",
    ),
    rule(
        Behaviour.REFLECTION,
        OPEN + r"(?:哦|嗯|啊)?[，,]?(?:等等|等一下|等一等|等下|且慢|慢着)(?=[，,。！!…：:？?\s]|$|这|那|我|不|好|题)",
        r"嗯(?=[，,。…\s！]|$)|呃(?=[，,。…])",
        OPEN + r"(?:这|这样|好像|似乎|这个)?(?:也)?不对(?=[，,。！!…：:\s]|$|啊|呀|吧)",
        r"(?:好像|似乎)(?:有点)?不(?:太)?对|不太对|(?<!没)有问题(?=[，,。！!]|$)|不太可能(?=[，,。])",
        r"(?:我|刚才|前面|之前|上面)[^。！？\n，,]{0,8}(?:错了|漏掉|漏了|忽略了|忘了|忘记了|搞混|误解)",
        r"(?:我|刚才|前面|之前|上面)[^。！？\n，,]{0,8}(?:算|弄|搞|看|写|想|理解|记)错",
        OPEN + r"(?:哦|糟糕|哎呀)[，,！!]",
        OPEN + r"(?:其实|实际上)[，,]?",
        r"重新(?:考虑|思考|审视)(?!题)|再想想|让我想想|再想一想",
    ),
    rule(
        Behaviour.BACKTRACKING,
        r"行不通|走不通|此路不通|不可行|死胡同|回溯",
        rf"换(?:另)?(?:一|另一)?[个种条]?(?:别的|其他)?{WAYS}|另(?:外)?一[种个条]{WAYS}|别的{WAYS}",
        r"(?:再|重新|改|另)(?:试|尝试)(?:一|另|别|其他|其它|下|试|个|种)",
        r"试试(?:别|其他|另|其它|换)",
        r"(?:这样|方法|这条路|这|此法|思路)(?:是|就|也|都)?(?:不行|不成|不通|没用)",
        rf"回到(?:第|前|之前|上|原来|最初|刚才)(?![^。，\n]{{0,4}}{QUESTION})",
        r"放弃(?:这|该|此)",
    ),
    rule(
        Behaviour.RESTART,
        r"(?:" + OPEN + r"|让我|让我们|我们|我|还是|来|得|需要)重新(?:开始|来过?|做)(?!题)",
        r"从头(?:再来|开始|来过?|再|算|做|推)",
    ),
    rule(
        Behaviour.RE_READING,
        rf"(?:再|重新|回头|仔细|回去)(?:次|来|再)?(?:看|读|审|阅读|审视)(?:看|一看|一遍|一下|一次|下)?"
        rf"(?:这道|这个|该|一下)?{QUESTION}",
        rf"回到(?:原来的?|最初的?)?{QUESTION}(?!数)",
        r"题目(?:说|问|要求|要)的是",
    ),
    rule(
        Behaviour.DECOMPOSITION,
        OPEN + r"首先(?!到|出发|抵达|冲)",
        OPEN + r"第[一1]步(?=[，,：:、是先求计我]|\s)",
        r"分步|一步一?步|逐步(?:计算|求|解|分析|来|推)|按步骤",
        r"(?:分解|拆分|拆解|拆|分)(?:成|为)[^。！？\n]{0,8}(?:步|问题|小题)|子问题|子目标|小问题",
        r"先(?:求|算|计算|找|确定|考虑|解|看|列|设)[^。！？\n]{0,30}(?:再|然后|接着|之后)",
    ),
    rule(
        Behaviour.CASE_ANALYSIS,
        OPEN + r"情况\s?[一二三四五1-5①-⑤](?!\S*[年月])",
        r"分(?:成|为)?(?:以下)?[两二三四几2-5]?\s?[种个]?情况(?:[：:，,。讨考来]|分析)",
        r"(?:有|考虑|存在|讨论)(?:以下)?[两二三四几2-5]\s?种(?:可能的?|不同的?)?情况",
        r"分类讨论|逐一讨论|第[一二三四五]种情况",
    ),
    rule(
        Behaviour.CONTRADICTION,
        r"矛盾",
        r"反证|归谬",
        r"(?:不可能|不能)成立|假设不成立",
        unless=r"(?:不|没有?|无|闹|避免|不存在|毫无|不会)(?:任何|相互|产生|出现|了)?",
    ),
    rule(
        Behaviour.WORKING_BACKWARDS,
        r"[倒逆反]推|倒着(?:推|算|想|来)|逆向(?:思考|推理|思维|计算|推导)|反过来(?:推|想|算|思考)|往回(?:推|算)",
        r"从(?:结果|答案|目标|终点|结论)(?:出发|开始|往回|反|入手)",
        r"(?:要|为了)(?:得到|凑出|凑成|达到|得出)\s?\d{1,9}\s?[，,]",
    ),
)

OPPOSITES = Opposites(
    re.compile(r"(?:当|若|如果|假如|假设|设)[^。，,；;！？\n]{0,12}?(偶数|奇数|正数|负数|质数|合数|真话|假话|骑士|无赖)"),
    both_ways((("偶数", "奇数"), ("正数", "负数"), ("质数", "合数"), ("真话", "假话"), ("骑士", "无赖"))),
)
