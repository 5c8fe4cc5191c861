"""The thread that carries audio waits for no slice of another's, where the system knows how."""

import re
import sys
import threading
from pathlib import Path

import pytest

from config.scheduling import SLICE_NS, come_first

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a setting")


def in_a_thread(look):
    """Return what a thread of its own says: the tests' own thread is left as it is."""
    said = []
    thread = threading.Thread(target=lambda: said.append(look()))
    thread.start()
    thread.join()
    return said[0]


def slice_ns():
    """Return the running thread's slice; None where the system does not tell."""
    try:
        told = Path("/proc/thread-self/sched").read_text()
    except FileNotFoundError:
        return None
    found = re.search(r"se\.slice\s*:\s*(\d+)", told)
    return int(found[1]) if found else None


def test_a_thread_that_comes_first_has_the_shortest_slice_if_the_system_has_slices():
    usual_ns = in_a_thread(slice_ns)
    has_taken, own_ns = in_a_thread(lambda: (come_first(), slice_ns()))
    assert own_ns == (SLICE_NS if has_taken and usual_ns is not None else usual_ns)


def test_threads_that_it_starts_have_the_usual_slice():
    usual_ns = in_a_thread(slice_ns)
    assert in_a_thread(lambda: (come_first(), in_a_thread(slice_ns)))[1] == usual_ns
