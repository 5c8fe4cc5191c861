"""Installs the real clients into a folder of their own: python3 tests/clients/install.py [FOLDER]

FOLDER is .clients beside this tree's manage.py unless named; PARLEY_TEST_CLIENTS tells the tests of another.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT = HERE.parents[1] / ".clients"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT).resolve()
    install_python(folder)
    install_node(folder)
    print(f"The real clients are in {folder}")


def install_python(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True)


def install_node(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is not installed: it comes with Node.js.")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)


if __name__ == "__main__":
    main()
