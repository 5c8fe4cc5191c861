"""A Django cache in an SQLite file of its own whose add and incr are atomic across processes.

django-ratelimit's counters need that; Django's database and file caches read, add and write back, and so let through
more than the limit when several processes count at once.
"""

import os
import pickle
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

_LIVE = "(expires_at IS NULL OR expires_at > ?)"
# One write in this many also sweeps what has expired, so that the file does not grow.
_WRITES_PER_SWEEP = 500


class SqliteCache(BaseCache):
    """`LOCATION` is the file's path. Values are integers (countable) or anything that pickles."""

    def __init__(self, location: Path | str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._path = str(location)
        self._writes = 0

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        row = self._run(
            "INSERT INTO cache VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
            " expires_at = excluded.expires_at WHERE expires_at IS NOT NULL AND expires_at <= ? RETURNING 1",
            (self._key(key, version), _encode(value), self._expiry(timeout), time.time()),
        )
        self._count_write()
        return row is not None

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        row = self._run(f"SELECT value FROM cache WHERE key = ? AND {_LIVE}", (self._key(key, version), time.time()))
        return default if row is None else _decode(row[0])

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._run(
            "INSERT OR REPLACE INTO cache VALUES (?, ?, ?)",
            (self._key(key, version), _encode(value), self._expiry(timeout)),
        )
        self._count_write()

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        row = self._run(
            f"UPDATE cache SET value = value + ? WHERE key = ? AND {_LIVE} RETURNING value",
            (delta, self._key(key, version), time.time()),
        )
        if row is None:
            raise ValueError(f"Key {key!r} not found")
        return int(row[0])

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        row = self._run(
            f"UPDATE cache SET expires_at = ? WHERE key = ? AND {_LIVE} RETURNING 1",
            (self._expiry(timeout), self._key(key, version), time.time()),
        )
        return row is not None

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._run("DELETE FROM cache WHERE key = ? RETURNING 1", (self._key(key, version),)) is not None

    def clear(self) -> None:
        self._run("DELETE FROM cache", ())

    def close(self, **_: Any) -> None:
        """Close this thread's connection; Django asks for it when a request has been answered."""
        _of_this_thread().pop(self._path, None)

    def _key(self, key: str, version: int | None) -> str:
        return self.make_and_validate_key(key, version)

    def _expiry(self, timeout: Any) -> float | None:
        return self.get_backend_timeout(timeout)

    def _count_write(self) -> None:
        self._writes += 1
        if self._writes % _WRITES_PER_SWEEP == 0:
            self._run("DELETE FROM cache WHERE expires_at <= ?", (time.time(),))

    def _run(self, statement: str, values: tuple[Any, ...]) -> Any:
        row = self._connection().execute(statement, values).fetchall()
        return row[0] if row else None

    def _connection(self) -> sqlite3.Connection:
        of_this_thread = _of_this_thread()
        if self._path not in of_this_thread:
            of_this_thread[self._path] = _Connected(_connect(self._path))
        return of_this_thread[self._path].connection


class _Connected:
    """A connection that is closed when nobody has it any more.

    Python's own would wait for the garbage collector, for its cache of statements knows it: a hundred kilobytes.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


def _connect(path: str) -> sqlite3.Connection:
    # Whichever thread lets go of it closes it, and none but its own uses it.
    connection = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, value, expires_at REAL) WITHOUT ROWID")
    connection.execute("CREATE INDEX IF NOT EXISTS cache_expires_at ON cache (expires_at)")
    return connection


# Not the cache's own: Django makes one for every context, of which a thread that works for many calls sees thousands.
_local = threading.local()
# SQLite wants what was open before a fork to be left alone in the child, not even closed.
_of_the_parent: list[object] = []


def _of_this_thread() -> dict[str, _Connected]:
    """Return the connections of this thread of this process, by their files: none survives a fork."""
    if getattr(_local, "pid", None) != os.getpid():
        if hasattr(_local, "connected"):
            _of_the_parent.append(_local.connected)
        _local.pid, _local.connected = os.getpid(), {}
    return _local.connected  # type: ignore[no-any-return]


def _encode(value: Any) -> Any:
    return value if type(value) is int else pickle.dumps(value)


def _decode(value: Any) -> Any:
    return value if type(value) is int else pickle.loads(value)
