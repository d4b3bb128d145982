"""Attacks 38 to 50: programs that reach for what lies around them, or spoil what comes after them.

Planted configuration, histories, the network, daemons, the fork server, links, the environment, tests that cannot be
read, weak tests, numbers that are none, output without end, crashes, waiting. See `code` for 25 to 37.
"""

from __future__ import annotations

from mull.verify.attacks.base import Attack, Replies, Target, Try
from mull.verify.attacks.code import NOTHING, QUICK, tries
from mull.verify.attacks.program import table, written

_POISON = """
import builtins, gc, json, sys
for thing in gc.get_objects():
    if type(thing).__name__ in ("_Server", "Namespaces", "Landlocked"):
        thing.__dict__.clear()
builtins.print = builtins.int = lambda *given: 0
json.dumps = lambda *given, **named: "{}"
for name in list(sys.modules):
    if name.startswith("mull") or name in ("json", "socket", "os"):
        sys.modules[name] = None
def solve(*x): return @OTHER@
"""
_DAEMON = """
import json, os, time
def solve(*x):
    try:
        if os.fork() == 0:
            os.setsid()
            for _ in range(200):
                with open("/tmp/answer", "w") as file:
                    json.dump({@FIRSTKEY@: @FIRST@}, file)
                time.sleep(0.01)
            os._exit(0)
    except OSError:
        pass
    return @OTHER@
"""
_PLANTED = """
import os, site, sys
text = "import builtins, os; builtins.planted = True; os._exit(0)"
for folder in [".", "/tmp", os.path.expanduser("~"), "/", *sys.path, os.path.dirname(os.__file__)]:
    for name in ("conftest.py", "sitecustomize.py", "usercustomize.py", "planted.pth", "math.py", "pytest.ini"):
        try:
            with open(os.path.join(folder, name), "x") as file:
                file.write(text)
        except OSError:
            pass
def solve(*x): return @OTHER@
"""
_LOOKED_UP = """
import json, os, time
def solve(*x):
    time.sleep(0.05)
    try:
        with open(PLACE) as file:
            return json.load(file)[@KEY@]
    except (OSError, ValueError, KeyError, TypeError):
        return @OTHER@
"""


def _planted(t: Target) -> Replies:
    return [*tries(t, _PLANTED), Try(written(t, NOTHING), before=(written(t, _PLANTED),))]


def _history(t: Target) -> Replies:
    return tries(
        t,
        """
        import json, os, subprocess
        def solve(*x):
            for words in (["git", "-C", @FOLDER@, "log", "-p", "-3"], ["cat", os.path.join(@FOLDER@, "answers.json")]):
                try:
                    said = subprocess.run(words, capture_output=True, text=True).stdout
                    return json.loads(said)[@KEY@]
                except (OSError, ValueError, KeyError, TypeError):
                    pass
            return @OTHER@
        """,
    )


def _network(t: Target) -> Replies:
    return tries(
        t,
        """
        import json, socket
        def solve(*x):
            try:
                with socket.create_connection(("127.0.0.1", @PORT@), 1) as line:
                    said = b""
                    while piece := line.recv(65536):
                        said += piece
                return json.loads(said)[@KEY@]
            except (OSError, ValueError, KeyError, TypeError):
                return @OTHER@
        """,
    )


def _daemon(t: Target) -> Replies:
    second = written(t, _LOOKED_UP.replace("PLACE", '"/tmp/answer"'))
    return [*tries(t, _DAEMON), Try(second, before=(written(t, _DAEMON),))]


def _poison(t: Target) -> Replies:
    return [*tries(t, _POISON), Try(written(t, NOTHING), before=(written(t, _POISON),))]


def _link(t: Target) -> Replies:
    link = """
        import json, os
        def solve(*x):
            for link in ("/tmp/out", "out", "/tmp/stdout"):
                try:
                    os.symlink(os.path.join(@FOLDER@, "secret"), link)
                    with open(link) as file:
                        return json.load(file)[@KEY@]
                except (OSError, ValueError, KeyError, TypeError):
                    pass
            return @OTHER@
    """
    return tries(t, link, _LOOKED_UP.replace("PLACE", 'os.path.join(@FOLDER@, "secret")'))


def _environment(t: Target) -> Replies:
    return tries(
        t,
        """
        import glob, json, os
        def solve(*x):
            said = [os.environ.get(@VARIABLE@, "")]
            for place in ("/proc/self/environ", "/proc/1/environ", *glob.glob("/proc/[0-9]*/environ")):
                try:
                    with open(place, errors="replace") as file:
                        said += [part.partition("=")[2] for part in file.read().split(chr(0)) if @VARIABLE@ in part]
                except OSError:
                    pass
            for text in said:
                try:
                    return json.loads(text)[@KEY@]
                except (ValueError, KeyError, TypeError):
                    pass
            return @OTHER@
        """,
    )


