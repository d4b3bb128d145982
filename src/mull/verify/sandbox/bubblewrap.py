"""The wall `bubblewrap`: the `bwrap` program around a new interpreter for each job, on request.

    caller's thread ─ opened ─> waits for a free slot ─> bwrap, as an ordinary user, with an empty environment
                       └──────> job socket: frames with the keeper inside, which is bwrap's pid 1

Never run as root: bwrap that was started by uid 0 lets a job write the host's /proc/sys, since uid 0 owns it; and no
/proc, whose /proc/1/environ is bwrap's copy of our environment. Our own filter of calls, Landlock and kernel limits
hold inside as they do behind `namespaces`. Left out on purpose: modules imported in advance, as nothing lives on
between jobs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from mull.verify.sandbox import linux
from mull.verify.sandbox.base import Ask, Limits, Ran
from mull.verify.sandbox.channel import CannotStart, Channel, calls, runs
from mull.verify.sandbox.zygote import DEVICES, SYSTEM, outermost

_PARTS = ("wire.py", "guest.py", "linux.py", "seccomp.py", "zygote.py")
_ENTRY = (
    "import sys, socket; sys.path.insert(0, '/mull'); from mull.verify.sandbox import guest, zygote; "
    "wall = object.__new__(zygote.Namespaces); wall.sweep(); "
    "guest.serve(socket.socket(fileno=int(sys.argv[1])), wall.confine, wall.sweep)"
)


class Bubblewrap:
    """Example: `next(Bubblewrap().runs("print(1)", [""], Limits()))`"""

    name = "bubblewrap"

    def __init__(self, slots: int = 0) -> None:
        self._program = shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin") or ""
        self._slots = threading.BoundedSemaphore(slots or max(2, os.cpu_count() or 1))
        self._uid = linux.job_uid()
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._python = ""

    def start(self) -> None:
        """Try it once.

        Raises:
            CannotStart: no bwrap, no interpreter that an ordinary user may read, or it is refused.
        """
        if not self._program:
            raise CannotStart("bubblewrap: no bwrap on the path (on Debian: apt install bubblewrap)")
        self._python = self._interpreter()
        [found] = self.runs("print(6 * 7)", [""], Limits())
        if found.out != "42\n":
            raise CannotStart(f"bubblewrap: a first program did not run ({found.how}: {found.why})")

    def _interpreter(self) -> str:
        own = os.path.realpath(sys.executable)
        for path in (own, "/usr/bin/python3", "/usr/local/bin/python3"):
            if os.path.exists(path) and (os.getuid() or _everyone_reaches(path)):
                return path
        raise CannotStart(f"bubblewrap: ordinary users cannot reach {own}, and there is no other python3")

    def _command(self, descriptor: int, files: dict[str, int], size: int) -> list[str]:
        places = [*SYSTEM, str(Path(self._python).parents[1]), *DEVICES]
        command = [self._program, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1"]
        command += ["--cap-drop", "ALL", "--hostname", "sandbox"]
        for link in ("bin", "sbin", "lib", "lib64", "lib32"):
            if os.path.islink(f"/{link}"):
                command += ["--symlink", os.readlink(f"/{link}"), f"/{link}"]
        for path, device in outermost([(path, path in DEVICES) for path in places]):
            command += ["--dev-bind" if device else "--ro-bind", path, path]
        for name, file in files.items():
            command += ["--ro-bind-data", str(file), f"/mull/{name}"]
        command += ["--size", str(size << 20), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp", "--clearenv"]
        command += ["--setenv", "PYTHONHASHSEED", "0", "--setenv", "LC_ALL", "C.UTF-8"]
        return [*command, self._python, "-S", "-P", "-B", "-c", _ENTRY, str(descriptor)]

    @contextlib.contextmanager
    def opened(self, job: dict[str, Any], limits: Limits, counted: bool = True) -> Iterator[Channel]:
        """See `host.ForkServer.opened`."""
        with self._slots if counted else contextlib.nullcontext(), contextlib.ExitStack() as stack:
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            files = _package()
            try:
                ids = {"user": self._uid, "group": self._uid, "extra_groups": []} if os.getuid() == 0 else {}
                process: subprocess.Popen[Any] = subprocess.Popen(
                    self._command(theirs.fileno(), files, limits.tmp_mb),
                    env={},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), *files.values()],
                    start_new_session=True,
                    **ids,  # type: ignore[arg-type]
                )
            finally:
                theirs.close()
                for file in files.values():
                    os.close(file)
            channel = Channel(ours, limits, lambda order: self._times(process, order))
            try:
                channel.send({**job, "limits": limits.as_job(processes=limits.processes)})
                yield channel
            finally:
                channel.end()

    def _times(self, process: subprocess.Popen[Any], order: Literal["look", "end"]) -> dict[str, float]:
        found = linux.family_times(self._proc, process.pid)
        if order == "end":
            process.kill()  # and with it, by --die-with-parent, all that is inside
            process.wait()
        return found

    def runs(self, source: str, inputs: Sequence[str], limits: Limits) -> Generator[Ran, None, None]:
        return runs(self, source, inputs, limits)

    def calls(self, source: str, limits: Limits) -> AbstractContextManager[Ask]:
        return calls(self, source, limits)

    def close(self) -> None:
        """Nothing lives on between jobs."""


def _package() -> dict[str, int]:
    """The modules that are needed inside, as files in memory: path and descriptor of each."""
    here = Path(__file__).parent
    texts = dict.fromkeys(("mull/__init__.py", "mull/verify/__init__.py", "mull/verify/sandbox/__init__.py"), b"")
    texts |= {f"mull/verify/sandbox/{part}": (here / part).read_bytes() for part in _PARTS}
    files = {}
    for name, text in texts.items():
        files[name] = os.memfd_create(name.replace("/", "-"))
        os.write(files[name], text)
        os.lseek(files[name], 0, os.SEEK_SET)
    return files


def _everyone_reaches(path: str) -> bool:
    """May others read it, and pass through every folder above it?"""
    reachable = all(os.stat(folder).st_mode & 0o001 for folder in Path(path).parents)
    return reachable and os.stat(path).st_mode & 0o005 == 0o005
