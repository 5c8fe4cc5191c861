"""What a figure was measured on, in one line."""

import os
import platform
from pathlib import Path


def this_machine() -> str:
    """Return the processor, its cores, how busy they are with other things, the system and Python's version."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {load}, {platform.system()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine() or "an unnamed processor")