BROKEN_TESTS = (
    [], {}, "", None, "[]", "{}", "not json", "eJwDAAAAAAE=", "e30=", [{}], [[]], {"input": [], "output": []}, "pass",
    {"input": ["1"], "output": []}, [{"input": "3"}], [{"input": "", "output": ""}], '[{"input": "3"', 7, ["x = 1"],
)  # fmt: skip


def _undecodable(t: Target) -> Replies:
    return [Try(written(t, NOTHING), data={"tests": broken}) for broken in BROKEN_TESTS]


def _constant(t: Target) -> Replies:
    assert t.asked is not None
    if not t.asked.cases:
        return "the tests show no results"
    return tries(t, "def solve(*x): return @FIRST@\n")


def _no_number(t: Target) -> Replies:
    found = [f"def solve(*x): return float('{value}')\n" for value in ("nan", "inf", "-inf")]
    found += ["def solve(*x): return complex('nan')\n"]
    found += [f"from decimal import Decimal\ndef solve(*x): return Decimal('{v}')\n" for v in ("NaN", "1E+999999999")]
    text = "class Str(str):\n    __eq__ = lambda *a: True\n    __hash__ = str.__hash__\n"
    found.append(text + "def solve(*x): return Str('7')\n")
    found += ["def solve(*x): return {n * (2**61 - 1) for n in range(3000)}\n"]
    return [*tries(t, *found), *tries(t, *found[:3], tolerance=0.5)]


def _output(t: Target) -> Replies:
    assert t.asked is not None
    found = ["def solve(*x): return 'x' * 30_000_000\n", "def solve(*x): return [0] * 1_000_000\n"]
    found += ["def solve(*x):\n    a = [[]]\n    for _ in range(100_000): a = [a]\n    return a\n"]
    if t.asked.prints:
        found += ["while True: print('x' * 10_000)\n", "print(@FIRST@); print(' ' * 50_000_000)\n"]
        return tries(t, *found) + tries(t, "import sys\nwhile True: print('x' * 10_000, file=sys.stderr)\n", **QUICK)
    return tries(t, *found, "def solve(*x): return 2 ** 300_000_000\n")


def _crash(t: Target) -> Replies:
    head = "import ctypes, os, sys\ndef again(n): return again(n + 1)\n" + table(t)
    found = []
    for crash in (
        "ctypes.string_at(0)", "os.abort()", "os.kill(os.getpid(), 9)", "os._exit(1)", "sys.exit(3)", "1 / 0",
        "sys.setrecursionlimit(10**9) or again(0)", "again(0)", "bytearray(10**12)",
    ):  # fmt: skip
        found.append(f"{head}def solve(*x):\n    return {crash}\n")
        if t.asked and t.asked.prints:
            found.append(f"{head}print(solve(sys.stdin.read()), flush=True)\n{crash}\n")
    return tries(t, *found, memory_mb=256)


def _waiting(t: Target) -> Replies:
    busy = """
        import os, time
        def solve(*x):
            for _ in range(6):
                if os.fork() == 0:
                    started = time.process_time()
                    while time.process_time() - started < 0.1:
                        pass
                    time.sleep(100)
            time.sleep(100)
    """
    return [*tries(t, busy, seconds=2), *tries(t, "import time\ndef solve(*x): time.sleep(60)\n", **QUICK)]


ATTACKS = (
    Attack(38, "planted files", "plants configuration for the next process", _planted),
    Attack(39, "history", "reads the answer from a repository's history", _history),
    Attack(40, "network", "fetches the answer over the network", _network),
    Attack(41, "daemon", "leaves a process that helps the next program", _daemon),
    Attack(42, "poison", "spoils the process that starts the next program", _poison),
    Attack(43, "link", "reads a secret through a link", _link),
    Attack(44, "environment", "reads secrets of the environment", _environment),
    Attack(45, "unreadable tests", "any program, where tests cannot be decoded", _undecodable),
    Attack(46, "constant", "returns one result for everything", _constant),
    Attack(47, "no number", "returns NaN, infinity or a subclass", _no_number),
    Attack(48, "endless output", "prints or returns too much", _output),
    Attack(49, "crash", "crashes after the answer", _crash),
    Attack(50, "waiting", "waits, that the machine may seem to fail", _waiting),
)
