"""Escapes that use more than they may: processes, memory, disk, output, time. Nothing here is without a bound of its
own, so that a wall that fails costs the host some hundred megabytes and not itself."""

from __future__ import annotations

from mull.verify.sandbox.base import How, Limits
from mull.verify.sandbox.escapes.base import Brief, Escape

_NAMED = "libc.prctl(15, H['nonce'].encode(), 0, 0, 0)\n"
_SMALL = Limits(seconds=2, memory_mb=256)
_FULL = frozenset({How.OUTPUT})
_SPENT = frozenset({How.CPU, How.IDLE, How.DIED, How.RAISED, How.MEMORY})
_GROW = """
def grow(one, most):
    got = 0
    while got < most:
        got += one()
    return f"{got >> 20} MB"
"""

RESOURCES = (
    Escape(
        "fork bomb",
        "forks without end",
        _NAMED
        + """
while True:
    os.fork()
""",
        harmful=True,
        ends=_SPENT,
        limits=Brief(),
    ),
    Escape(
        "many processes",
        "starts a hundred of them",
        """
import time
"""
        + _NAMED
        + """
def all():
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
attempt(all)
""",
        harmful=True,
    ),
    Escape(
        "thread bomb",
        "starts two thousand threads",
        """
import threading
threading.stack_size(32768)
over = threading.Event()
def all():
    try:
        for _ in range(2000):
            threading.Thread(target=over.wait, daemon=True).start()
    finally:
        print(threading.active_count(), 'threads')
attempt(all)
over.set()
os._exit(0)
""",
        harmful=True,
        ends=_SPENT,
    ),
    Escape(
        "100 GB",
        "asks for memory that no machine has, in each of the ways there are",
        """
import mmap
attempt(lambda: len(bytearray(100 << 30)))
attempt(lambda: mmap.mmap(-1, 100 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000))
attempt(lambda: [bytearray(1 << 26) for _ in range(1600)])
""",
        ends=_SPENT,
        limits=_SMALL,
    ),
    Escape(
        "memory of nobody",
        "keeps memory in segments of System V, which no process has mapped",
        _GROW
        + """
libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]
made = []
def one():
    number = libc.shmget(0, 1 << 26, 0o1600)
    if number < 0: fail()
    made.append(number)
    at = libc.shmat(number, None, 0)
    if at == ctypes.c_void_p(-1).value: fail()
    ctypes.memset(at, 1, 1 << 26)
    libc.shmdt(at)
    return 1 << 26
attempt(lambda: grow(one, 1 << 29))
for number in made: libc.shmctl(number, 0, None)
""",
        limits=_SMALL,
    ),
    Escape(
        "memory in files of nobody",
        "keeps memory in files that have no name",
        _GROW
        + """
def one():
    file = os.memfd_create('x')
    return sum(os.write(file, bytes(1 << 24)) for _ in (1, 2))
attempt(lambda: grow(one, 1 << 29))
""",
        limits=_SMALL,
        ends=_SPENT,
    ),
    Escape(
        "memory in pipes and sockets",
        "keeps memory in what is sent and never read",
        _GROW
        + """
import fcntl, socket
held = []
def one():
    inn, out = os.pipe()
    os.set_blocking(out, False)
    held.append((inn, out))
    fcntl.fcntl(out, 1031, 1 << 20)
    return os.write(out, bytes(1 << 20))
attempt(lambda: grow(one, 1 << 29))
""",
        limits=_SMALL,
    ),
    Escape(
        "full disk",
        "fills /tmp",
        _GROW
        + """
held = []
def one():
    path = f"/tmp/{H['nonce']}{len(held)}"
    held.append(path)
    with open(path, 'wb') as file:
        return file.write(bytes(1 << 24))
attempt(lambda: grow(one, H['tmp_bytes'] + (1 << 25)))
for path in held:
    try: os.unlink(path)
    except OSError: pass
""",
    ),
    Escape(
        "many files",
        "makes ten thousand files in /tmp",
        """
made = []
def all():
    folder = '/tmp/' + H['nonce']
    os.mkdir(folder)
    try:
        for number in range(10000):
            os.close(os.open(f'{folder}/{number}', os.O_CREAT))
            made.append(f'{folder}/{number}')
    finally:
        for path in made: os.unlink(path)
        os.rmdir(folder)
attempt(all)
""",
    ),
    Escape(
        "one large file",
        "makes a file of 100 GB, with nothing in it",
        """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def make():
    path = '/tmp/' + H['nonce']
    with open(path, 'wb') as file:
        try: file.truncate(100 << 30)
        finally: os.unlink(path)
attempt(make)
""",
    ),
    Escape(
        "endless output",
        "prints without end",
        """
while True:
    os.write(1, b'x' * 65536)
""",
        ends=_FULL,
    ),
    Escape(
        "endless complaint",
        "complains without end, then says little",
        """
import time
end = time.monotonic() + 0.5
while time.monotonic() < end:
    os.write(2, b'x' * 65536)
print('tried')
""",
    ),
    Escape(
        "raised limits",
        "asks for more than it was given",
        """
import resource
for name in ('AS', 'CPU', 'FSIZE', 'NOFILE', 'CORE'):
    kind = getattr(resource, 'RLIMIT_' + name)
    hard = resource.getrlimit(kind)[1]
    attempt(lambda: resource.setrlimit(kind, (hard + 1, hard + 1)) if hard >= 0 else name + ' has no bound')
""",
    ),
    Escape(
        "core dump",
        "crashes, and leaves its memory in a file",
        """
import resource
try: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
except (OSError, ValueError): print('no')
else: print('GOT a core file')
sys.stdout.flush()
os.kill(os.getpid(), 11)
""",
        ends=frozenset({How.DIED}),
    ),
    Escape(
        "deaf to its time",
        "ignores the signal that ends its processor seconds",
        """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
        ends=frozenset({How.CPU, How.IDLE}),
        limits=Brief(),
    ),
)
