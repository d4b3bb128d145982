"""The fork server: one thread, no privileges left, and a new sandbox for every job.

    host ─ control socket ─> zygote: "one more" with two sockets; forks it, waits for its end or its deadline
      ├──── job socket ────> keeper and program (see `guest`): frames
      └── status socket <──> zygote: CPU seconds and seconds of waiting, when asked and when all of it is gone

Walls of `namespaces`: each job has its own user, process, mount, network, IPC and host-name namespace; its root holds
the Python runtime read-only and an empty /tmp of its own, no /proc; no privilege, no new ones, denied calls (see
`seccomp`), Landlock where the kernel has it, kernel limits. The root is built once, before privileges are dropped, so
that a runtime under root's home can be bound in. Walls of `landlock`: no namespaces; nothing can be written and no
process started. A job's text goes from the host to the job and never through this process, so that no job can find
another's here. It ends when the host does, and all jobs with it. Standard library only; started by `host`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from mull.verify.sandbox import guest, linux, seccomp, wire

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache")
_COMMON = (
    "abc array bisect cmath collections collections.abc copy dataclasses datetime decimal enum fractions functools "
    "heapq io itertools json math operator queue random re statistics string struct textwrap threading time typing"
)
"""Imported once here, so that programs do not pay for it."""


def main(descriptor: int) -> None:
    """Serve the control socket until the host closes it. The first frame says what wall is wanted."""
    control = socket.socket(fileno=descriptor)
    config = wire.receive(control, 1 << 20)
    try:
        _close_others(descriptor)
        sys.path[:0] = config["path"]
        for name in [*_COMMON.split(), *config["preload"]]:
            importlib.import_module(name)
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        wall = {"namespaces": Namespaces, "landlock": Landlocked, "none": Unwalled}[config["wall"]](config, proc)
        gc.collect()
        gc.freeze()
    except Exception as error:
        wire.send(control, {"ready": False, "why": f"{type(error).__name__}: {error}"[:500]})
        return
    wire.send(control, {"ready": True, "landlock": linux.landlock_version()})
    _Server(control, proc, wall).serve()


def _close_others(kept: int) -> None:
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)


class Namespaces:
    """Every wall there is."""

    flags = linux.NEW_USER | linux.NEW_PID | linux.NEW_MOUNT | linux.NEW_NET | linux.NEW_IPC | linux.NEW_UTS

    def __init__(self, config: dict[str, Any], proc: int) -> None:
        self.uid, self.gid = os.getuid(), os.getgid()
        binds = [(path, False) for path in dict.fromkeys([*SYSTEM, *config["binds"]])]
        binds += [(path, True) for path in DEVICES]
        root = self.uid == 0 and linux.known_here(config["uid"])
        outer = self.uid, self.gid
        if self.uid == 0:  # never root, also where there is no other user to become
            self.uid = self.gid = config["uid"]
        if root:
            linux.unshare(linux.NEW_MOUNT)
        else:
            linux.unshare(linux.NEW_USER | linux.NEW_MOUNT)
            linux.map_ids(proc, self.uid, self.gid, outer)
        linux.build_root(outermost(binds))
        self.kept = [path for path, _ in outermost(binds) if path.startswith("/tmp/") and os.path.isdir(path)]
        """An environment may lie in /tmp, too, and modules are imported late."""
        if root:
            linux.drop_ids(self.uid, self.gid)
        else:
            linux.drop_capabilities()
        linux.no_new_privileges()
        self.size = config["tmp_mb"]

    def fork(self) -> int:
        return linux.fork_into(self.flags)

    def enter(self, proc: int) -> None:
        """In the new process, which is pid 1 of its world."""
        linux.die_with_parent()
        linux.map_ids(proc, self.uid, self.gid)
        linux.first_to_go(proc)
        socket.sethostname("sandbox")
        linux.mount_tmpfs_around("/tmp", f"mode=1777,size={self.size}m,nr_inodes=4k", self.kept)
        os.chdir("/tmp")
        linux.drop_capabilities()

    def confine(self) -> None:
        """In the process of the program, right before it."""
        linux.no_new_privileges()
        if linux.landlock_version():
            linux.landlock(["/"], ["/tmp", *DEVICES])
        seccomp.install(linux.LIBC, processes=True)

    def sweep(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # everybody in this namespace but its pid 1
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                pass


class Landlocked:
    """What is left where namespaces are refused: nothing to write, nobody to start, no sockets."""

    def __init__(self, config: dict[str, Any], proc: int) -> None:
        if not linux.landlock_version():
            raise OSError("this kernel has no Landlock")
        places = [*SYSTEM, *config["binds"], *DEVICES]
        self.readable = [path for path in dict.fromkeys(places) if os.path.exists(path)]
        if os.getuid() == 0:
            with contextlib.suppress(OSError):  # else an ordinary user would not reach a runtime under root's home
                linux.unshare(linux.NEW_MOUNT)
                linux.build_root(outermost([(path, path in DEVICES) for path in self.readable]))
            linux.drop_ids(config["uid"], config["uid"])
        self.readable = [path for path in self.readable if os.access(path, os.R_OK)]
        linux.no_new_privileges()
        linux.adopt_orphans()
        os.chdir("/")

    def fork(self) -> int:
        return os.fork()

    def enter(self, proc: int) -> None:
        linux.die_with_parent()
        linux.first_to_go(proc)
        os.setsid()

    def confine(self) -> None:
        linux.die_with_parent()  # there is no first process of a namespace whose end would be its end, too
        linux.landlock(self.readable, [path for path in DEVICES if path in self.readable])
        seccomp.install(linux.LIBC, processes=False)

    def sweep(self) -> None:
        """No process can have been started."""


class Unwalled(Landlocked):
    """Kernel limits and a deadline, and nothing else: for those who said that they want it so."""

    def __init__(self, config: dict[str, Any], proc: int) -> None:
        linux.adopt_orphans()

    def confine(self) -> None:
        linux.die_with_parent()


def outermost(binds: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Without links, which the root has too, what is not there, and what lies under another."""
    real = [(path, device) for path, device in binds if os.path.exists(path) and not os.path.islink(path)]
    paths = [path for path, _ in real]
    return [(path, device) for path, device in real if not any(path.startswith(other + "/") for other in paths)]


