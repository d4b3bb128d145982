"""The few Linux calls that Python has no function for: namespaces, mounts, capabilities, Landlock.

Everything here raises OSError with the name of the call when the kernel refuses. Source: unshare(2), mount(2),
pivot_root(2), mount_setattr(2), capabilities(7), landlock(7). Left out on purpose: other systems.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Sequence

LIBC = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock, as a raw clone must

NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000
NEW_MOUNT, NEW_IPC, NEW_UTS = 0x00020000, 0x08000000, 0x04000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_SETATTR, _PIVOT_ROOT, _CLONE = 442, {"x86_64": 155, "aarch64": 41}, {"x86_64": 56, "aarch64": 220}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_ATTR_READ_ONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_PR_PDEATHSIG, _PR_DUMPABLE, _PR_BOUNDING_DROP, _PR_SUBREAPER, _PR_NO_NEW_PRIVS = 1, 4, 24, 36, 38
_MACHINE = os.uname().machine


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """New namespaces for this process (for its children, in the case of pids)."""
    _check(LIBC.unshare(flags), "unshare")


def fork_into(flags: int) -> int:
    """`os.fork`, with the child in new namespaces from its first instruction; the caller has one thread."""
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = LIBC.syscall(_CLONE[_MACHINE], ctypes.c_long(flags | 17), 0, 0, 0, 0)  # 17: SIGCHLD
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    return _check(pid, "clone")


def map_ids(proc: int, uid: int, gid: int, outer: tuple[int, int] | None = None) -> None:
    """In a new user namespace: the caller (whose ids are `outer` outside, else the same) has these ids, and nobody else
    exists. `proc` is a descriptor of /proc."""
    uid_outside, gid_outside = outer or (uid, gid)
    uids, gids = f"{uid} {uid_outside} 1", f"{gid} {gid_outside} 1"
    for name, text in (("setgroups", "deny"), ("uid_map", uids), ("gid_map", gids)):
        file = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def mount_tmpfs(path: str, options: str) -> None:
    """An empty file system in memory."""
    flags = _MS_NOSUID | _MS_NODEV
    _check(LIBC.mount(b"tmpfs", path.encode(), b"tmpfs", flags, options.encode()), f"mount tmpfs at {path}")


def mount_tmpfs_around(path: str, options: str, kept: Iterable[str]) -> None:
    """An empty file system in memory at `path`; of what it hides the directories `kept` come back, as they were."""
    sources = [(directory, os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) for directory in kept]
    mount_tmpfs(path, options)
    for directory, source in sources:
        os.makedirs(directory, exist_ok=True)
        os.fchdir(source)  # there may be no /proc to name it by
        _check(LIBC.mount(b".", directory.encode(), None, _MS_BIND | _MS_REC, None), f"bind {directory}")
        os.close(source)


def build_root(binds: Iterable[tuple[str, bool]]) -> None:
    """In a new mount namespace: a root of nothing but `binds` (path, is it a device), read-only, and an empty /tmp."""
    _check(LIBC.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "mount private")
    # opened before the new root hides /tmp, under which some of them may lie
    sources = [(path, device, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path, device in binds]
    mount_tmpfs("/tmp", "mode=755,size=1m,nr_inodes=2k")
    os.makedirs("/tmp/tmp")
    for link in ("bin", "sbin", "lib", "lib64", "lib32"):
        if os.path.islink(f"/{link}"):
            os.symlink(os.readlink(f"/{link}"), f"/tmp/{link}")
    for path, device, source in sources:
        _bind(source, "/tmp" + path, device)
        os.close(source)
    os.chdir("/tmp")
    _check(LIBC.syscall(_PIVOT_ROOT[_MACHINE], b".", b"."), "pivot_root")
    _check(LIBC.umount2(b".", 2), "umount the old root")  # MNT_DETACH
    os.chdir("/")
    _set_attributes("/", _ATTR_READ_ONLY, recursive=False)


def _bind(source: int, target: str, device: bool) -> None:
    if os.path.isdir(f"/proc/self/fd/{source}"):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_RDONLY, 0o644))
    where = f"/proc/self/fd/{source}".encode()
    _check(LIBC.mount(where, target.encode(), None, _MS_BIND | _MS_REC, None), f"bind {target}")
    _set_attributes(target, _ATTR_READ_ONLY | _ATTR_NOSUID | (0 if device else _ATTR_NODEV), recursive=True)


def _set_attributes(path: str, attributes: int, recursive: bool) -> None:
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = 0x8000 if recursive else 0
    _check(
        LIBC.syscall(_SETATTR, -100, path.encode(), flags, ctypes.c_char_p(wanted), ctypes.c_long(len(wanted))),
        f"make {path} read-only",
    )


def known_here(uid: int) -> bool:
    """Is there such a user in this user namespace? In one that somebody made for a single user there is only root."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        spans = [list(map(int, line.split())) for line in file]
    return any(first <= uid < first + count for first, _, count in spans)


