"""`./parley doctor`: what this machine has, what it lacks, and what to do about it."""

import os
import platform
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from launcher import install, machine, places
from launcher.errors import Halt
from launcher.run import DEFAULT_PORT, has_openai_key
from launcher.screen import Screen


@dataclass(frozen=True)
class Finding:
    """One line of the report; only a missing thing that is `required` makes the doctor fail."""

    present: bool
    required: bool
    text: str

    def __str__(self) -> str:
        mark = "ok" if self.present else "MISSING" if self.required else "without"
        return f"  {mark:8} {self.text}"


def doctor(screen: Screen) -> int:
    """Print the findings; 1 if something is missing that Parley cannot run without."""
    needed, for_tests = to_run(), to_test()
    screen.line("To run Parley:")
    for finding in needed:
        screen.line(str(finding))
    screen.line("To run every test (without one of these its tests are skipped and say so):")
    for finding in for_tests:
        screen.line(str(finding))
    missing = sum(finding.required and not finding.present for finding in needed)
    screen.line("This machine can run Parley." if not missing else f"{missing} thing(s) to mend before ./parley run.")
    return 1 if missing else 0


def to_run() -> list[Finding]:
    host, port = places.setting("HOST", "127.0.0.1"), places.number("PORT", DEFAULT_PORT)
    libc = " ".join(platform.libc_ver()).strip() or "this system's C library"
    return [
        Finding(True, True, f"Python {platform.python_version()}"),
        from_check(machine.check_venv_module, "Python's venv module"),
        from_check(machine.check_glibc, f"{libc}, for the speech models", required=not has_openai_key()),
        from_check(lambda: machine.check_port(host, port), f"port {port} is free"),
        disk(),
        from_check(machine.check_memory, f"memory: {gigabytes(machine.memory_available_bytes())} free", required=False),
        data_folder(),
    ]


def from_check(check: Callable[[], None], text: str, required: bool = True) -> Finding:
    try:
        check()
    except Halt as halt:
        return Finding(False, required, str(halt))
    return Finding(True, required, text)


def disk() -> Finding:
    free = shutil.disk_usage(places.ROOT).free
    if install.read_stamp():
        return Finding(True, True, f"disk: {gigabytes(free)} free, and everything is installed already")
    return from_check(lambda: machine.check_disk(places.ROOT), f"disk: {gigabytes(free)} free")


def data_folder() -> Finding:
    try:
        folder = places.data_dir()
    except OSError as error:
        return Finding(False, True, f"The data folder cannot be made ({error.strerror}): set PARLEY_DATA_DIR.")
    if not os.access(folder, os.W_OK):
        return Finding(False, True, f"Nothing can be written to {folder}: change its owner or set PARLEY_DATA_DIR.")
    return Finding(True, True, f"data folder {folder}")


def to_test() -> list[Finding]:
    chromium, node = machine.find_chromium(), machine.find_node()
    return [
        Finding(bool(chromium), False, f"Chromium: {chromium or 'install it, or set PARLEY_CHROMIUM to its path'}"),
        Finding(bool(node), False, f"Node.js: {node or 'none yet; ./parley test installs one with its tools'}"),
        service("PostgreSQL", "PARLEY_TEST_POSTGRES_URL", 5432),
        service("Redis", "PARLEY_TEST_REDIS_URL", 6379),
        service("RabbitMQ", "PARLEY_TEST_RABBITMQ_URL", 5672),
    ]


def service(name: str, variable: str, default_port: int) -> Finding:
    url = os.environ.get(variable, "")
    if not url:
        return Finding(False, False, f"{name}: start one and set {variable} (.ci/run shows how)")
    try:
        parts = urlsplit(url)
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or default_port), timeout=3).close()
    except (OSError, ValueError):
        # The address is named without its password.
        return Finding(False, False, f"{name}: nothing answers at the address in {variable}")
    return Finding(True, False, f"{name} answers at {parts.hostname}")


def gigabytes(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e9:.1f} GB"
