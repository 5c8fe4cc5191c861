import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from config import large_pages

MB = 1024 * 1024
MAPS = "\n".join(
    [
        "55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]",
        "7f0000100000-7f0000700000 rw-p 00000000 00:00 0 ",
        "7f0001000000-7f0001800000 rw-p 00000000 00:00 0                          [anon:python]",
        "7f0002000000-7f0002400000 r--p 00000000 00:00 0 ",
        "7f0003000000-7f0003400000 rw-p 00000000 fd:00 1234                       /usr/lib/libpython3.11.so",
        "7f0004000000-7f0004400000 rw-s 00000000 00:01 99                         /dev/zero (deleted)",
        "7ffc00000000-7ffc00800000 rw-p 00000000 00:00 0                          [stack]",
    ]
)


def test_large_pages_are_for_memory_of_the_process_alone_and_lie_whole_within_it():
    assert list(large_pages.regions(MAPS)) == [(0x7F0000200000, 4 * MB), (0x7F0001000000, 8 * MB)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has large pages of this kind")
def test_what_is_in_memory_is_the_same_afterwards():
    memory = mmap.mmap(-1, 8 * MB, flags=mmap.MAP_PRIVATE)
    memory[:] = bytes(range(256)) * (8 * MB // 256)
    large_pages.collapse()
    assert memory[:] == bytes(range(256)) * (8 * MB // 256)


def test_where_linux_does_not_say_what_is_in_memory_it_stays_as_it_is(monkeypatch):
    def hidden(path):
        raise PermissionError(path)

    monkeypatch.setattr(Path, "read_text", hidden)
    large_pages.collapse()


COLLAPSING = """
from config import large_pages
kept = bytes(range(256)) * (64 * 4096)
large_pages.collapse()
print(open("/proc/self/smaps_rollup").read())
"""


def _can_collapse() -> bool:
    release = Path("/proc/sys/kernel/osrelease")
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not release.exists() or not setting.exists():
        return False
    return tuple(int(part) for part in release.read_text().split(".")[:2]) >= (6, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has large pages of this kind")
def test_large_pages_are_had_where_linux_has_them():
    printed = subprocess.run([sys.executable, "-c", COLLAPSING], capture_output=True, text=True, check=True).stdout
    large_kb = next(int(line.split()[1]) for line in printed.splitlines() if line.startswith("AnonHugePages"))
    assert large_kb >= (48 * 1024 if _can_collapse() else 0)