def drop_ids(uid: int, gid: int) -> None:
    """From root to an ordinary user, for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    LIBC.prctl(_PR_DUMPABLE, 1, 0, 0, 0)  # else /proc/self belongs to root, and ids could not be mapped


def job_uid() -> int:
    """Whom jobs of this process run as: its own user, or where that is root nobody's number, from the range that
    systemd keeps for users that come and go."""
    return os.getuid() or 61184 + os.getpid() % 4000


def drop_capabilities() -> None:
    """No privilege in this user namespace, and none to be had again."""
    for number in range(64):
        if LIBC.prctl(_PR_BOUNDING_DROP, number, 0, 0, 0):
            break
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _check(LIBC.syscall(_CAPSET[_MACHINE], ctypes.c_char_p(header), ctypes.c_char_p(nothing)), "capset")


def no_new_privileges() -> None:
    """No set-uid program raises this process or a child of it; filters need it."""
    _check(LIBC.prctl(_PR_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def die_with_parent() -> None:
    """SIGKILL when the parent ends."""
    LIBC.prctl(_PR_PDEATHSIG, 9, 0, 0, 0)


def first_to_go(proc: int) -> None:
    """Where memory runs out, the kernel shall choose this process and its children."""
    with contextlib.suppress(OSError):
        file = os.open("self/oom_score_adj", os.O_WRONLY, dir_fd=proc)
        try:
            os.write(file, b"1000")
        finally:
            os.close(file)


def adopt_orphans() -> None:
    """Descendants whose parents end become children of this process, not of init."""
    LIBC.prctl(_PR_SUBREAPER, 1, 0, 0, 0)


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 where there is none."""
    return max(0, LIBC.syscall(444, None, 0, 1))


def landlock(readable: Sequence[str], writable: Sequence[str]) -> None:
    """From here on: files under `readable` can be read, under `writable` also written, no others opened; no TCP, no
    abstract sockets and no signals to outside where the kernel knows these (ABI 4 and 6). Needs `no_new_privileges`."""
    version = landlock_version()
    files = (1 << 13) - 1 | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
    files |= 1 << 15 if version >= 5 else 0
    reading = 0b1101  # execute, read a file, list a directory
    parts = [files, 0b11, 0b11][: 1 + (version >= 4) + (version >= 6)]
    rules = struct.pack(f"{len(parts)}Q", *parts)
    ruleset = _check(LIBC.syscall(444, ctypes.c_char_p(rules), ctypes.c_long(len(rules)), 0), "landlock")
    try:
        for paths, allowed in ((readable, reading), (writable, files)):
            for path in paths:
                _allow(ruleset, path, allowed)
        _check(LIBC.syscall(446, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            allowed &= 0b111 | 1 << 14 | 1 << 15  # what a single file can have
        rule = struct.pack("=Qi", allowed, place)
        _check(LIBC.syscall(445, ruleset, 1, ctypes.c_char_p(rule), 0), f"landlock {path}")
    finally:
        os.close(place)


def children(proc: int, pid: int) -> list[int]:
    """Children of a process, whichever of its threads started them; `proc` is a descriptor of /proc."""
    found = []
    for thread in _threads(proc, pid):
        with contextlib.suppress(OSError):
            found += [int(child) for child in _read(proc, f"{thread}/children").split()]
    return found


def family_times(proc: int, pid: int) -> dict[str, float]:
    """`cpu` seconds of a process and all below it, with all their threads and with those that have ended, and the
    seconds that one thread `waited` at most for a processor.

    Not the sum of those: many that compete with each other would look like one that the machine neglects. For the same
    reason no processor time may be left out: what one of a family waits for, the others of it use.
    """
    found = {"cpu": 0.0, "waited": 0.0}
    family = [pid]
    for member in family:
        family += children(proc, member)
        with contextlib.suppress(OSError, ValueError, IndexError):
            # after the name, which may hold anything: utime, stime, and those of the children that were waited for
            used = _read(proc, f"{member}/stat").rpartition(")")[2].split()[11:15]
            found["cpu"] += sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
        for thread in _threads(proc, member):
            with contextlib.suppress(OSError, ValueError, IndexError):
                found["waited"] = max(found["waited"], int(_read(proc, f"{thread}/schedstat").split()[1]) / 1e9)
    return found


def _threads(proc: int, pid: int) -> list[str]:
    """The folders of a process's threads."""
    try:
        folder = os.open(f"{pid}/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=proc)
    except OSError:
        return []
    try:
        return [f"{pid}/task/{thread}" for thread in os.listdir(folder)]
    except OSError:  # it has ended meanwhile
        return []
    finally:
        os.close(folder)


def _read(proc: int, path: str) -> str:
    with open(os.open(path, os.O_RDONLY, dir_fd=proc), encoding="utf-8", errors="replace") as file:
        return file.read()
