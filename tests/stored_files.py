"""Read the files of a database that is in use, without ending its locks.

A process that closes any file loses all its POSIX locks on it. SQLite would believe that nobody else has the database
open, and take its journal away from under the test's own connections; so it is another process that looks.
"""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path


def those_with(word: str, files: Iterable[Path]) -> list[Path]:
    """Return the files in which a word can be found, in capitals or not."""
    command = ["grep", "--files-with-matches", "--ignore-case", "--text", "--fixed-strings", "-e", word, "--"]
    found = subprocess.run(
        [*command, "/dev/null", *map(str, files)], capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
    )
    # 1: in none. A file that went away meanwhile holds nothing.
    assert found.returncode in (0, 1) or "No such file" in found.stderr, found.stderr
    return [Path(name) for name in found.stdout.splitlines()]
