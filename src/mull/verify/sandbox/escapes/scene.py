"""The host's side of the escape list: bait to be stolen, listeners to be reached, a process to be hurt.

    scene (this process) ── facts: paths, ports, pids ──> escape
       looks afterwards:  <── did a secret come back, a listener hear, a file appear, a process change?

Everything is made for the occasion and taken away again. The victim is a process of the user that jobs run as, so that
nothing but the wall protects it. Left out on purpose: secrets in a program's text, which would come back unasked.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import mull
from mull.verify.sandbox import linux, seccomp
from mull.verify.sandbox.base import Limits, Wall
from mull.verify.sandbox.escapes.base import Facts
from mull.verify.sandbox.host import ForkServer
from mull.verify.sandbox.zygote import SYSTEM

GRACE_SECONDS = 1.0
"""So long may a process that was killed take to be gone."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_MORE_NUMBERS = {
    "x86_64": {"getpid": 39, "memfd_create": 319, "execveat": 322, "open_tree_attr": 467},
    "aarch64": {"getpid": 172, "memfd_create": 279, "execveat": 281, "open_tree_attr": 467},
}


class Scene:
    """Made before the wall is put up, since its environment holds bait. Example: `with Scene() as scene: …`"""

    def __init__(self) -> None:
        self.secret = f"bait_{secrets.token_hex(8)}"
        self.nonce = f"mull{secrets.token_hex(4)}"
        self.facts: Facts = {}
        self._stack = contextlib.ExitStack()
        self._listeners: dict[str, socket.socket] = {}
        self._victim: subprocess.Popen[Any] | None = None
        self._queue = -1
        self._server: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Scene:
        with contextlib.ExitStack() as stack:
            self._stack = stack
            self._set()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _set(self) -> None:
        self.folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mull-doctor-"))
        os.chmod(self.folder, 0o755)
        os.environ["MULL_BAIT"] = self.secret
        self._stack.callback(os.environ.pop, "MULL_BAIT", None)
        numbers = seccomp.numbers() | _MORE_NUMBERS.get(os.uname().machine, {})
        sources = Path(mull.__file__).parent / "verify" / "code.py"
        runtime = [os.path.realpath(path) for path in SYSTEM]
        home, here = os.path.expanduser("~"), os.getcwd()
        self.facts = {
            "bait": self._bait(self.folder), "home": self._bait(home), "cwd": self._bait(here),
            "shm": self._bait("/dev/shm"), "nonce": self.nonce, "hostname": socket.gethostname(),
            "machine": os.uname().machine, "processors": len(os.sched_getaffinity(0)), "numbers": numbers,
            "tmp_bytes": Limits.tmp_mb << 20, "devices": _devices(), "disk": _disk(),
            "gate32": os.path.exists("/proc/sys/abi/vsyscall32") or os.path.exists("/proc/sys/vm/vdso_enabled"),
            "sources": "" if any(sources.is_relative_to(place) for place in runtime) else str(sources),
            "folders": [*dict.fromkeys((self.folder, home, here, "/tmp", "/var/tmp", "/dev/shm", "/usr"))],
        }  # fmt: skip
        self._listen()
        self._share()
        self._start_victim()
        self._before = self._state()

    def _bait(self, folder: str) -> str:
        """A file that everybody may read, if there can be one."""
        path = os.path.join(folder, f"bait-{self.nonce}")
        if os.path.exists(path):
            return path  # the user's home may be where the host was started
        try:
            with open(path, "x") as file:
                file.write(self.secret)
            os.chmod(path, 0o644)
        except OSError:
            return ""
        self._stack.callback(_remove, path)
        return path

    def _listen(self) -> None:
        paths = {name: f"{self.folder}/{name}" for name in ("path", "path_dgram")}
        names = {name: f"{self.nonce}-{name}" for name in ("abstract", "abstract_dgram")}
        for name, family, kind, address in (
            ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("path", socket.AF_UNIX, socket.SOCK_STREAM, paths["path"]),
            ("path_dgram", socket.AF_UNIX, socket.SOCK_DGRAM, paths["path_dgram"]),
            ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\0" + names["abstract"]),
            ("abstract_dgram", socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + names["abstract_dgram"]),
            ("netlink", socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)),
            ("vsock", socket.AF_VSOCK, socket.SOCK_STREAM, (socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY)),
        ):  # fmt: skip
            try:
                listener = self._stack.enter_context(socket.socket(family, kind, 2 if name == "netlink" else 0))
                listener.bind(address)
                if kind == socket.SOCK_STREAM:
                    listener.listen()
                listener.setblocking(False)
                bound = listener.getsockname()
                if name == "vsock" and not _loops(bound[1]):
                    continue
            except OSError:
                continue
            self._listeners[name] = listener
            self.facts[name] = {"netlink": bound[0], "vsock": bound[-1]}.get(
                name, bound[1] if len(bound) == 2 else bound
            )
        self.facts.update({name: path for name, path in (paths | names).items() if name in self._listeners})
        for path in paths.values():
            with contextlib.suppress(OSError):
                os.chmod(path, 0o777)
        self.heard()

    def _share(self) -> None:
        """A segment of System V with the secret in it, and a queue of POSIX."""
        _LIBC.shmat.restype = ctypes.c_void_p
        segment = _LIBC.shmget(0, 4096, 0o1666)
        if segment >= 0:
            self._stack.callback(_LIBC.shmctl, segment, 0, None)
            at = _LIBC.shmat(segment, None, 0)
            text = self.secret.encode()
            ctypes.memmove(at, text, len(text))
            _LIBC.shmdt(ctypes.c_void_p(at))
            self.facts["segment"] = str(segment)
        name = f"/{self.nonce}"
        attributes = (ctypes.c_long * 8)(0, 4, 64)
        self._queue = getattr(_LIBC, "mq_open", lambda *_: -1)(
            name.encode(), os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666, ctypes.byref(attributes)
        )
        if self._queue >= 0:
            os.fchmod(self._queue, 0o666)
            self.facts["mq"] = name
            self._stack.callback(_LIBC.mq_unlink, name.encode())
            self._stack.callback(os.close, self._queue)

    def _start_victim(self) -> None:
        program = shutil.which("sleep")
        if not program:
            return
        uid = linux.job_uid()
        ids: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []} if uid != os.getuid() else {}
        victim: subprocess.Popen[Any] = subprocess.Popen(
            [self.secret, "900"], executable=program, env={"MULL_BAIT": self.secret}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **ids,
        )  # fmt: skip
        self._victim = victim
        self._stack.callback(_end, victim)
        self.facts["victim"] = victim.pid
        with contextlib.suppress(OSError, ValueError):
            # where its environment begins; see proc_pid_stat(5), counted after the name, which may hold anything
            fields = Path(f"/proc/{victim.pid}/stat").read_text().rpartition(")")[2].split()
            self.facts["address"] = int(fields[47])

    def facing(self, wall: Wall) -> Facts:
        """The facts, with what there is only behind this wall."""
        self._server = wall._process if isinstance(wall, ForkServer) else None
        return {**self.facts, "server": self._server.pid if self._server else None}

    def _state(self) -> dict[str, Any]:
        victim = self.facts.get("victim")
        bait = Path(self.facts["bait"])
        state: dict[str, Any] = {"the name of the host": socket.gethostname()}
        with contextlib.suppress(OSError):
            found = bait.stat()
            state["a file"] = (found.st_mode, found.st_uid, found.st_size, int(found.st_mtime), bait.read_text())
        if victim:
            with contextlib.suppress(OSError):
                state["the processors of a process"] = os.sched_getaffinity(victim)
                state["the priority of a process"] = os.getpriority(os.PRIO_PROCESS, victim)
        return state

    def heard(self) -> list[str]:
        """Which listeners were reached since this was last asked."""
        found = []
        for name, listener in self._listeners.items():
            with contextlib.suppress(OSError):
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(4096)
                found.append(name.replace("_dgram", " datagram"))
        if self._queue >= 0 and _LIBC.mq_receive(self._queue, ctypes.create_string_buffer(64), 64, None) >= 0:
            found.append("message queue")
        return found

    def harm(self) -> list[str]:
        """What was done to the host since this was last asked; the scene is as before afterwards."""
        found = [f"the {name} listener was reached" for name in self.heard()]
        for folder in self.facts["folders"]:
            path = f"{folder}/{self.nonce}"
            if os.path.lexists(path):
                found.append(f"a file appeared in {folder}")
                _remove(path)
        found += self._hurt()
        if self.nonce in Path("/proc/self/mountinfo").read_text():
            found.append("a file system was mounted on the host")
        left = self._leftovers()
        if left:
            found.append(f"{len(left)} processes live on")
        return found

    def _hurt(self) -> list[str]:
        found = []
        if self._server is not None and self._server.poll() is not None:
            found.append("the fork server was killed")
        if self._victim is not None and self._victim.poll() is not None:
            found.append("a process of the host was killed")
        else:
            now = self._state()
            found += [f"{name} changed" for name in self._before if self._before[name] != now.get(name)]
        if found:
            self._restore()
        return found

    def _restore(self) -> None:
        bait = Path(self.facts["bait"])
        for path in (bait, Path(f"{bait}x")):
            _remove(str(path))
        bait.write_text(self.secret)
        os.chmod(bait, 0o644)
        if self._victim is not None:
            _end(self._victim)
            self._start_victim()
        self._before = self._state()

    def _leftovers(self) -> list[int]:
        """Processes that a job has left behind, by the name that it gave itself; they are killed here."""
        deadline = time.monotonic() + GRACE_SECONDS
        while (found := named(self.nonce)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return found


def named(name: str) -> list[int]:
    """Living processes that call themselves so."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                text = Path(f"/proc/{entry}/stat").read_text()
                if f"({name})" in text and text.rpartition(")")[2].split()[0] != "Z":
                    found.append(int(entry))
    return found


def _loops(port: int) -> bool:
    """Can a process of this machine reach a vsock listener of its own?"""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as way:
        way.settimeout(0.5)
        return way.connect_ex((1, port)) == 0


def _devices() -> list[str]:
    """Devices of which one could make something: disks, memory, virtual machines."""
    names = ["kmsg", "mem", "port", "kvm", "fuse", "net/tun", "userfaultfd", "vhost-vsock", "console", "tty0"]
    disks = [name for name in os.listdir("/sys/block") if not name.startswith(("loop", "ram"))] if _has_sys() else []
    return [f"/dev/{name}" for name in [*names, *disks[:4]] if os.path.exists(f"/dev/{name}")]


def _has_sys() -> bool:
    return os.path.isdir("/sys/block")


def _disk() -> int:
    """The device under the root, where there is one that could be opened."""
    number = os.stat("/").st_dev
    return number if os.path.exists(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}") else 0


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()
