"""What runs inside a sandbox: a keeper that starts fresh processes, and in them somebody else's program.

    host ── frames ──> keeper (pid 1 where there are namespaces): waits for its child, tells how it ended, cleans up
                         └─> child: confined, then the program. It talks to the host itself; the keeper only waits.

Three modes. `stdin`: the keeper runs the program once for each input, a new process each time, and sends back what it
printed. `calls`: a child loads the program and answers calls of its functions, one at a time; where it dies, the next
call finds a new one. `check`: a child runs a test whose `candidate` lives in another sandbox: each call goes to the
host as a frame and waits for its answer. Deadlines are the host's: it ends the whole sandbox.

What comes out of here is the program's word and nothing more; no verdict is ever made inside. Standard library only.
Left out on purpose: looking at the program to see whether it is harmless.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import os
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, TextIO

from mull.verify.sandbox import wire

MAX_JOB = 64 << 20
"""Bytes of one frame from the host."""
MAX_WHY = 300
Confine = Callable[[], None]


def serve(host: socket.socket, confine: Confine, sweep: Callable[[], None]) -> None:
    """Run one job until the host closes its end; `sweep` ends whatever processes a child has left behind."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # pid 1 gets only what it has a handler for
    job = wire.receive(host, MAX_JOB)
    if job is None:
        return
    if job["mode"] == "stdin":
        wire.send(host, {"up": True})
        while (order := wire.receive(host, MAX_JOB)) is not None:
            try:
                answer = _run(host, job, order["stdin"], confine)
            except OSError as error:  # no more processes, or memory, on this machine
                answer = {"refused": str(error)}
            wire.send(host, answer)
            sweep()
    else:
        body = _answer_calls if job["mode"] == "calls" else _run_test
        while True:
            pid = os.fork()
            if pid == 0:
                _child(host, lambda: body(host, job), job["limits"], confine)
            status = _wait(pid)
            sweep()
            wire.send(host, {"died": _how(status)})


def _child(host: socket.socket, body: Callable[[], None], limits: dict[str, Any], confine: Confine) -> None:
    """The rest of a child's life: confined, in a session of its own."""
    code = 1
    try:
        os.setsid()
        sys.stdout = sys.stderr = _open(os.devnull, "w")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        limit(limits)
        confine()
        wire.send(host, {"up": True})  # from here on a program is speaking, and "refused" is no word of ours any more
        body()
        code = 0
    except MemoryError:
        code = 77
    finally:
        os._exit(code)


def _open(file: str | int, mode: str) -> TextIO:
    return open(file, mode, encoding="utf-8")  # type: ignore[return-value]


def limit(limits: dict[str, Any]) -> None:
    """Kernel limits of this process; memory is an address space, time is CPU seconds."""
    memory, seconds, file = limits["memory_mb"] << 20, int(limits["seconds"]) + 1, limits["file_mb"] << 20
    wanted = [
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, seconds, 100 * seconds),
        (resource.RLIMIT_FSIZE, file, file),
        (resource.RLIMIT_NOFILE, 128, 128),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_STACK, 64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]),
    ]
    if limits["processes"]:  # where a user namespace counts them; elsewhere the number is the whole user's
        wanted.append((resource.RLIMIT_NPROC, limits["processes"], limits["processes"]))
    for name, soft, hard in wanted:
        most = resource.getrlimit(name)[1]  # nobody may raise it, and whoever started us may have set a lower one
        resource.setrlimit(name, (soft, hard) if most < 0 else (min(soft, most), min(hard, most)))


def _run(host: socket.socket, job: dict[str, Any], text: str, confine: Confine) -> dict[str, Any]:
    """The program once, as a script: what it printed, how it ended, and its CPU seconds."""
    given = os.memfd_create("stdin")
    os.write(given, text.encode("utf-8", "surrogatepass"))
    os.lseek(given, 0, os.SEEK_SET)
    out, out_in = os.pipe()
    err, err_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            for source, target in ((given, 0), (out_in, 1), (err_in, 2)):
                os.dup2(source, target)
            host.close()  # its number may be a high one, where many jobs run
            os.closerange(3, 256)
            sys.stdin, sys.stdout, sys.stderr = _open(0, "r"), _open(1, "w"), _open(2, "w")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            limit(job["limits"])
            confine()
            code = _as_script(job["source"])
        finally:
            os._exit(code)
    for end in (given, out_in, err_in):
        os.close(end)
    printed, complaint, complete = _collect(pid, out, err, job["limits"]["output_bytes"])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = _wait(pid)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "out": printed.decode("utf-8", "replace"),
        "why": complaint.decode("utf-8", "replace")[-MAX_WHY:],
        "how": _how(status) if complete else "output",
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def _as_script(source: str) -> int:
    """Run `source` as `__main__`; the exit code."""
    try:
        load(source, "__main__")
        return 0
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException as error:
        with contextlib.suppress(Exception):
            sys.stderr.write(said(error))
        return 1
    finally:
        # what the end of an interpreter does: wait for threads, run exit functions, flush
        for end in (threading._shutdown, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):  # type: ignore[attr-defined]
            with contextlib.suppress(Exception):
                end()


