"""Escapes by interfaces of the kernel that have had holes: each that opens is one more way to the kernel itself."""

from __future__ import annotations

from mull.verify.sandbox.escapes.base import Escape


def _opens(name: str, tries: str, *orders: str) -> Escape:
    """Each order is the arguments of one system call."""
    return Escape(name, tries, "\n".join(f"attempt(lambda: call({order}))" for order in orders))


_BUFFER = "ctypes.create_string_buffer(256)"
_CONTEXT = "ctypes.byref(ctypes.c_ulong(0))"
_PERF = "ctypes.create_string_buffer((1).to_bytes(4, 'little') + (128).to_bytes(4, 'little') + bytes(120), 128)"

KERNEL = (
    _opens("io_uring", "sets up a queue by which calls pass every filter", f"'io_uring_setup', 4, {_BUFFER}"),
    _opens(
        "asynchronous requests",
        "takes those that the machine has for all, and has every disk flushed",
        f"'io_setup', 20000, {_CONTEXT}",
        "'syncfs', 0",
    ),
    _opens("bpf", "makes a map for programs in the kernel", "'bpf', 0, (ctypes.c_uint32 * 32)(2, 4, 4, 1), 128"),
    _opens("userfaultfd", "takes over the faults of memory", "'userfaultfd', 1"),
    _opens("perf", "counts events of the processor", f"'perf_event_open', {_PERF}, 0, -1, -1, 0"),
    _opens(
        "keys",
        "puts a key into the kernel's rings, and lists those there are",
        "'add_key', b'user', b'mull', b'x', 1, -2",
        f"'keyctl', 11, -4, {_BUFFER}, 256",
    ),
    _opens("fanotify", "watches files for other processes", "'fanotify_init', 0x200, 0"),
    _opens("secret memory", "asks for memory that nobody can look at", "'memfd_secret', 0"),
    _opens("local descriptor table", "writes segments of the processor", f"'modify_ldt', 0, {_BUFFER}, 16"),
    _opens(
        "placement of memory",
        "moves memory between nodes",
        "'set_mempolicy', 0, 0, 0",
        "'move_pages', 0, 0, 0, 0, 0, 0",
    ),
    _opens("pages given away", "hands pages to a pipe without a copy", "'vmsplice', os.pipe()[1], 0, 0, 0"),
)
