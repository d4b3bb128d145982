"""Escapes that want to be more: root, capabilities, namespaces, mounts, devices, and the settings of the machine."""

from __future__ import annotations

from mull.verify.sandbox.base import How
from mull.verify.sandbox.escapes.base import Escape, needs, needs_x86

_MOUNT = """
libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
def mount(source, target, kind, flags):
    return libc.mount(source, target, kind, flags, None) and fail()
mine = H["nonce"].encode()
"""
_USER = 0x10000000
_RAW = (
    "raw = ctypes.PyDLL(None, use_errno=True)\nraw.syscall.restype = ctypes.c_long\n"
    "def start(name, *args):\n    pid = raw.syscall(ctypes.c_long(NUMBERS[name]), *args)\n"
    "    if pid == 0: os._exit(0)\n    if pid < 0: fail()\n    os.waitpid(pid, 0)\n    return pid\n"
)

PRIVILEGES = (
    Escape(
        "setuid",
        "becomes root",
        """
attempt(lambda: os.setuid(0))
attempt(lambda: os.setresuid(0, 0, 0))
attempt(lambda: os.setgroups([0]))
attempt(lambda: 'root' if os.geteuid() == 0 else fail(1))
""",
    ),
    Escape(
        "set-uid programs",
        "starts programs that would run as root: are they kept from it?",
        """
attempt(lambda: fail(1) if libc.prctl(39, 0, 0, 0, 0) == 1 else 'privileges can be gained')
""",
    ),
    Escape(
        "capabilities",
        "takes every capability",
        r"""
header = ctypes.create_string_buffer((0x20080522).to_bytes(4, 'little') + bytes(4), 8)
attempt(lambda: libc.capset(header, ctypes.create_string_buffer(b'\xff' * 24, 24)) and fail())
held = ctypes.create_string_buffer(24)
libc.capget(header, held)
attempt(lambda: held.raw.hex() if any(held.raw) else fail(1))
""",
    ),
    Escape(
        "user namespace",
        "makes itself root of a new namespace",
        """
attempt(lambda: call('unshare', 268435456))
""",
    ),
    Escape(
        "namespaces by clone",
        "the same with a new process",
        _RAW
        + """
attempt(lambda: start('clone', ctypes.c_long(268435456 | 17), 0, 0, 0, 0))
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000):
    attempt(lambda: call('unshare', flag))
""",
    ),
    Escape(
        "namespaces by clone3",
        "the same by the newer call, whose flags no filter can see",
        _RAW
        + """
args = (ctypes.c_uint64 * 11)(268435456, 0, 0, 0, 17)
try:
    print('GOT', start('clone3', args, ctypes.c_long(88)))
except OSError as error:
    print('no', os.strerror(error.errno))
""",
    ),
    Escape(
        "setns",
        "enters the namespaces of other processes",
        """
for pid in (H['victim'], os.getppid()):
    for flag in (0x20000, 0x20000000, 0x40000000):
        attempt(lambda: call('setns', os.pidfd_open(pid), flag))
""",
        needs("victim", "sleep program"),
    ),
    Escape(
        "mount",
        "mounts a file system of its own",
        _MOUNT
        + """
attempt(lambda: mount(mine, b'/tmp', b'tmpfs', 0))
attempt(lambda: mount(b'proc', b'/tmp', b'proc', 0))
""",
        harmful=True,
    ),
    Escape(
        "remount",
        "makes what is read-only writable",
        _MOUNT
        + """
for place in (b'/', b'/usr'):
    attempt(lambda: mount(None, place, None, 32 | 4096))
    attempt(lambda: call('mount_setattr', -100, place, 0, (ctypes.c_uint64 * 4)(0, 1, 0, 0), 32))
""",
        harmful=True,
    ),
    Escape(
        "umount",
        "takes away what covers the host's files",
        """
attempt(lambda: call('umount2', b'/tmp', 2))
""",
        harmful=True,
    ),
    Escape(
        "pivot_root",
        "changes the root",
        """
attempt(lambda: call('pivot_root', b'/tmp', b'/tmp'))
""",
        harmful=True,
    ),
    Escape(
        "new mount calls",
        "the same by descriptors",
        """
attempt(lambda: call('fsopen', b'tmpfs', 0))
attempt(lambda: call('open_tree', -100, b'/', 1))
attempt(lambda: call('open_tree_attr', -100, b'/', 1, None, 0))
""",
    ),
    Escape(
        "device nodes",
        "makes a file that is the host's disk",
        """
import stat
def make():
    path = '/tmp/' + H['nonce']
    os.mknod(path, 0o600 | stat.S_IFBLK, H['disk'])
    try: return os.close(os.open(path, os.O_RDONLY))
    finally: os.unlink(path)
attempt(make)
""",
        needs("disk", "disk under the root"),
    ),
    Escape(
        "devices",
        "opens the devices of the host",
        """
def all():
    opened = []
    for path in H['devices']:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            opened.append(path)
        except OSError:
            pass
    return opened or fail(13)
attempt(all)
""",
        needs("devices", "device that would be worth it"),
    ),
    Escape(
        "kernel settings",
        "opens what the machine is set by",
        """
for path in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/sys/kernel/hostname',
             '/sys/kernel/uevent_helper', '/sys/power/state', '/sys/fs/cgroup/cgroup.procs'):
    attempt(lambda: os.close(os.open(path, os.O_WRONLY)))
""",
    ),
    Escape(
        "files outside",
        "writes beside the host's files",
        """
for place in H['folders'][1:] + [os.path.dirname(H['bait'])]:
    if place == '/tmp': continue  # its own
    attempt(lambda: open(place + '/' + H['nonce'], 'x').close())
""",
    ),
    Escape(
        "the runtime",
        "writes into the interpreter that later programs run on",
        """
for path in (os.__file__, sys.executable, os.path.dirname(os.__file__) + '/random.py'):
    attempt(lambda: open(path, 'r+b').close())
""",
    ),
    Escape(
        "modes and owners",
        "changes what may be done with a file outside, without opening it",
        """
for act in (lambda: os.chmod(H['bait'], 0o666), lambda: os.utime(H['bait'], (1, 1)),
            lambda: os.chown(H['bait'], os.getuid(), os.getgid()), lambda: os.setxattr(H['bait'], 'user.x', b'x')):
    attempt(act)
""",
    ),
    Escape(
        "renaming",
        "renames, truncates and removes files outside",
        """
for act in (lambda: os.rename(H['bait'], H['bait'] + 'x'), lambda: os.truncate(H['bait'], 0),
            lambda: os.rmdir(os.path.dirname(H['bait'])), lambda: os.unlink(H['bait'])):
    attempt(act)
""",
    ),
    Escape(
        "name of the host",
        "gives the host another name",
        """
import socket
attempt(lambda: socket.sethostname(H['hostname']))
""",
    ),
    Escape(
        "clock",
        "sets the clock of the machine",
        """
import time
attempt(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
""",
        harmful=True,
    ),
    Escape(
        "ports of the processor",
        "asks for direct access to the hardware",
        """
attempt(lambda: call('iopl', 3))
attempt(lambda: call('ioperm', 0x80, 1, 1))
""",
        needs_x86,
    ),
    Escape(
        "machine and modules",
        "restarts the machine, swaps, loads kernels and modules, counts (with arguments that do nothing)",
        """
for order in (('reboot', 1, 2, 3, 0), ('swapon', b'/', 0), ('kexec_load', 0, 0, 0, 0xffff),
              ('delete_module', b'mull-none', 0o4000), ('acct', b'/'), ('quotactl', 0, 0, 0, 0),
              ('init_module', b'', 0, b'')):
    try:
        call(*order)
        print('GOT', order[0])
    except OSError as error:
        print('no' if error.errno in (1, 38) else 'GOT to', order[0], error.errno)
""",
    ),
    Escape(
        "personality",
        "asks for the memory layout of old programs, which is easier to attack",
        """
attempt(lambda: call('personality', 0x0040000))
""",
    ),
    Escape(
        "numbers of x32",
        "calls the kernel by numbers that a filter may not know",
        """
def go():
    got = libc.syscall(ctypes.c_long(0x40000000 + NUMBERS['getpid']))
    return fail() if got < 0 else got
attempt(go)
""",
        needs_x86,
        ends=frozenset({How.DIED}),
    ),
)
