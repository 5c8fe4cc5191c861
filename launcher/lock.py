"""One run for each data folder: two schedules and two brokers in one folder would do everything twice."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from launcher.errors import Halt
from launcher.screen import Screen

# A killed run's guardian holds the lock until everything it started has gone, which takes it at most this long.
PATIENCE_S = 10.0


@contextlib.contextmanager
def only_run(data_dir: Path, screen: Screen) -> Iterator[int]:
    """Hold the folder's lock; gives its file descriptor. Raises Halt if another run keeps it."""
    holder = data_dir / "run.pid"
    with (data_dir / "run.lock").open("a+b") as file:
        deadline_s = time.monotonic() + PATIENCE_S
        while not _try_lock(file.fileno()):
            if _is_alive(holder) or time.monotonic() > deadline_s:
                raise Halt(
                    f"Parley is already running on the data in {data_dir}: stop that run, or give this one another "
                    f"folder with PARLEY_DATA_DIR."
                )
            screen.progress("waiting for the previous run to end")
            time.sleep(0.1)
        screen.finish_progress()
        holder.write_text(f"{os.getpid()}\n", encoding="ascii")
        yield file.fileno()


def _is_alive(holder: Path) -> bool:
    """Whether the launcher that took the lock still runs; if it was killed, its guardian will soon let go."""
    if sys.platform == "win32":
        return True  # no guardian there, and asking after a process with os.kill would end it
    try:
        os.kill(int(holder.read_text(encoding="ascii")), 0)
    except (ProcessLookupError, FileNotFoundError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
