"""Escapes that speak: to listeners of the host, over every kind of socket, and past the ban on sockets."""

from __future__ import annotations

from mull.verify.sandbox.escapes.base import Escape, needs

_PAIR = """
import socket
def tell(address):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"out", address)
"""


def _stream(family: str, address: str) -> str:
    return (
        "import socket\ndef out():\n"
        f"    with socket.socket({family}) as way:\n        way.settimeout(1)\n        way.connect({address})\n"
        "        way.sendall(b'out')\nattempt(out)"
    )


NETWORK = (
    Escape("TCP", "connects to a server on the host", _stream("socket.AF_INET", "('127.0.0.1', H['tcp'])")),
    Escape(
        "UDP",
        "sends a datagram to the host",
        """
import socket
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'out', ('127.0.0.1', H['udp'])))
""",
    ),
    Escape(
        "abstract socket",
        "connects to a Unix socket that has no file",
        _stream("socket.AF_UNIX", "bytes(1) + H['abstract'].encode()"),
    ),
    Escape("path socket", "connects to a Unix socket in the host's /tmp", _stream("socket.AF_UNIX", "H['path']")),
    Escape(
        "datagram pair to a path",
        "sends from one end of a pair of its own to a Unix socket of the host",
        _PAIR
        + """
attempt(lambda: tell(H['path_dgram']))
""",
    ),
    Escape(
        "datagram pair to a name",
        "the same to a Unix socket that has no file",
        _PAIR
        + """
attempt(lambda: tell(bytes(1) + H['abstract_dgram'].encode()))
""",
    ),
    Escape(
        "netlink",
        "sends to another process by the kernel's own sockets",
        r"""
import socket
header = (19).to_bytes(4, 'little') + bytes(12)
attempt(lambda: socket.socket(16, 3, 2).sendto(header + b'out', (H['netlink'], 0)))
""",
        needs("netlink", "netlink between processes"),
    ),
    Escape(
        "vsock",
        "connects to the machine's own end of the sockets of virtual machines",
        _stream("40", "(1, H['vsock'])"),
        needs("vsock", "loopback of vsock"),
    ),
    Escape(
        "raw sockets",
        "opens sockets that see every packet",
        """
import socket
for kind in ((17, 3, 768), (2, 3, 1)):
    attempt(lambda: socket.socket(*kind))
""",
    ),
    Escape(
        "other sockets",
        "opens sockets of each kind that the kernel has",
        """
opened = set()
for family in range(1, 47):
    for kind in (1, 2, 3, 5):
        if libc.socket(family, kind, 0) >= 0:
            opened.add(family)
attempt(lambda: sorted(opened) or fail(1))
""",
    ),
    Escape(
        "filter over the filter",
        "puts a filter of its own before the calls, which allows all, and connects",
        r"""
header = ctypes.create_string_buffer(b'\x06\0\0\0' + (0x7FFF0000).to_bytes(4, 'little'), 8)
import struct
whole = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 1, ctypes.addressof(header)))
libc.prctl(38, 1, 0, 0, 0)
libc.prctl(22, 2, whole, 0, 0)
"""
        + _stream("socket.AF_INET", "('127.0.0.1', H['tcp'])"),
    ),
    Escape(
        "POSIX queue",
        "sends to a message queue of the host",
        """
def out():
    queue = libc.mq_open(H['mq'].encode(), 1)
    if queue < 0: fail()
    return fail() if libc.mq_send(queue, b'out', 3, 0) else 'sent'
attempt(out)
""",
        needs("mq", "POSIX message queue"),
    ),
)
