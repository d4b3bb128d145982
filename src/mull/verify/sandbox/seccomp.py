"""System calls that a program in a sandbox may not make: a BPF filter, built by hand.

Whatever is refused answers EPERM, as if the privilege were missing; a foreign calling convention (32-bit calls, x32)
kills. What is denied: other processes' memory, mounts and namespaces, kernel interfaces with a history of holes
(io_uring, bpf, userfaultfd, perf, keys), sockets of every kind (vsock and netlink are not bounded by a network
namespace) but for pairs of streams (one end of a pair of datagrams can send to any Unix socket), memory that belongs to
no process and that no limit counts (System V, memfd), the machine's settings, what the machine has one of for all
(asynchronous requests, flushing every disk), and news of who opens which file (inotify). Nor may a program see to it
that it gets no processor (priority, affinity) or that nobody counts what its children have used: one that the machine
keeps waiting is left out of training. `processes=False` also denies new processes (threads stay), signals to others by
whatever road, outliving one's parent, and attributes, modes, owners and times of files, which Landlock does not watch;
for walls that have no namespaces. Source: seccomp(2).

Left out on purpose: an allow list, which every new Python and libc would break.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct


def _names(text: str) -> list[str]:
    return text.split()


_DENIED = _names("""
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd
mount umount2 pivot_root chroot unshare setns fsopen fsmount fsconfig fspick move_mount open_tree mount_setattr
io_uring_setup io_uring_enter io_uring_register bpf userfaultfd perf_event_open add_key request_key keyctl
init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff sethostname setdomainname
open_by_handle_at name_to_handle_at quotactl quotactl_fd acct settimeofday clock_settime clock_adjtime adjtimex
lookup_dcookie vhangup syslog fanotify_init fanotify_mark socket personality iopl ioperm modify_ldt uselib ustat sysfs
_sysctl create_module get_kernel_syms query_module nfsservctl mbind set_mempolicy migrate_pages move_pages vmsplice
memfd_secret memfd_create shmget shmat semget msgget mq_open open_tree_attr
sched_setscheduler sched_setparam sched_setattr sched_setaffinity setpriority ioprio_set
inotify_init inotify_init1 inotify_add_watch io_setup sync syncfs
""")
_DENIED_ALONE = _names("""
pidfd_open pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo
fork vfork getxattr lgetxattr getxattrat listxattr llistxattr listxattrat
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat truncate file_setattr
setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
""")


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (pair.split(":") for pair in text.split())}


_X86_64 = _table("""
rt_sigaction:13 prctl:157 sync:162 getxattr:191 lgetxattr:192 listxattr:194 llistxattr:195 io_setup:206
inotify_init:253 inotify_add_watch:254 inotify_init1:294 syncfs:306
ioctl:16 fcntl:72 truncate:76 chmod:90 fchmod:91 chown:92 fchown:93 lchown:94 utime:132 setxattr:188 lsetxattr:189
fsetxattr:190 removexattr:197 lremovexattr:198 fremovexattr:199 sched_setaffinity:203 utimes:235 fchownat:260
futimesat:261 fchmodat:268 utimensat:280 memfd_create:319
shmget:29 shmat:30 socket:41 socketpair:53 clone:56 fork:57 vfork:58 kill:62 semget:64 msgget:68 ptrace:101 syslog:103
rt_sigqueueinfo:129 uselib:134 personality:135 ustat:136 sysfs:139 setpriority:141 sched_setparam:142
sched_setscheduler:144 vhangup:153 modify_ldt:154 pivot_root:155 _sysctl:156 adjtimex:159 chroot:161 acct:163
settimeofday:164 mount:165 umount2:166 swapon:167 swapoff:168 reboot:169 sethostname:170 setdomainname:171 iopl:172
ioperm:173 create_module:174 init_module:175 delete_module:176 get_kernel_syms:177 query_module:178 quotactl:179
nfsservctl:180 tkill:200 lookup_dcookie:212 clock_settime:227 tgkill:234 mbind:237 set_mempolicy:238 mq_open:240
kexec_load:246 add_key:248 request_key:249 keyctl:250 ioprio_set:251 migrate_pages:256 unshare:272 vmsplice:278
move_pages:279 rt_tgsigqueueinfo:297 perf_event_open:298 fanotify_init:300 fanotify_mark:301 prlimit64:302
name_to_handle_at:303 open_by_handle_at:304 clock_adjtime:305 setns:308 process_vm_readv:310 process_vm_writev:311
kcmp:312 finit_module:313 sched_setattr:314 kexec_file_load:320 bpf:321 userfaultfd:323
""")
_AARCH64 = _table("""
io_setup:0 getxattr:8 lgetxattr:9 listxattr:11 llistxattr:12 inotify_init1:26 inotify_add_watch:27 sync:81
rt_sigaction:134 prctl:167 syncfs:267
setxattr:5 lsetxattr:6 fsetxattr:7 removexattr:14 lremovexattr:15 fremovexattr:16 fcntl:25 ioctl:29 truncate:45
fchmod:52 fchmodat:53 fchownat:54 fchown:55 utimensat:88 sched_setaffinity:122 memfd_create:279
lookup_dcookie:18 ioprio_set:30 umount2:39 mount:40 pivot_root:41 nfsservctl:42 chroot:51 vhangup:58 quotactl:60
vmsplice:75 acct:89 personality:92 unshare:97 kexec_load:104 init_module:105 delete_module:106 clock_settime:112
syslog:116 ptrace:117 sched_setparam:118 sched_setscheduler:119 kill:129 tkill:130 tgkill:131 rt_sigqueueinfo:138
setpriority:140 reboot:142 sethostname:161 setdomainname:162 settimeofday:170 adjtimex:171 mq_open:180 msgget:186
semget:190 shmget:194 shmat:196 socket:198 socketpair:199 add_key:217 request_key:218 keyctl:219 clone:220 swapon:224
swapoff:225 mbind:235 set_mempolicy:237 migrate_pages:238 move_pages:239 rt_tgsigqueueinfo:240 perf_event_open:241
prlimit64:261 fanotify_init:262 fanotify_mark:263 name_to_handle_at:264 open_by_handle_at:265 clock_adjtime:266
setns:268 process_vm_readv:270 process_vm_writev:271 kcmp:272 finit_module:273 sched_setattr:274 bpf:280
userfaultfd:282 kexec_file_load:294
""")
_BOTH = _table("""
pidfd_send_signal:424 io_uring_setup:425 io_uring_enter:426 io_uring_register:427 open_tree:428 move_mount:429
fsopen:430 fsconfig:431 fsmount:432 fspick:433 pidfd_open:434 clone3:435 pidfd_getfd:438 process_madvise:440
mount_setattr:442 quotactl_fd:443 memfd_secret:447 process_mrelease:448 fchmodat2:452 setxattrat:463 removexattrat:466
getxattrat:464 listxattrat:465 open_tree_attr:467 file_setattr:469
""")
_MACHINES = {"x86_64": (0xC000003E, _X86_64 | _BOTH), "aarch64": (0xC00000B7, _AARCH64 | _BOTH)}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24
_AF_UNIX, _SOCK_STREAM = 1, 1
_SIGCHLD, _PDEATHSIG = 17, 1
_OWNERS = {"fcntl": (8, 15), "ioctl": (0x8901, 0x8902)}
"""F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP: whoever owns a pipe is sent a signal of the program's choice."""
_CLONE_THREAD = 0x00010000
_NEW_NAMESPACES = 0x7E020000


