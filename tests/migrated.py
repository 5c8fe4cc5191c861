"""One migrated SQLite file for all the processes of a run: the first that needs one migrates, the others copy it."""

import fcntl
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


class MigratedFile:
    """The file in a folder that belongs to one run. Whoever finds none holds it locked until it has kept one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "migrated.sqlite3"
        # A process that dies gives it back.
        self._lock = (folder / "migrated.lock").open("w")

    def copy_to(self, database: Path) -> bool:
        """Return whether there was one to copy; if not, everybody else waits for `keep`."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if not self._path.exists():
            return False
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        shutil.copyfile(self._path, database)
        return True

    def keep(self, database: Path) -> None:
        """Make the run's file of a database that has just been migrated."""
        unfinished = self._path.with_suffix(".unfinished")
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(unfinished)) as target:
            # Unlike a copy of the file, with what is still in its journal.
            source.backup(target)
        unfinished.rename(self._path)
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        self._lock.close()
