"""Backups that can be restored: a consistent copy of the database, taken while it is in use, and what it needs.

Nothing else must be saved to have every wallet, call and customer again, but for the keys (SECRET_KEY,
ENCRYPTION_KEYS), which are kept apart on purpose: whoever finds a backup must not be able to read the secrets in it.
"""

import contextlib
import hashlib
import hmac
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

MANIFEST = "manifest.json"
_FORMAT = 1
_SQLITE_FILE, _POSTGRES_FILE = "database.sqlite3", "database.dump"
_PAGES_A_STEP = 2048
# A number that says whether two keys are the same, and nothing else of them.
_FINGERPRINT_LABEL = b"parley backup: which key"


class BackupFailed(Exception):
    """One sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. `keys` are the fingerprints of what encrypted its secrets, newest first."""

    format: int
    made_at: str
    engine: str
    file: str
    bytes: int
    sha256: str
    migrations: dict[str, str]
    keys: list[str]


def back_up(folder: Path, now: datetime | None = None) -> tuple[Path, Manifest]:
    """Write a backup into a new folder inside `folder`; return it and its manifest. Raises BackupFailed.

    Calls go on meanwhile. Until it is whole it is called `.partial`, so that none that is half done looks like one.
    """
    now = now or timezone.now()
    target = folder / f"parley-{now:%Y%m%d-%H%M%S}"
    draft = target.with_name(f"{target.name}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
    except OSError as error:
        raise BackupFailed(f"{draft} cannot be made: {error.strerror}.") from None
    if target.exists():
        raise BackupFailed(f"{target} is there already.")
    file = draft / (_SQLITE_FILE if connection.vendor == "sqlite" else _POSTGRES_FILE)
    if connection.vendor == "sqlite":
        _copy_sqlite(Path(connection.settings_dict["NAME"]), file)
    else:
        _run_postgres("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={file}"])
    manifest = Manifest(
        _FORMAT, now.isoformat(), connection.vendor, file.name, file.stat().st_size, _sha256(file), _migrations(),
        key_fingerprints(),
    )  # fmt: skip
    (draft / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    draft.rename(target)
    return target, manifest


def read_manifest(folder: Path) -> Manifest:
    """Return what the backup in `folder` says of itself, once its file is what it says. Raises BackupFailed."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        if manifest.format != _FORMAT:
            raise BackupFailed(f"{folder} was made by another version: format {manifest.format}.")
        digest = _sha256(folder / manifest.file)
    except (OSError, ValueError, TypeError) as error:
        raise BackupFailed(f"{folder} holds no backup: {type(error).__name__}.") from None
    if digest != manifest.sha256:
        raise BackupFailed(f"{folder / manifest.file} is damaged: it is not the file that the backup was made with.")
    return manifest


def restore(folder: Path, now: datetime | None = None) -> Path | None:
    """Put the backup in `folder` in the place of this installation's database. Raises BackupFailed.

    Nothing is overwritten: SQLite's present file is kept beside it, and its new path returned; a PostgreSQL database
    must be empty. Nothing else may use the database meanwhile.
    """
    manifest = read_manifest(folder)
    if manifest.engine != connection.vendor:
        raise BackupFailed(f"The backup is of {manifest.engine}, and this installation uses {connection.vendor}.")
    if manifest.engine == "sqlite":
        return _restore_sqlite(folder / manifest.file, now or timezone.now())
    if connection.introspection.table_names():
        raise BackupFailed("This database is not empty: make another one, and name it in DATABASE_URL.")
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    _run_postgres("pg_restore", [*options, f"--dbname={connection.settings_dict['NAME']}", str(folder / manifest.file)])
    return None


def key_fingerprints() -> list[str]:
    """Return what tells this installation's encryption keys from others, newest first."""
    keys = settings.ENCRYPTION_KEYS or [settings.SECRET_KEY]
    return [hmac.new(key.encode(), _FINGERPRINT_LABEL, hashlib.sha256).hexdigest()[:12] for key in keys]


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy by SQLite's own backup, which sees one moment of the database however much is written meanwhile."""
    with _open_sqlite(f"{source.absolute().as_uri()}?mode=ro") as original, _open_sqlite(str(target)) as copy:
        original.backup(copy, pages=_PAGES_A_STEP)
        # One file and no journal beside it: it may be moved about.
        copy.execute("PRAGMA journal_mode=DELETE")
    _check_sqlite(target)


def _restore_sqlite(backup: Path, now: datetime) -> Path | None:
    database = Path(connection.settings_dict["NAME"])
    draft = database.with_name(f"{database.name}.restoring")
    draft.unlink(missing_ok=True)
    # Before anything is in it: words of people must not be anybody's to read for the moment that copying takes.
    draft.touch(mode=0o600)
    _copy_sqlite(backup, draft)
    connections.close_all()
    kept = database.with_name(f"{database.name}.before-{now:%Y%m%d-%H%M%S}") if database.exists() else None
    # The journals belong to the file that they lie beside: left behind, they would be read into the restored one.
    for suffix in ("", "-wal", "-shm"):
        beside = database.with_name(database.name + suffix)
        if kept and beside.exists():
            beside.replace(kept.with_name(kept.name + suffix))
    draft.replace(database)
    return kept


def _check_sqlite(file: Path) -> None:
    with _open_sqlite(f"{file.absolute().as_uri()}?mode=ro") as database:
        found = [str(row[0]) for row in database.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise BackupFailed(f"{file} is not a sound database: {found[0][:200]}.")


@contextlib.contextmanager
def _open_sqlite(address: str) -> Iterator[sqlite3.Connection]:
    """Open a database for the block. Raises BackupFailed for whatever SQLite has against it."""
    try:
        with contextlib.closing(sqlite3.connect(address, uri=address.startswith("file:"), timeout=20)) as database:
            yield database
    except sqlite3.Error as error:
        raise BackupFailed(f"SQLite says: {error}.") from None


def _run_postgres(program: str, options: list[str]) -> None:
    """Run one of PostgreSQL's own programs against this installation's database. Raises BackupFailed."""
    try:
        run = subprocess.run([program, *options], env=_postgres_environment(), capture_output=True, text=True)
    except FileNotFoundError:
        raise BackupFailed(f"{program} is not installed: it comes with PostgreSQL's client programs.") from None
    if run.returncode:
        said = run.stderr.strip().splitlines() or ["nothing"]
        raise BackupFailed(f"{program} failed: {said[0][:300]}")


def _postgres_environment() -> dict[str, str]:
    # Not on the command line, where every user of the machine could read the password.
    database: dict[str, Any] = connection.settings_dict
    names = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD", "NAME": "PGDATABASE"}
    chosen = {variable: str(database[name]) for name, variable in names.items() if database.get(name)}
    options = database.get("OPTIONS", {})
    for name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "service"):
        if name in options:
            chosen[f"PG{name.upper()}"] = str(options[name])
    return {**os.environ, **chosen}


def _migrations() -> dict[str, str]:
    """Return each app's newest applied migration: which version of Parley the data fits."""
    applied = sorted(MigrationRecorder(connection).applied_migrations())
    return dict(applied)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
