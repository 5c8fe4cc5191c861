"""What processes of a test run share: a database that one of them has migrated from nothing."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.migrated import MigratedFile

ROOT = Path(__file__).resolve().parents[2]
TAKES_THE_LOCK_AND_DIES = """
import os, pathlib, signal, sys
from tests.migrated import MigratedFile
file = MigratedFile(pathlib.Path(sys.argv[1]))
assert not file.copy_to(pathlib.Path(sys.argv[1], "mine"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def make_database(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE calls (id)")
        database.execute("INSERT INTO calls VALUES (7)")
        database.commit()


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT id FROM calls").fetchall()


@pytest.fixture
def files(tmp_path):
    """The same file, as two processes have it."""
    with closing(MigratedFile(tmp_path)) as one, closing(MigratedFile(tmp_path)) as other:
        yield one, other


@pytest.mark.django_db
def test_the_database_of_these_tests_has_every_migration():
    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []


def test_those_who_come_meanwhile_wait_for_the_first(files, tmp_path):
    (first, second), copied = files, []
    assert not first.copy_to(tmp_path / "first")
    thread = threading.Thread(target=lambda: copied.append(second.copy_to(tmp_path / "second")))
    thread.start()
    make_database(tmp_path / "first")
    assert copied == []
    first.keep(tmp_path / "first")
    thread.join()
    assert (copied, rows(tmp_path / "second")) == ([True], [(7,)])


def test_after_one_that_died_the_next_makes_the_file(files, tmp_path):
    died = subprocess.run([sys.executable, "-c", TAKES_THE_LOCK_AND_DIES, str(tmp_path)], cwd=ROOT, timeout=60)
    assert died.returncode == -9
    assert not files[0].copy_to(tmp_path / "next")
