"""Escapes that reach other processes: signals by every road, changed limits and priorities, children that stay."""

from __future__ import annotations

from mull.verify.sandbox.base import How
from mull.verify.sandbox.escapes.base import Brief, Escape, needs

_VICTIM = needs("victim", "sleep program")
_NAMED = "libc.prctl(15, H['nonce'].encode(), 0, 0, 0)\n"
"""A name under which the host finds this process and its children."""
_DIES = frozenset({How.DIED})
_HANGS = frozenset({How.CPU, How.IDLE, How.DIED})

PROCESSES = (
    Escape(
        "kill",
        "kills a process of the host",
        """
attempt(lambda: os.kill(H['victim'], 9))
""",
        _VICTIM,
    ),
    Escape(
        "kill by descriptor",
        "the same through a descriptor of it",
        """
import signal
attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(H['victim']), 9))
""",
        _VICTIM,
    ),
    Escape(
        "queued signal",
        "the same as a queued signal, and to one thread",
        """
info = ctypes.create_string_buffer(128)
ctypes.c_int.from_buffer(info, 8).value = -1
attempt(lambda: call('rt_sigqueueinfo', H['victim'], 9, info))
attempt(lambda: call('tkill', H['victim'], 9))
attempt(lambda: call('tgkill', H['victim'], H['victim'], 9))
""",
        _VICTIM,
    ),
    Escape(
        "signal by a pipe",
        "lets the kernel send it when a pipe has data",
        """
import fcntl
def set():
    inn, out = os.pipe()
    fcntl.fcntl(inn, fcntl.F_SETOWN, H['victim'])
    fcntl.fcntl(inn, 10, 9)
    fcntl.fcntl(inn, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(out, b'x')
try:
    set()
    print('tried')
except OSError as error:
    print('no', error)
""",
        _VICTIM,
    ),
    Escape(
        "kill the parent",
        "kills the process that waits for it",
        """
import signal
for number in (15, 11, 9):
    os.kill(os.getppid(), number)
print('tried')
""",
        ends=_DIES | {How.RAISED, How.IDLE},
        limits=Brief(),
    ),
    Escape(
        "stop the parent",
        "stops the process that waits for it",
        """
os.kill(os.getppid(), 19)
print('tried')
""",
        ends=_HANGS | {How.RAISED},
        limits=Brief(),
    ),
    Escape(
        "kill all",
        "kills every process that it may",
        """
os.kill(-1, 9)
print('tried')
""",
        harmful=True,
        ends=_DIES | {How.RAISED},
    ),
    Escape(
        "kill the group",
        "kills its process group",
        "os.kill(0, 9)",
        ends=_DIES | {How.RAISED},
    ),
    Escape(
        "kill the fork server",
        "kills the process that makes sandboxes",
        """
attempt(lambda: os.kill(H['server'], 9))
""",
        needs("server", "fork server behind this wall"),
    ),
    Escape(
        "limits of others",
        "gives a process of the host a limit that ends it, and its own keeper none to live by",
        """
import resource
attempt(lambda: resource.prlimit(H['victim'], resource.RLIMIT_NOFILE, (9, 9)))
try:
    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (0, 0))
except OSError as error:
    print('no', error)
""",
        _VICTIM,
        ends=_DIES | {How.OUTPUT},
    ),
    Escape(
        "processors of others",
        "binds a process of the host to one processor",
        """
os.sched_setaffinity(H['victim'], {min(os.sched_getaffinity(0))})
print('tried')
""",
        lambda facts: _VICTIM(facts) or ("" if facts["processors"] > 1 else "one processor only"),
        ends=frozenset({How.RAISED}),
    ),
    Escape(
        "priority of others",
        "makes a process of the host wait for all others",
        """
attempt(lambda: os.setpriority(os.PRIO_PROCESS, H['victim'], 19))
""",
        _VICTIM,
    ),
    Escape(
        "standing back",
        "sees to it that it gets no processor, or that what its children use is not counted: late by no fault of it",
        """
import signal
attempt(lambda: os.nice(19))
attempt(lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)))
attempt(lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}))
attempt(lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
""",
    ),
    Escape(
        "own priority",
        "puts itself before all others",
        """
attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
attempt(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
attempt(lambda: call('ioprio_set', 1, 0, 1 << 13))
""",
    ),
    Escape(
        "daemon",
        "leaves a process behind: forked twice, in a session of its own",
        """
import time
"""
        + _NAMED
        + """
def leave():
    if os.fork():
        return
    os.setsid()
    if os.fork() == 0:
        for number in range(256):
            try: os.close(number)
            except OSError: pass
        time.sleep(120)
    os._exit(0)
try:
    leave()
    time.sleep(0.1)
    print('tried')
except OSError as error:
    print('no', error)
""",
    ),
    Escape(
        "daemon that holds the output",
        "the same, and keeps the pipes of the job open",
        """
import time
"""
        + _NAMED
        + """
try:
    if os.fork() == 0:
        os.setsid()
        time.sleep(120)
    print('tried')
except OSError as error:
    print('no', error)
""",
    ),
    Escape(
        "deaf daemon",
        "the same with every signal ignored, by clone in place of fork",
        """
import signal, time
"""
        + _NAMED
        + """
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
raw = ctypes.PyDLL(None, use_errno=True)
raw.syscall.restype = ctypes.c_long
pid = raw.syscall(ctypes.c_long(NUMBERS['clone']), ctypes.c_long(0), 0, 0, 0, 0)
if pid == 0:
    os.setsid()
    time.sleep(120)
print('tried')
""",
    ),
    Escape(
        "stopping itself",
        "stops and never goes on",
        "os.kill(os.getpid(), 19)",
        ends=_HANGS | {How.RAISED},
        limits=Brief(),
    ),
    Escape(
        "foreign program",
        "starts a program that lies in memory only",
        """
def start():
    if not os.path.exists('/bin/echo'): fail(2)
    file = os.memfd_create('x')
    os.write(file, open('/bin/echo', 'rb').read())
    words = (ctypes.c_char_p * 3)(b'echo', b'GOT started')
    call('execveat', file, b'', words, (ctypes.c_char_p * 1)(), 0x1000)
attempt(start)
""",
    ),
    Escape(
        "terminal",
        "types into the terminal of whoever started it",
        """
import fcntl
for number in (0, 1, 2):
    attempt(lambda: fcntl.ioctl(number, 0x5412, b'x'))
attempt(lambda: fcntl.ioctl(os.open('/dev/tty', os.O_RDWR), 0x5412, b'x'))
""",
    ),
)
