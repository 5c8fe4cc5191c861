"""What about money and the models' breakers depends on the database, once more on PostgreSQL: its locks and constraints
are not SQLite's.

That is what is marked `db_concurrency` (real threads, killed processes) or `each_database` (constraints, arithmetic and
order in SQL, statements of our own, properties with fewer examples). The rest is Python, which one database is enough
for.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHOSEN = "(db_concurrency or each_database) and "
SERVER = os.environ.get("PARLEY_TEST_POSTGRES_URL") or os.environ.get("PARLEY_TEST_DATABASE_URL")
ENABLE = (
    "needs a PostgreSQL server: set PARLEY_TEST_POSTGRES_URL=postgres://user:password@host:port/postgres, "
    "for a user who may create databases"
)


@pytest.mark.db_concurrency
@pytest.mark.skipif(not SERVER, reason=ENABLE)
@pytest.mark.parametrize("which", ["not crash", pytest.param("crash", marks=pytest.mark.crash)])
def test_what_depends_on_the_database_holds_on_postgresql_too(which):
    """A pytest of its own, since one process has only one default database."""
    tests = ROOT / "tests"
    voice = tests / "voice"
    statements = [str(tests / "config" / "test_fixed_sql.py"), str(voice / "metering" / "test_records.py")]
    where = [str(HERE), str(tests / "outbox"), str(voice / "catalogue"), *statements, "--ignore", __file__]
    plainly = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *where, "-m", CHOSEN + which, *plainly]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PARLEY_TEST_DATABASE_URL": SERVER},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
