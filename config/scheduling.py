"""How soon the thread that carries audio gets the processor back from the threads beside it."""

import ctypes
import os
import platform
import sys

# The shortest that Linux grants. Who asks for less time at once than the thread that is running comes before it as soon
# as there is something to do (since Linux 6.12; older ones ignore it). It gets no more time in all, so nobody starves.
SLICE_NS = 100_000
_RESET_ON_FORK = 1
# linux/sched/types.h and the tables of system calls: Python has no function for it.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


class _SchedAttr(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    ]


def come_first() -> bool:
    """Have this thread wait for no slice of another's, but not those it starts; return whether the system took it.

    On a busy processor a frame would wait a millisecond or two, on its way in and again on its way out, for a thread
    that writes to the ledger.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    attr = _SchedAttr(
        size=ctypes.sizeof(_SchedAttr),
        policy=os.SCHED_OTHER,
        flags=_RESET_ON_FORK,
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        runtime_ns=SLICE_NS,
    )
    return bool(ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attr), 0) == 0)
