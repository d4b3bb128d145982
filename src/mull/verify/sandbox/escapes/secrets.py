"""Escapes that read what is none of their business: files, environments, the memory of other processes."""

from __future__ import annotations

from mull.verify.sandbox.base import How
from mull.verify.sandbox.escapes.base import MEMORY, Escape, needs

_PARTS_OF_PROC = """
import glob
def contents(pattern):
    found = b""
    for path in glob.glob(pattern):
        try:
            with open(path, "rb") as file:
                found += file.read(1 << 16)
        except OSError as error:
            last = error
    if not found:
        raise PermissionError(errno.ENOENT, "nothing")
    at = found.find(b"bait_")
    print(found[at:at + 40] if at >= 0 else "read, but no secret")
    raise LookupError
"""
SECRETS = (
    Escape(
        "home",
        "reads a file in the user's home",
        """
attempt(lambda: open(H['home']).read())
""",
        needs("home", "home that can be written to"),
    ),
    Escape(
        "working directory",
        "reads a file where the host was started",
        """
attempt(lambda: open(H['cwd']).read())
""",
        needs("cwd", "working directory that can be written to"),
    ),
    Escape(
        "host's /tmp",
        "reads a file in the host's /tmp",
        """
attempt(lambda: open(H['bait']).read())
""",
    ),
    Escape(
        "host's /dev/shm",
        "reads a file in shared memory",
        """
attempt(lambda: open(H['shm']).read())
""",
        needs("shm", "/dev/shm"),
    ),
    Escape(
        "names of files",
        "lists the host's folders",
        """
attempt(lambda: 'bait' if os.path.basename(H['bait']) in os.listdir(os.path.dirname(H['bait'])) else fail(2))
""",
    ),
    Escape(
        "sizes of files",
        "asks for the size and age of a file outside",
        """
attempt(lambda: os.stat(H['bait']).st_size)
""",
    ),
    Escape(
        "attributes of files",
        "asks what is noted about a file outside, where browsers keep the address it came from",
        """
attempt(lambda: str(os.listxattr(H['bait'])))
""",
    ),
    Escape(
        "watching files",
        "asks the kernel to tell which files other programs open, with their names",
        """
def watch():
    queue = call('inotify_init1', 0)
    for place in (os.path.dirname(H['bait']), '/usr/bin', '/usr', '/'):
        try: return f"{call('inotify_add_watch', queue, place.encode(), 0xfff)} for {place}"
        except OSError: pass
    fail(13)
attempt(watch)
""",
    ),
    Escape(
        "shadow",
        "reads /etc/shadow",
        """
attempt(lambda: len(open('/etc/shadow').read()))
""",
    ),
    Escape(
        "sources of mull",
        "reads the files of this library, and what lies beside them",
        """
attempt(lambda: len(open(H['sources']).read()))
""",
        needs("sources", "installation of mull outside the runtime"),
    ),
    Escape(
        "symbolic link",
        "a link in its own folder to a file outside",
        """
attempt(lambda: (os.chdir('/tmp'), os.symlink(H['bait'], H['nonce']), open(H['nonce']).read()))
os.path.lexists(H['nonce']) and os.unlink(H['nonce'])
""",
    ),
    Escape(
        "hard link",
        "a second name in its own folder for a file outside",
        """
attempt(lambda: (os.link(H['bait'], '/tmp/' + H['nonce']), os.unlink('/tmp/' + H['nonce'])))
""",
    ),
    Escape(
        "way up",
        "climbs above its root",
        """
attempt(lambda: open('/tmp' + '/..' * 30 + H['bait']).read())
""",
    ),
    Escape(
        "chroot",
        "the classic way out of a root: a second one below it, with a directory kept open",
        """
def out():
    os.makedirs('/tmp/' + H['nonce'], exist_ok=True)
    place = os.open('/', os.O_RDONLY)
    os.chroot('/tmp/' + H['nonce'])
    os.fchdir(place)
    for _ in range(30): os.chdir('..')
    os.chroot('.')
    return open(H['bait']).read()
attempt(out)
try: os.rmdir('/tmp/' + H['nonce'])
except OSError: pass
""",
    ),
    Escape(
        "file handles",
        "opens files by number, past every path",
        """
buffer = ctypes.create_string_buffer(136)
ctypes.c_uint.from_buffer(buffer).value = 128
number = ctypes.c_int()
attempt(lambda: call('name_to_handle_at', -100, b'/', buffer, ctypes.byref(number), 0))
attempt(lambda: os.read(call('open_by_handle_at', os.open('/', os.O_RDONLY), buffer, 0), 1))
""",
    ),
    Escape(
        "environment",
        "looks through its own environment, Python's and C's",
        """
values = list(os.environ.items())
array = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')
at = 0
while array and array[at]:
    values.append(array[at])
    at += 1
print(values)
print('tried')
""",
    ),
    Escape(
        "environment of init",
        "reads /proc/1/environ",
        """
attempt(lambda: len(open('/proc/1/environ', 'rb').read()) or fail(2))
""",
    ),
    Escape(
        "own environment by /proc",
        "reads what the first process of this line was started with",
        _PARTS_OF_PROC
        + """
attempt(lambda: contents('/proc/self/environ'))
attempt(lambda: contents(f'/proc/{os.getppid()}/environ'))
""",
    ),
    Escape(
        "environments",
        "reads the environment of every process",
        _PARTS_OF_PROC
        + """
attempt(lambda: contents('/proc/[0-9]*/environ'))
""",
    ),
    Escape(
        "command lines",
        "reads the command line of every process",
        _PARTS_OF_PROC
        + """
attempt(lambda: contents('/proc/[0-9]*/cmdline'))
""",
    ),
    Escape(
        "memory by /proc",
        "reads the memory of a process of the host",
        MEMORY
        + """
attempt(lambda: look(H['victim']) or fail(2))
""",
        needs("victim", "sleep program"),
    ),
    Escape(
        "process_vm_readv",
        "copies the memory of a process of the host",
        """
def copy():
    into = ctypes.create_string_buffer(512)
    pair = lambda at: (ctypes.c_ulong * 2)(at, 512)
    here = pair(ctypes.addressof(into))
    call('process_vm_readv', H['victim'], here, 1, pair(H['address']), 1, 0)
    return into.raw
attempt(copy)
""",
        needs("address", "sleep program"),
    ),
    Escape(
        "ptrace",
        "takes hold of a process of the host, and of its own keeper",
        """
for pid in (H['victim'], os.getppid()):
    attempt(lambda: call('ptrace', 0x4206, pid, 0, 0))
""",
        needs("victim", "sleep program"),
    ),
    Escape(
        "descriptors of others",
        "takes open files out of other processes",
        """
for pid in (H['victim'], os.getppid()):
    attempt(lambda: call('pidfd_getfd', os.pidfd_open(pid), 0, 0))
""",
        needs("victim", "sleep program"),
    ),
    Escape(
        "inherited descriptors",
        "uses what was left open for it",
        """
left = []
for number in range(3, 1024):
    try:
        os.fstat(number)
        left.append(number)
    except OSError:
        pass
attempt(lambda: left or fail(9))
""",
    ),
    Escape(
        "descriptors of a call",
        "the same where functions are called: is there more than its socket and /dev/null?",
        """
import stat
def escape():
    kinds = []
    for number in range(3, 1024):
        try:
            kinds.append(os.fstat(number).st_mode)
        except OSError:
            pass
    kinds = [stat.S_IFMT(mode) for mode in kinds]
    harmless = {(stat.S_IFSOCK,), (stat.S_IFCHR, stat.S_IFSOCK)}
    return 'tried' if tuple(sorted(kinds)) in harmless else f'GOT {kinds}'
""",
        calls=True,
    ),
    Escape(
        "shared memory of the host",
        "looks through the segments of System V",
        """
def look():
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(int(H['segment']), None, 0o10000)
    return fail() if at in (None, ctypes.c_void_p(-1).value) else ctypes.string_at(at, 40)
attempt(look)
""",
        needs("segment", "shared memory of System V"),
    ),
    Escape(
        "kernel log",
        "reads the messages of the kernel",
        """
def log():
    into = ctypes.create_string_buffer(4096)
    return call('syslog', 3, into, 4096)
attempt(log)
""",
    ),
    Escape(
        "machine code of 32 bits",
        "calls the kernel by its old gate, whose numbers a filter may not know",
        """
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex('b814000000cd80c3'))
at = ctypes.addressof(ctypes.c_char.from_buffer(code))
attempt(lambda: ctypes.CFUNCTYPE(ctypes.c_int)(at)())
""",
        lambda facts: "" if facts["gate32"] else "this kernel has no calls of 32 bits",
        ends=frozenset({How.DIED}),
    ),
)
