"""Where things are (the tree, the virtual environment, the data) and what the environment or .env says about them."""

import os
import sys
from pathlib import Path

from launcher.errors import Halt

ROOT = Path(__file__).resolve().parent.parent


def read_env_file(path: Path) -> dict[str, str]:
    """Read KEY=VALUE lines. Only the launcher's own choices come from here; Django reads the file for itself."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (_pair(line) for line in lines)
    return {name: value for name, value in pairs if name}


def _pair(line: str) -> tuple[str, str]:
    line = line.strip().removeprefix("export ")
    if line.startswith("#") or "=" not in line:
        return "", ""
    name, _, value = line.partition("=")
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return name.strip(), value[1:-1]
    return name.strip(), value.split(" #", 1)[0].strip()


def setting(name: str, default: str = "") -> str:
    """The environment wins over .env; an empty value counts as not set."""
    return os.environ.get(name, "").strip() or read_env_file(ROOT / ".env").get(name, "") or default


def number(name: str, default: int) -> int:
    text = setting(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Halt(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def data_dir() -> Path:
    """PARLEY_DATA_DIR, or var/; made if need be. Relative to the tree, so that it means the same from every folder."""
    path = ROOT / Path(setting("PARLEY_DATA_DIR", "var")).expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path


def venv_dir() -> Path:
    return ROOT / Path(setting("PARLEY_VENV", ".venv")).expanduser()


def venv_python() -> Path:
    return venv_dir() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
