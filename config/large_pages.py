"""Has Linux keep what a process has loaded in large pages.

Django and the code of a call lie in tens of thousands of small ones, more than a processor knows the places of: with
fifty calls that take turns it looks most of them up anew. Only what is there when a process begins is moved; it takes
some milliseconds and no memory to speak of.
"""

import ctypes
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_PAGE_BYTES = 2 * 1024 * 1024
# linux/mman.h, since Linux 6.1: now, and whatever the machine's setting is for memory that nobody has spoken for.
_MADV_COLLAPSE = 25
# A line of /proc/PID/maps: memory of no file that may be written, with the name the kernel has for it, if any.
_OURS = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p [0-9a-f]+ [0-9a-f:]+ 0 *(?:\[heap\]|\[anon:.*\])?$", re.MULTILINE)


def collapse() -> None:
    """Move what is in memory now to large pages; a machine that has none, or no room for them, leaves it as it is."""
    if sys.platform != "linux":
        return
    try:
        madvise, maps = ctypes.CDLL(None).madvise, Path("/proc/self/maps").read_text()
    except (AttributeError, OSError):
        return
    madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for start, size in regions(maps):
        # One at a time: the first that cannot be had would end the rest.
        for page in range(start, start + size, _PAGE_BYTES):
            madvise(page, _PAGE_BYTES, _MADV_COLLAPSE)


def regions(maps: str) -> Iterator[tuple[int, int]]:
    """Return where large pages fit into a process's own memory: addresses and sizes, both in whole large pages."""
    for begin, end in _OURS.findall(maps):
        start = -(-int(begin, 16) // _PAGE_BYTES) * _PAGE_BYTES
        size = (int(end, 16) - start) // _PAGE_BYTES * _PAGE_BYTES
        if size > 0:
            yield start, size
