"""Search everything that outlives a call for a word: every table, every file, the cache, what was logged."""

from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from tests.stored_files import those_with


def traces_of(word: str, logged: str = "") -> list[str]:
    """Return where a word can be found, in capitals or not: "table voice_turn", "file db.sqlite3-wal", "log"."""
    return [*_in_tables(word), *_in_files(word), *_in_cache(word), *(["log"] if word.lower() in logged.lower() else [])]


def _in_tables(word: str) -> list[str]:
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            if any(word.lower() in str(row).lower() for row in cursor.fetchall()):
                found.append(f"table {table}")
    return found


def _in_files(word: str) -> list[str]:
    """Look into all that the product writes: database, journal, cache, mails, the broker's folders."""
    files = [path for path in Path(settings.DATA_DIR).rglob("*") if path.is_file()]
    return [f"file {path.name}" for path in those_with(word, files)]


def _in_cache(word: str) -> list[str]:
    # The default cache is a file, looked at above; one in memory has to be asked.
    return ["cache"] if word.lower() in str(getattr(cache, "_cache", "")).lower() else []
