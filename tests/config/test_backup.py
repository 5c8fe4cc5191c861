"""Backups: taken while money moves, restored whole, and refused when they would destroy or lose something."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from config import backup
from tests.factories import balance_micro, fund, make_organisation

ROOT = Path(__file__).resolve().parents[2]
POSTGRES = os.environ.get("PARLEY_TEST_POSTGRES_URL", "")
WANTS_POSTGRES = "needs a PostgreSQL server and its client programs: set PARLEY_TEST_POSTGRES_URL"
ONE_AFTER_THE_OTHER = """
import json, sys
from django.core.management import ManagementUtility
for command in json.loads(sys.argv[1]):
    ManagementUtility(["manage.py", *command]).execute()
"""
ON_SQLITE = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return make_organisation("Rosewood Dental", credits=250)


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Make this process's database another file, as on the machine where a backup is restored."""

    def move():
        connections.close_all()
        monkeypatch.setitem(connection.settings_dict, "NAME", tmp_path / "elsewhere" / "db.sqlite3")
        (tmp_path / "elsewhere").mkdir()
        return Path(connection.settings_dict["NAME"])

    yield move
    connections.close_all()
    monkeypatch.undo()


def made(tmp_path):
    folder, _ = backup.back_up(tmp_path / "backups")
    return folder


def run(command, *arguments, **options):
    out = StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


@ON_SQLITE
def test_what_was_backed_up_is_there_again_and_adds_up(house, tmp_path, elsewhere):
    folder = made(tmp_path)
    elsewhere()

    run("restore", str(folder))

    assert balance_micro(house.pk) == 250_000_000
    assert run("audit_ledger") == "The ledger adds up.\n"


@ON_SQLITE
def test_a_backup_is_one_moment_although_money_moves_after_it(house, tmp_path, elsewhere):
    folder = made(tmp_path)
    fund(house, 50)
    elsewhere()

    backup.restore(folder)

    assert balance_micro(house.pk) == 250_000_000


@ON_SQLITE
def test_a_writer_in_the_middle_of_a_transaction_is_not_waited_for(house, tmp_path):
    with sqlite3.connect(connection.settings_dict["NAME"]) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE billing_wallet SET balance_micro = 1")
        folder = made(tmp_path)
        writer.rollback()

    with sqlite3.connect(folder / "database.sqlite3") as copy:
        assert copy.execute("SELECT balance_micro FROM billing_wallet").fetchall() == [(250_000_000,)]


@ON_SQLITE
def test_what_was_there_before_a_restore_is_kept(house, tmp_path, elsewhere):
    folder = made(tmp_path)
    database = elsewhere()
    database.write_bytes(b"a broken database")
    Path(f"{database}-wal").write_bytes(b"its journal")

    kept = backup.restore(folder, datetime(2026, 11, 22, tzinfo=UTC))

    assert database.stat().st_mode & 0o077 == 0
    assert kept == database.with_name("db.sqlite3.before-20261122-000000")
    assert kept.read_bytes() == b"a broken database"
    assert Path(f"{kept}-wal").read_bytes() == b"its journal"
    assert balance_micro(house.pk) == 250_000_000


def test_a_damaged_backup_is_refused(house, tmp_path):
    folder = made(tmp_path)
    [file] = [path for path in folder.iterdir() if path.name != backup.MANIFEST]
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)

    with pytest.raises(CommandError, match="is damaged"):
        run("restore", str(folder))


def test_a_folder_without_a_backup_is_refused(tmp_path):
    with pytest.raises(CommandError, match="holds no backup"):
        run("restore", str(tmp_path))


def test_a_backup_of_another_kind_of_database_is_refused(house, tmp_path):
    folder = made(tmp_path)
    manifest = json.loads((folder / backup.MANIFEST).read_text())
    (folder / backup.MANIFEST).write_text(json.dumps(manifest | {"engine": "oracle"}))

    with pytest.raises(CommandError, match="The backup is of oracle"):
        run("restore", str(folder))


def test_without_the_key_of_its_secrets_a_backup_is_restored_only_when_that_is_meant(house, tmp_path, settings):
    folder = made(tmp_path)
    settings.ENCRYPTION_KEYS = ["another key that is long enough to be one"]

    with pytest.raises(CommandError, match="encrypted with key"):
        run("restore", str(folder))


def test_a_backup_holds_no_key(house, tmp_path, settings):
    settings.ENCRYPTION_KEYS = ["a very particular key of this installation"]

    folder = made(tmp_path)

    assert not any(b"very particular" in path.read_bytes() for path in folder.iterdir())


def test_only_its_owner_may_read_a_backup(house, tmp_path):
    assert made(tmp_path).stat().st_mode & 0o077 == 0


def test_a_backup_that_failed_half_way_does_not_look_like_one(house, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "_sha256", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        made(tmp_path)

    assert [path.suffix for path in (tmp_path / "backups").iterdir()] == [".partial"]


@pytest.mark.skipif(not POSTGRES or not shutil.which("pg_dump"), reason=WANTS_POSTGRES)
def test_a_postgresql_database_is_restored_into_an_empty_one_and_adds_up(tmp_path, postgres_databases):
    first, second = postgres_databases
    manage(
        first,
        tmp_path,
        ["migrate", "--noinput"],
        ["create_organisation", "--name", "Rosewood Dental", "--slug", "rosewood"],
        ["grant_credits", "rosewood", "12.5", "--reason", "A workshop"],
        ["backup", str(tmp_path / "backups")],
    )
    [folder] = (tmp_path / "backups").iterdir()

    refused = manage(first, tmp_path, ["restore", str(folder)], code=1)
    said = manage(
        second,
        tmp_path,
        ["restore", str(folder)],
        ["audit_ledger"],
        ["grant_credits", "rosewood", "1", "--reason", "x"],
    )

    assert "not empty" in refused
    assert "The ledger adds up." in said
    assert "The balance became 13.50" in said


@pytest.fixture
def postgres_databases():
    """Two empty databases, as addresses, for the length of a test."""
    names = [f"parley_backup_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        for name in names:
            server.execute(f"CREATE DATABASE {name}")
        yield [f"{POSTGRES.rpartition('/')[0]}/{name}" for name in names]
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(database, data_dir, *commands, code=0):
    """Run manage.py's commands one after the other, in one process on this database; return what they said."""
    secrets = {"SECRET_KEY": "tests-only-and-long-enough-to-satisfy-every-check-of-it", "DEBUG": "true"}
    env = os.environ | {"DATABASE_URL": database, "PARLEY_DATA_DIR": str(data_dir), "ENCRYPTION_KEYS": ""} | secrets
    env |= {"DJANGO_SETTINGS_MODULE": "config.settings", "CELERY_TASK_ALWAYS_EAGER": "true"}
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(commands)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
