"""Equality beyond spelling, and what must stay different: one pair a line, `reference | answer`."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.core.types import Problem, Verdict, VerdictKind
from mull.verify import numeric, verify
from mull.verify.parse import Unreadable

SAME = r"""
1000000 | 1\,000\,000
(3,\infty) | \{x \mid x>3\}
x>3 | \{x : x>3\}
\frac{1}{2} | $\dfrac{1}{2}$.
\frac{1}{2} | \(\frac{1}{2}\)
\frac{1}{2} | \[\frac{1}{2}\]
8,-8 | \pm 8
\sqrt{x^2} | |x|
50\% | 1/2
2 | \log_{10} 100
x^2-1 | (x+1)(x-1)
6 | 3!
x^2+2x | P(x)=x^2+2x
-1,2 | x=-1 \text{ and } x=2
-1,2 | x_1=-1, x_2=2
12 | \boxed{12}
12 | $$12$$
\frac{\sqrt{3}}{3} | \frac{1}{\sqrt{3}}
\frac{-1+\sqrt{5}}{2} | \frac{\sqrt5-1}{2}
2\sqrt{2} | \sqrt{8}
\text{A} | A
C | \textbf{(C)}
\frac{3}{4} | 0.75
\frac{3}{4} | 75\%
1{,}000 | 1000
x=3 | 3
\left(\frac{1}{2},\frac{1}{3}\right) | (0.5, 1/3)
5\sqrt{13} | 5 \sqrt{13}
[1,2] | 1\le x\le 2
\text{Friday} | Friday.
3^{2/3} | \sqrt[3]{9}
\frac{\pi^2}{6} | \pi^2/6
(x-2)^2+(y+3)^2=25 | x^2-4x+y^2+6y=12
y=\frac{1}{2}x+3 | 2y=x+6
\frac{1}{\sin x} | \csc x
\tan x | \frac{\sin x}{\cos x}
\ln 8 | 3 \ln 2
1/4 | \sin^2 30^\circ
\begin{pmatrix} 1/2 \\ 3 \end{pmatrix} | \begin{bmatrix} 0.5 \\ 3 \end{bmatrix}
2x^2 | 2x^{2}
a^{2}b | ba^2
11_{2} | 11_2
32,\!348 | 32348
6.02\times 10^{23} | 6.02e23
4\pi \text{ cm}^2 | 4\pi
1-\sqrt{2}, 1+\sqrt{2} | 1\pm\sqrt{2}
10!-1 | 3628799
\frac{11}{2} | 5\tfrac{1}{2}
\frac{11}{2} | 5 \frac{1}{2}
\frac{11}{2} | 5\frac12
0 | 0^\circ
none | \text{None}
\cot 60^\circ | \frac{1}{\sqrt 3}
\$18.90 | $\$18.90$
28\% | .28
7 3/4 | 7.75
7\frac{3}{4} | 31/4
\cos 60^\circ | 1/2
1/2 | \cos 60^\circ
-1 | e^{\pi i}
(-\infty,-1)\cup(1,\infty) | x<-1 \text{ or } x>1
x<-1 \text{ or } x>1 | (-\infty,-1)\cup(1,\infty)
101_2 | 5
101_2 | 101_2
73 | **73**
9/7 | \dfrac{9}{7}
3x-y+13=0 | 3*x-1*y+13=0
\text{(B)} | B
B | (B)
2 | \sqrt[3]{8}
2 | 8^{1/3}
1024 | 2^{10}
1500 | 1.5 \times 10^3
3 | \log_2 8
\log_2 9 | 2\log_2 3
1 | \sin^2 x+\cos^2 x
\varnothing | \emptyset
\varnothing | \{\}
\infty | +\infty
x^2 | f(x)=x^2
0.5 | ½
42 | ４２
\tan 1 | \frac{\sin 1}{\cos 1}
\sqrt{2+\sqrt{3}} | \frac{\sqrt{6}+\sqrt{2}}{2}
\sqrt{3+2\sqrt2} | 1+\sqrt 2
\frac{\pi}{4} | \arctan 1
\frac{1}{x-1} | -\frac{1}{1-x}
\frac{x+1}{x^2-1} | \frac{1}{x-1}
\frac{1}{x}+\frac1y | \frac{x+y}{xy}
2^{n+1} | 2\cdot 2^n
e^{2x} | (e^x)^2
n! | n(n-1)!
\frac{n(n-1)}{2} | \binom{n}{2}
\begin{pmatrix}1 & 2\\3 & 4\end{pmatrix} | [[1,2],[3,4]]
(x,y)=(1,2) | (1,2)
(1,2) | (x,y)=(1,2)
\{1,2\} | S=\{2,1\}
x \ge 3 | [3,\infty)
x > 3 | 3 < x
[-2,7] | -2 \le x \le 7
x\neq 2 | (-\infty,2)\cup(2,\infty)
\langle 1,2\rangle | (1,2)
5 | x=5
x=5 | 5
5 | 5=x
x=1,y=2 | x=1, y=2
x=1,y=2 | y=2, x=1
(-4, 27);(2, 15) | (2,15),(-4,27)
y=e^{x+1} | y=e\cdot e^x
\sqrt[3]{x} | x^{1/3}
x^{2/3} | \sqrt[3]{x^2}
\sqrt{1/n} | 1/\sqrt n
|x-1| | |1-x|
2004! | 2004!
3\sqrt{5} | \sqrt{45}
12 | 12\text{ hours}
\$10 | 10 dollars
10\% | 10\%
\frac{1}{3} | 0.\overline{3}
6 | \text{6 apples}
\text{no solution} | no solutions
yes | Yes
even | \text{even}
1.2e3 | 1200
10^{-3} | 0.001
i | \sqrt{-1}
3+4i | 4i+3
1/e | e^{-1}
\frac{5\pi}{6} | 150^\circ
(3,\frac{\pi}{2}) | (3, \pi/2)
\pi r^2 | r^2\pi
\sum_{k=1}^{n} k | n(n+1)/2
\lfloor 7/2 \rfloor | 3
3:1 | 3:1
7:30 | 7:30
-\frac{1}{2} | \frac{-1}{2}
-\frac12 | \frac{1}{-2}
0 | -0
10,000,000 | 10000000
a+b | b+a
2x+3y | 3y+2x
30^\circ | 30
120 \text{ degrees} | 120^\circ
\text{Monday} | monday
1 \text{ or } 2 | 2, 1
\frac{2}{3}, -1 | -1, 2/3
\{(1,2),(3,4)\} | (3,4),(1,2)
C | \boxed{\textbf{(C)}\ 12}
C | \boxed{(C) 12}
\text{(C)} | \boxed{\textbf{(C) }12}
7:30 PM | 7:30 p.m.
7:30 \text{ p.m.} | 07:30 PM
12 | twelve
21 | \text{twenty-one}
\ln x+\ln y | \ln(xy)
\ln(xy) | \ln x+\ln y
(-5,5) | |x|<5
[-5,5] | |x| \le 5
(-\infty,-1)\cup(1,\infty) | |x|>1
\begin{pmatrix} 1 \\ 2 \end{pmatrix} | \begin{pmatrix} 1 \\[6pt] 2 \end{pmatrix}
\emptyset | \text{no solution}
\text{No real solutions} | \varnothing
\mathbb R | (-\infty,\infty)
(2,-1) | x=2, y=-1
(2,-1) | y=-1 \text{ and } x=2
36 | m+n = 36
\frac12 | P(A) = \frac12
5 | f(2)=5
5 | \boxed{\text{Area} = 5}
5 | a_{10} = 2+3 = 5
f(10)=n+1 | f(10)=1+n
5 | |AB| = 5
5 | x_{max} = 5
60 | \angle ABC = 60^\circ
3x^2 | f'(x)=3x^2
(1,2) | \{x \in \mathbb{R} : 1<x<2\}
9 | 9~\text{apples}
36 | m + n = 27+9 = 36
73 | 100m+n=73
\frac{2}{3} | \frac{2}{3} \approx 0.667
\sqrt{2} | \sqrt{2} \approx 1.414
16 | \boxed{16\,}
25 | \boxed{25 \\}
\frac{3}{4} | ¾
2,3 | {2, 3}
15 | 15^{\text{th}}
3 | 3 \pmod 7
50\% | 50 per cent
\$5 | 5 \text{ dollars}
\$5 | 5 \text{ dollars per hour}
5 | 5 \text{ m}^2
x=5 | X = 5
"""
DIFFERENT = r"""
12\text{ cm} | 12\text{ cm}^2
1000 | 1,000,0
x>3 | x<3
42 | \{x \mid x>3\}
42 | \{x \mid x=42\}
x^2 | x^3
\frac{1}{2} | \frac{1}{2}x
0.1 | 0.10000000000000000001
10 | 10!
5\text{ dollars} | 5\text{ cents}
\text{A} | \text{B}
A | a or B
42 | 42, 41
42 | forty-three
1,2 | 1,2,2,3
(1,2) | (1,2),(3,4)
(-1)^n | 1
n-m | -2
(-1)^k | 1
\lfloor n/2 \rfloor | n/2
A | (A) or (B)
3 hours | 3 minutes
1/2^{99} | 1/2^{98}
\frac{1}{3\cdot 2^{2006}} | \frac{2^{2005}+1}{3\cdot 2^{2006}}
1-1/e | 1+1/e
42 | x
42 | f(x)=0
42 | 42 \text{ or } 43
42 | 42 (or maybe 41)
42 | (-\infty,\infty)
42 | x \ge 42
42 | 42 \pm 0.5
42 | 41 < 42
42 | \approx 42.3
42 | \le 42
42 | 6 7
5 | 2 3
42 | 4 2
0 | e^{-200}
0 | 10^{-60}
1 | 1+10^{-60}
1 | 1+2^{-5000}
1 | 1 + e^{-300}
x | |x|
x | \sqrt{x^2}
\ln x | \ln|x|
\pi | 3.14159265358979323846
\pi | 22/7
x=1,y=2 | x=2,y=1
\sqrt{2} | 1.41421356
1/3 | 0.333333
2.5 | 2
(1,2) | [1,2]
(1,2) | 1,2
[1,2] | \{1,2\}
1,2 | (1,2)
\begin{pmatrix}1 & 2\end{pmatrix} | \begin{pmatrix}2 & 1\end{pmatrix}
\text{listen} | silent
42 | 42, 42, 41
x^2+1 | x^2-1
e^x | e^{-x}
\sin x | \sin (x+1)
n! | n
y=2x | y=2x+1
y=2x | y=-2x
x<2 | x>2
x<2 | x\le 2
42 | \infty
101_2 | 101_3
42 | 42!
1 | 0!+1
\log x | \ln x
42 | \int_0^{42}1 dx
42 | \text{the answer is 42 or 43}
42 | none
42 | true
42 | 42 = 42 = 43
42 | 6*7=43
42 | 0x2A
42 | \{42, x\}
2:3 | 3:2
12:30 | 12.5
\frac{0}{0} | 1
9 | \sqrt{81} \text{ or } -9
7 | ٧ or 8
\frac{3+\sqrt5}{2} | 2.618033988
3 | 3:1
\lfloor 7/2 \rfloor | 4
\sum_{k=1}^{n} k | n^2
x=5 | y=5
5 | |x| = 5
5 | f(2)=6
5 | \boxed{\text{Area} = 5 = 6}
42 | \max(41,42)
42 | \min(42,43)
2x+3 | \boxed{x=2x+3}
x+y=5 | 5
42 | x+y=41
C | \boxed{(C) or D}
C | \boxed{C. D.}
C | \boxed{C) 12 D) 13}
C | \boxed{(C) 12, B) 3}
C | \boxed{C: 12 or D: 13}
0 | 0 \cdot \infty
0 | \infty-\infty
1 | \infty/\infty
\infty | -\infty
5 | \boxed{5\text{ or more}}
5 | \boxed{5\text{ or six}}
5 | \boxed{5\text{, maybe 6}}
5 | \boxed{5\text{ minus one}}
5 | \boxed{5\text{ less}}
5 | \boxed{5\text{ cubed}}
5 | \boxed{5\text{ with 6}}
5 | \boxed{5 lakh}
5 | \boxed{5\text{ dozens}}
\$5 | 5 cents
\$5 | €5
\$5 | 5 \text{ euros}
7:30 PM | 7:30 AM
12 | thirteen
(-5,5) | |x|\le 5
(-5,5) | |x|>5
[-5,5] | |x|\le -5
(2,-1) | x=-1, y=2
(2,-1) | x=2, t=-1
\sqrt{2} | \sqrt{2} \approx 1.5
42 | 42 \approx 43
3 \pmod 7 | 3 \pmod 5
"""


def judged(line: str) -> Verdict:
    gold, answer = line.split(" | ", 1)
    return verify(Problem("row", (), "math", {"answer": gold}), answer)


@pytest.mark.parametrize("line", SAME.strip().splitlines())
def test_the_same(line: str) -> None:
    assert judged(line).correct, judged(line)


@pytest.mark.parametrize("line", DIFFERENT.strip().splitlines())
def test_different(line: str) -> None:
    assert judged(line).kind in (VerdictKind.WRONG, VerdictKind.AMBIGUOUS, VerdictKind.NO_ANSWER), judged(line)


small = st.fractions(min_value=Fraction(1, 9), max_value=9, max_denominator=9)


@given(small, small)
def test_the_rules_of_powers_hold(a: Fraction, b: Fraction) -> None:
    assert numeric.equal(f"e^{{{a}}} * e^{{{b}}}", f"e^{{{a + b}}}")
    assert numeric.equal(f"\\ln ({a}) + \\ln ({b})", f"\\ln ({a * b})")
    assert numeric.equal(f"x^{{{a}}} x^{{{b}}}", f"x^{{{a + b}}}") or a.denominator % 2 == 0 or b.denominator % 2 == 0
    assert numeric.equal(f"\\sin ({a}) ^2 + \\cos ({a}) ^2".replace(") ^2", ")"), "1") is False
    assert numeric.equal(f"(\\sin ({a}))^2 + (\\cos ({a}))^2", "1")


@given(small, st.integers(1, 60))
def test_no_difference_is_too_small(value: Fraction, places: int) -> None:
    """A tolerance that is absolute, or a float, would call these equal."""
    assert not numeric.equal(f"{value}", f"{value}+10^{{-{places}}}")
    assert not numeric.equal(f"10^{{-{places}}}", f"2*10^{{-{places}}}")
    assert not numeric.equal("\\pi ", f"\\pi +10^{{-{places}}}")


def test_what_is_no_formula_is_said() -> None:
    with pytest.raises(Unreadable):
        numeric.equal("\\lfloor x \\rfloor ", "x")


def test_an_equation_is_told_up_to_a_constant_factor() -> None:
    assert numeric.proportional("y-\\ln x", "2*\\ln x - 2*y")
    assert not numeric.proportional("y-\\ln x", "(y-\\ln x)*x")
    assert not numeric.proportional("y-x", "0")
