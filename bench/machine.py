"""What the figures were measured on."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = ("django", "channels", "daphne", "uvicorn", "uvloop", "websockets", "picows", "twisted", "playwright")


def why_not_here() -> str:
    """Return the sentence that says why nothing can be measured on this machine, or an empty one."""
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/self/stat").exists():
        return "processes can be pinned to a core and watched on Linux only; nothing was measured."
    if len(os.sched_getaffinity(0)) < 2:
        return "two cores are needed, one for the server and one for the load; nothing was measured."
    return ""


def describe_machine() -> list[str]:
    one, five, fifteen = os.getloadavg()
    libraries = ", ".join(f"{name} {found}" for name in _LIBRARIES if (found := _version_of(name)))
    return [
        f"{os.cpu_count()} cores, {_first('/proc/cpuinfo', 'model name')}; "
        f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) // 1024} MB of memory; Linux {platform.release()}",
        f"Python {sys.version.split()[0]}; {libraries}",
        f"load before the run: {one:.2f}, {five:.2f}, {fifteen:.2f} (1, 5, 15 minutes); niceness {os.nice(0)}",
    ]


def _first(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "unknown")


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
