"""Everything about money once more on PostgreSQL, whose locks and constraints are not SQLite's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SERVER = os.environ.get("PARLEY_TEST_POSTGRES_URL") or os.environ.get("PARLEY_TEST_DATABASE_URL")
ENABLE = (
    "needs a PostgreSQL server: set PARLEY_TEST_POSTGRES_URL=postgres://user:password@host:port/postgres, "
    "for a user who may create databases"
)


@pytest.mark.db_concurrency
@pytest.mark.skipif(not SERVER, reason=ENABLE)
def test_the_money_tests_hold_on_postgresql_too():
    """A pytest of its own, since one process has only one default database."""
    command = [sys.executable, "-m", "pytest", str(HERE), "--ignore", __file__, "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        command,
        cwd=HERE.parent.parent,
        env=os.environ | {"PARLEY_TEST_DATABASE_URL": SERVER},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
