"""Run a command as on a machine that refuses user namespaces: `python without_user_namespaces.py WORDS…`

In a user namespace of its own, where the limit of further ones is set to 0. The user keeps one number there, which is
not root's, and loses every capability with the command.
"""

from __future__ import annotations

import os
import sys

from mull.verify.sandbox import linux

UID = 60999


def main() -> None:
    """Enter, switch off, become the command."""
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(linux.NEW_USER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{UID} {uid} 1"), ("gid_map", f"{UID} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