def supported() -> bool:
    """Is there a table of call numbers for this processor?"""
    return platform.machine() in _MACHINES


def numbers() -> dict[str, int]:
    """The calls that filters here know, with their numbers on this processor."""
    return dict(_MACHINES[platform.machine()][1]) if supported() else {}


def program(processes: bool) -> bytes:
    """The filter as `struct sock_filter[]`, for the calling process (its pid is in it when `processes` is False)."""
    audit, numbers = _MACHINES[platform.machine()]
    code = [_op(_LOAD, _ARCH), _op(_EQUAL, audit, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NR)]
    if platform.machine() == "x86_64":
        code += [_op(_AT_LEAST, 0x40000000, 0, 1), _op(_RETURN, _KILL)]  # x32's numbers
    names = _DENIED if processes else _DENIED + _DENIED_ALONE
    for number in sorted(numbers[name] for name in names if name in numbers):
        code += [_op(_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO | _EPERM)]
    # clone3's flags lie behind a pointer, where a filter cannot look; libc falls back to clone on ENOSYS
    code += [_op(_EQUAL, numbers["clone3"], 0, 1), _op(_RETURN, _ERRNO | _ENOSYS)]
    code += _when(numbers["clone"], _ARG0, [_op(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _op(_RETURN, _ERRNO | _EPERM)])
    code += _when(numbers["socketpair"], _ARG0, [_op(_EQUAL, _AF_UNIX, 1, 0), _op(_RETURN, _ERRNO | _EPERM)])
    stream = [_op(_AND, 0xF), _op(_EQUAL, _SOCK_STREAM, 1, 0), _op(_RETURN, _ERRNO | _EPERM)]
    code += _when(numbers["socketpair"], _ARG1, stream)
    # children of a parent that ignores their end are not counted among what it has used
    code += _when(numbers["rt_sigaction"], _ARG0, [_op(_EQUAL, _SIGCHLD, 0, 1), _op(_RETURN, _ERRNO | _EPERM)])
    if processes:
        code += _when(numbers["prlimit64"], _ARG0, [_op(_EQUAL, 0, 1, 0), _op(_RETURN, _ERRNO | _EPERM)])
    else:
        code += _when(numbers["clone"], _ARG0, [_op(_ANY_BIT, _CLONE_THREAD, 1, 0), _op(_RETURN, _ERRNO | _EPERM)])
        me = os.getpid()
        for name in ("kill", "tgkill", "prlimit64"):
            mine = [_op(_EQUAL, me, 1, 0), _op(_RETURN, _ERRNO | _EPERM)]
            if name == "prlimit64":
                mine = [_op(_EQUAL, 0, 2, 0), *mine]
            code += _when(numbers[name], _ARG0, mine)
        code += [_op(_EQUAL, numbers["tkill"], 0, 1), _op(_RETURN, _ERRNO | _EPERM)]
        code += _when(numbers["prctl"], _ARG0, [_op(_EQUAL, _PDEATHSIG, 0, 1), _op(_RETURN, _ERRNO | _EPERM)])
        for name, orders in _OWNERS.items():
            denied = [part for order in orders for part in (_op(_EQUAL, order, 0, 1), _op(_RETURN, _ERRNO | _EPERM))]
            code += _when(numbers[name], _ARG1, denied)
    return b"".join([*code, _op(_RETURN, _ALLOW)])


def _when(number: int, argument: int, then: list[bytes]) -> list[bytes]:
    """For one call: look at the low half of an argument, go through `then`, and take up the call's number again."""
    body = [_op(_LOAD, argument), *then, _op(_LOAD, _NR)]
    return [_op(_EQUAL, number, 0, len(body)), *body]


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def install(libc: ctypes.CDLL, processes: bool) -> None:
    """Put the filter on the calling process, for good; `no_new_privs` must be set.

    Raises:
        OSError: the kernel refuses.
    """
    code = program(processes)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    if libc.prctl(22, 2, header, 0, 0):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp")