@dataclass
class _Job:
    pid: int
    ended: int
    """A descriptor that is readable once its keeper has ended."""
    status: socket.socket
    deadline: float
    found: dict[str, float] = field(default_factory=dict)
    """CPU seconds and seconds of waiting for a processor, when it was killed."""


class _Server:
    def __init__(self, control: socket.socket, proc: int, wall: Any) -> None:
        self.control, self.proc, self.wall = control, proc, wall
        self.jobs: dict[int, _Job] = {}
        """By either of its two descriptors."""
        self.poll = select.poll()
        self.poll.register(control.fileno(), select.POLLIN)

    def serve(self) -> None:
        while True:
            # new jobs last: they may be given the descriptors of those that end in this round
            ready = sorted((number for number, _ in self.poll.poll(self._patience())), key=self.control.fileno().__eq__)
            for descriptor in ready:
                job = self.jobs.get(descriptor)
                if descriptor == self.control.fileno():
                    if not self._take():
                        return self._end_all()
                elif job and descriptor == job.ended:
                    self._reap(job)
                elif job:
                    self._heed(job)
            now = time.monotonic()
            for job in list(self.jobs.values()):
                if job.deadline <= now:
                    self._kill(job)

    def _patience(self) -> float | None:
        """Milliseconds until the next deadline."""
        waiting = [job.deadline for job in self.jobs.values() if not job.found]
        return max(0.0, min(waiting) - time.monotonic()) * 1e3 + 1 if waiting else None

    def _heed(self, job: _Job) -> None:
        """The host asks what a job has used so far, or has had enough of it, or is gone."""
        try:
            order = wire.receive(job.status, 256)
            if order == {"look": True}:
                wire.send(job.status, linux.family_times(self.proc, job.pid))
                return
        except (OSError, wire.Broken):
            pass
        self._kill(job)

    def _end_all(self) -> None:
        """The host has closed us: what still runs has no other failing. Returns when all of it is gone."""
        for job in {job.pid: job for job in self.jobs.values()}.values():
            self._kill(job)
            job.found["lost"] = 1.0
            self._reap(job)

    def _take(self) -> bool:
        """Start one more job; False when the host is gone."""
        order, descriptors, _, _ = socket.recv_fds(self.control, 256, 2)
        if not order:
            return False
        host, status = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        try:
            pid = self.wall.fork()
        except OSError as error:
            wire.send(host, {"refused": str(error)})
            host.close()
            status.close()
            return True
        if pid == 0:
            try:
                self._become(host, status)
            except (OSError, wire.Broken) as error:
                with contextlib.suppress(OSError):
                    wire.send(host, {"refused": str(error)})
            finally:
                os._exit(0)
        host.close()
        job = _Job(pid, os.pidfd_open(pid), status, time.monotonic() + json.loads(order)["seconds"])
        for descriptor in (job.ended, status.fileno()):
            self.jobs[descriptor] = job
            self.poll.register(descriptor, select.POLLIN)
        return True

    def _become(self, host: socket.socket, status: socket.socket) -> None:
        self.control.close()
        status.close()
        for job in self.jobs.values():
            job.status.close()
            with contextlib.suppress(OSError):  # each job is there twice
                os.close(job.ended)
        self.wall.enter(self.proc)
        os.close(self.proc)
        guest.serve(host, self.wall.confine, self.wall.sweep)

    def _kill(self, job: _Job) -> None:
        if not job.found:
            job.found = linux.family_times(self.proc, job.pid)
            self.poll.unregister(job.status.fileno())
            with contextlib.suppress(ProcessLookupError):
                os.kill(job.pid, signal.SIGKILL)

    def _reap(self, job: _Job) -> None:
        if not job.found:
            self.poll.unregister(job.status.fileno())
        self.poll.unregister(job.ended)
        del self.jobs[job.ended], self.jobs[job.status.fileno()]
        os.close(job.ended)
        _, _, used = os.wait4(job.pid, 0)
        if isinstance(self.wall, Landlocked):
            self._sweep_orphans()
        cpu = max(used.ru_utime + used.ru_stime, job.found.get("cpu", 0.0))
        with contextlib.suppress(OSError):
            wire.send(job.status, {"waited": 0.0, **job.found, "cpu": cpu, "over": True})
        job.status.close()

    def _sweep_orphans(self) -> None:
        """Where there is no process namespace, what a job left behind has become our child."""
        known = {job.pid for job in self.jobs.values()}
        for _ in range(100):
            strays = [pid for pid in linux.children(self.proc, os.getpid()) if pid not in known]
            if not strays:
                return
            for pid in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
