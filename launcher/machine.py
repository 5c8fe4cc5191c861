"""What this machine has and lacks: each check gives facts, or one sentence that says what to do."""

import errno
import importlib.util
import os
import platform
import random
import shutil
import socket
import sys
from pathlib import Path

from launcher import places
from launcher.errors import Halt

# The embedded speech recogniser's wheel is built against this C library (Debian 12, Ubuntu 22.04, Fedora 35 and newer).
GLIBC_NEEDED = (2, 34)
# A full installation takes 0.9 GB; the rest is room for the downloads and for the data.
DISK_NEEDED_BYTES = 2 * 10**9
# Web server, worker and speech models together take about 0.8 GB.
MEMORY_NEEDED_BYTES = 10**9
# Below what Linux, macOS and Windows give to connections that ask for no port of their own.
_NEVER_LENT = range(10_000, 32_000)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def check_venv_module() -> None:
    """Raise Halt where Python came without what makes virtual environments (Debian splits it off)."""
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Halt(
            f"This Python cannot make virtual environments: install the package python{version}-venv, "
            f"then run this again."
        )


def check_glibc(libc: tuple[str, str] | None = None) -> None:
    """Raise Halt if the embedded speech models cannot be installed on this machine's C library."""
    if not sys.platform.startswith("linux"):
        return
    name, version = libc or platform.libc_ver()
    if name != "glibc":
        raise Halt(
            "The embedded speech models need glibc, which this Linux does not use: run Parley on Debian 12 or another "
            "glibc system, or set OPENAI_API_KEY and add --no-models."
        )
    if tuple(int(part) for part in version.split(".")[:2]) < GLIBC_NEEDED:
        needed = ".".join(map(str, GLIBC_NEEDED))
        raise Halt(
            f"The embedded speech models need glibc {needed} and this machine has {version}: use a newer Linux "
            f"(Debian 12, Ubuntu 22.04), or set OPENAI_API_KEY and add --no-models."
        )


def check_disk(path: Path, free_bytes: int | None = None) -> None:
    free = shutil.disk_usage(path).free if free_bytes is None else free_bytes
    if free < DISK_NEEDED_BYTES:
        raise Halt(f"Only {free / 1e9:.1f} GB are free on the disk of {path}: make room for 2 GB, then run this again.")


def check_memory(available_bytes: int | None = None) -> None:
    available = memory_available_bytes() if available_bytes is None else available_bytes
    if available is not None and available < MEMORY_NEEDED_BYTES:
        raise Halt(
            f"Only {available / 1e9:.1f} GB of memory are free and the embedded models need about 1 GB: "
            f"close something, or set OPENAI_API_KEY and add --no-models."
        )


def memory_available_bytes() -> int | None:
    """None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(values["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in values else None


def check_port(host: str, port: int, *, setting: str = "PORT") -> None:
    """Raise Halt unless a server can listen on host:port, which `setting` chose."""
    try:
        _listen(host, port)
    except socket.gaierror as error:
        raise Halt(f"HOST is {host!r}, which is no address of this machine: use 127.0.0.1 or 0.0.0.0.") from error
    except PermissionError as error:
        raise Halt(
            f"Port {port} is reserved for the system: choose one above 1023, for example {setting}=8000."
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise Halt(f"HOST is {host!r}, which is no address of this machine: use 127.0.0.1 or 0.0.0.0.") from error
        raise Halt(
            f"Port {port} is taken by another program: stop that one, or choose another port with "
            f"{setting}={free_port(host)} ./parley run."
        ) from error


def port_is_free(host: str, port: int) -> bool:
    try:
        _listen(host, port)
    except OSError:
        return False
    return True


def free_port(host: str) -> int:
    """Return a port that nobody listens at; raises OSError when there is none.

    The system's own choice (port 0) is one that it may give to any connection in the seconds until it is listened at.
    """
    for port in random.SystemRandom().sample(_NEVER_LENT, 100):
        if port_is_free(host, port):
            return port
    raise OSError(f"no free port found for {host}")


def _listen(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as server:
        if sys.platform != "win32":
            # A port whose last connections are still closing is free; on Windows the option would mean something else.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(1)


def find_chromium() -> str | None:
    """PARLEY_CHROMIUM, or the first Chromium on PATH."""
    chosen = os.environ.get("PARLEY_CHROMIUM")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def find_node() -> str | None:
    """The Node.js inside the Playwright package, once the test tools are installed; else the machine's own.

    In that order, because Debian's is too old to know a module by its text.
    """
    bundled = places.venv_dir().glob("[Ll]ib*/**/site-packages/playwright/driver/node*")
    return next((str(path) for path in bundled if path.is_file()), None) or shutil.which("node")
