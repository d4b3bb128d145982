"""The process that answers what our own grammar cannot: sympy, behind a wall.

    caller ── control socket ──> zygote: single-threaded, has imported sympy, forks on request and reaps
       └───── job socket ──────> worker: one pair at a time; its own timer kills it at the deadline

Started by `pool` as `python -P -c …`; never imported by training. A worker reads LaTeX with latex2sympy2_extended,
which builds sympy objects from a grammar (no `eval`, no `sympify` of text), and compares values as `numeric` does.
Its memory is limited, it opens no files, and it says nothing but one JSON object for each job. Left out on purpose:
`simplify`, whose running time nobody can bound and whose verdicts depend on it.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import struct
import warnings
from typing import Any

from mull.verify import numeric

MAX_JOBS = 200
"""After so many a worker is replaced: sympy's caches grow."""
MEMORY = 1 << 30
"""Bytes of address space that a worker may add to what the zygote had."""
_FRAME = struct.Struct("!I")


def zygote(descriptor: int) -> None:
    """Serve the control socket until its other end closes: `F` forks a worker, `K` and a number kills and reaps one."""
    warnings.simplefilter("ignore")
    control = socket.socket(fileno=descriptor)
    _value_pairs("x+1", "\\frac{1}{2}")  # imports, and fills the parser's tables, once for all workers
    gc.collect()
    gc.freeze()
    control.sendall(b"ready")
    children: set[int] = set()
    while True:
        order = control.recv(64)
        for pid in list(children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                children.discard(pid)
        if not order:
            break
        if order[:1] == b"F":
            children.add(_fork(control))
        elif order[:1] == b"K":
            _kill(int(order[1:]), children)
            control.sendall(b"killed")
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _kill(pid: int, children: set[int]) -> None:
    """Only a child that is not reaped yet: its number can belong to nobody else."""
    if pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        children.discard(pid)


def _fork(control: socket.socket) -> int:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            control.close()
            ours.close()
            _work(theirs)
        finally:
            os._exit(0)
    theirs.close()
    socket.send_fds(control, [str(pid).encode()], [ours.fileno()])
    ours.close()
    return pid


def _limit() -> None:
    with open("/proc/self/statm", encoding="ascii") if os.path.exists("/proc/self/statm") else open(os.devnull) as file:
        pages = int((file.read().split() or ["0"])[0])
    if pages:
        bound = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _work(jobs: socket.socket) -> None:
    _limit()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for left in reversed(range(MAX_JOBS)):
        job = receive(jobs)
        if job is None:
            return
        signal.setitimer(signal.ITIMER_REAL, job["seconds"])
        answer = {**_answer(job["gold"], job["answer"]), "last": not left}
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(jobs, answer)
        if answer.get("error"):
            return


def _answer(gold: str, answer: str) -> dict[str, Any]:
    try:
        return {"equal": bool(numeric.agree(_value_pairs(gold, answer)))}
    except MemoryError:
        return {"error": "out of memory"}
    except Exception as error:
        # the parser raises bare Exceptions, and sympy anything: text that it cannot read is equal to nothing
        return {"equal": False, "why": f"{type(error).__name__}: {error}"[:100]}


def _value_pairs(gold: str, answer: str) -> list[tuple[numeric.Pair, numeric.Pair]]:
    sides = [_expression(gold), _expression(answer)]
    names = sorted({symbol.name for side in sides for symbol in side.free_symbols})
    pairs = []
    for point in range(numeric.POINTS if names else 1):
        values = [[_value(side, point, digits) for side in sides] for digits in (60, 110)]
        if all(value is not None for row in values for value in row):
            pairs.append(((values[0][0], values[0][1]), (values[1][0], values[1][1])))
    return pairs


def _expression(text: str) -> Any:
    import sympy
    from latex2sympy2_extended import latex2sympy

    expression: Any = latex2sympy(text)
    if not isinstance(expression, sympy.Expr):
        raise ValueError("not one formula")
    known = {"e": sympy.E, "i": sympy.I, "pi": sympy.pi}
    letters: list[Any] = list(expression.free_symbols)
    return expression.xreplace({s: known[s.name] for s in letters if s.name in known})


def _value(expression: Any, point: int, digits: int) -> Any:
    """An mpmath number, or None where it has no finite value."""
    import sympy

    letters = {}
    for symbol in expression.free_symbols:
        value = numeric.letter(symbol.name, point)
        letters[symbol] = sympy.Rational(value.numerator, value.denominator)
    value = expression.xreplace(letters).doit().evalf(digits)
    if not value.is_number or value.is_finite is False or value.has(sympy.zoo, sympy.nan, sympy.oo):
        return None
    real, imaginary = value.as_real_imag()
    if not (real.is_Number and imaginary.is_Number):
        return None
    return numeric.number(real._to_mpmath(digits * 4), imaginary._to_mpmath(digits * 4) if imaginary else None, digits)


def send(to: socket.socket, message: dict[str, Any]) -> None:
    """One JSON object, its length before it."""
    data = json.dumps(message).encode()
    to.sendall(_FRAME.pack(len(data)) + data)


def receive(source: socket.socket) -> dict[str, Any] | None:
    """The next JSON object, or None when the other end is closed."""
    head = _exactly(source, _FRAME.size)
    body = _exactly(source, _FRAME.unpack(head)[0]) if head else None
    return json.loads(body) if body else None


def _exactly(source: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data