def _collect(pid: int, out: int, err: int, limit: int) -> tuple[bytes, bytes, bool]:
    """What the process prints until it ends; it is killed once it has printed more than `limit` bytes."""
    data = {out: bytearray(), err: bytearray()}
    watched = select.poll()
    ended = os.pidfd_open(pid)
    for descriptor in (out, err, ended):
        watched.register(descriptor, select.POLLIN)
    over, complete = False, True
    while not over:
        ready = [descriptor for descriptor, _ in watched.poll()]
        over = ended in ready
        for end in [out, err] if over else ready:
            os.set_blocking(end, False)
            while True:
                try:
                    piece = os.read(end, 1 << 16)
                except BlockingIOError:
                    break
                if not piece:
                    with contextlib.suppress(KeyError):
                        watched.unregister(end)
                    break
                data[end] += piece
                if len(data[end]) > limit:
                    if end == err:
                        del data[end][:-MAX_WHY]
                        continue
                    over, complete = True, False
                    os.kill(pid, signal.SIGKILL)
                    break
    for descriptor in (out, err, ended):
        os.close(descriptor)
    return bytes(data[out][:limit]), bytes(data[err][-4 * MAX_WHY :]), complete


def load(source: str, name: str) -> dict[str, Any]:
    """Execute `source` as the module `name`."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, "program.py", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def _answer_calls(host: socket.socket, job: dict[str, Any]) -> None:
    """Load the program, say so, then answer calls until the host has no more."""
    try:
        names = load(job["source"], job.get("module", "__main__"))
    except BaseException as error:
        wire.send(host, {"loaded": False, "why": said(error)})
        return
    wire.send(host, {"loaded": True})
    while (order := wire.receive(host, MAX_JOB)) is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + job["limits"]["seconds"]) + 1
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        wire.send(host, called(names, order))
    os._exit(0)


def called(names: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    """`{"value": tree, "args": trees}` or `{"raised": name, "why": text}`."""
    try:
        function = _found(names, order["call"])
        args = [wire.from_tree(tree) for tree in order["args"]]
        value = function(*args, **{key: wire.from_tree(tree) for key, tree in order.get("kwargs", {}).items()})
        answer = {"value": wire.to_tree(value)}
        if order.get("args_back"):
            answer["args"] = [wire.to_tree(arg) if type(arg) in (list, dict, set) else None for arg in args]
        return answer
    except BaseException as error:
        return {"raised": type(error).__name__[:80], "why": said(error)}


def _found(names: dict[str, Any], path: str) -> Any:
    """`solve`, or `Solution.solve`: a method of a new object, as LeetCode's problems have it."""
    name, _, method = path.partition(".")
    if name not in names:
        raise NameError(f"the program defines no {name}")
    return getattr(names[name](), method) if method else names[name]


def _run_test(host: socket.socket, job: dict[str, Any]) -> None:
    """Run the problem's own tests; the names in `candidate` are functions that live in the other sandbox.

    A name that the prelude defines stays the prelude's, but `entry` is always the candidate's.
    """
    number = 0

    def proxy(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            sent = {key: wire.to_tree(value) for key, value in kwargs.items()}
            order = {"call": name, "args": [wire.to_tree(arg) for arg in args], "kwargs": sent, "test": number}
            wire.send(host, order)
            return _answered(wire.receive(host, MAX_JOB), args)

        call.__name__ = name
        return call

    try:
        names = load(job["prelude"], "__main__")
    except BaseException as error:
        wire.send(host, {"results": None, "why": said(error)})
        os._exit(0)
    names.update({name: proxy(name) for name in job["candidate"] if name == job["entry"] or name not in names})
    results = []
    for number, test in enumerate(job["tests"]):
        try:
            exec(compile(test, f"test_{number}.py", "exec", dont_inherit=True), names)
            results.append("")
        except BaseException as error:
            results.append(said(error) or type(error).__name__)
    wire.send(host, {"results": results})
    os._exit(0)


class CandidateError(Exception):
    """What the candidate raised, where it is no built-in exception, or one that means the end of an iteration."""


class CandidateEnded(BaseException):
    """There is no answer: it ran out of something, or gave what cannot cross. No `except Exception` holds it."""


def _answered(answer: dict[str, Any] | None, args: tuple[Any, ...]) -> Any:
    if answer is None:
        os._exit(0)
    if "ended" in answer:
        raise CandidateEnded(answer["ended"])
    if "raised" in answer:
        kind = getattr(builtins, answer["raised"], None)
        # the end of an iteration would end the test's own loop over the calls, as if there were no more of them
        ends = (StopIteration, StopAsyncIteration)
        ordinary = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, ends)
        raise kind(answer["why"]) if ordinary and kind else CandidateError(answer["why"])
    for arg, tree in zip(args, answer.get("args", ()), strict=False):
        if tree is not None:  # the function changed its argument in place
            changed = wire.from_tree(tree)
            if isinstance(arg, list) and isinstance(changed, list):
                arg[:] = changed
            elif isinstance(arg, dict | set) and type(changed) is type(arg):
                arg.clear()
                arg.update(changed)
    return wire.from_tree(answer["value"])


def said(error: BaseException) -> str:
    with contextlib.suppress(Exception):
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        line = error.__traceback__
        number = 0
        while line is not None:
            if line.tb_frame.f_code.co_filename in ("program.py",) or line.tb_frame.f_code.co_filename[:5] == "test_":
                number = line.tb_lineno
            line = line.tb_next
        return (text + (f" (line {number})" if number else ""))[:MAX_WHY]
    return "an exception that cannot be shown"


def _wait(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def _how(status: int) -> str:
    """How a process ended: `exit`, `error`, `cpu`, `memory`, or the name of a signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "cpu"
        return "killed" if number == signal.SIGKILL else signal.Signals(number).name
    code = os.waitstatus_to_exitcode(status)
    return "exit" if code == 0 else "memory" if code == 77 else "error"
