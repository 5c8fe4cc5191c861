"""A PostgreSQL to measure on: the one that is named, or one of our own that is gone after the run."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from launcher.machine import free_port

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_START_WITHIN_S = 90.0
# PostgreSQL refuses to run as root; Debian's package brings a user for it.
_USER = "postgres"


class NoPostgres(Exception):
    """There is none, or it did not start; the text says why."""


@contextlib.contextmanager
def a_database() -> Iterator[str]:
    """Yield the address of an empty database, dropped afterwards. Raises NoPostgres."""
    with contextlib.ExitStack() as stack:
        server = os.environ.get("PARLEY_TEST_POSTGRES_URL", "") or stack.enter_context(_own_server())
        name = f"parley_bench_{uuid4().hex[:12]}"
        _execute(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def _own_server() -> Iterator[str]:
    """Start a server as an operator would have it, fsync included, on loopback."""
    programs, port = _programs(), free_port("127.0.0.1")
    folder = Path(tempfile.mkdtemp(prefix="parley-bench-postgres-"))
    control = [str(programs / "pg_ctl"), "-D", str(folder / "data")]
    try:
        if os.getuid() == 0:
            shutil.chown(folder, _USER)
        _run([str(programs / "initdb"), "-D", str(folder / "data"), "-U", "parley", "-A", "trust", "-E", "UTF8"])
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        _run([*control, "-l", str(folder / "log"), "-w", "-t", "60", "-o", options, "start"])
        try:
            yield f"postgres://parley@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "fast", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Return the newest folder that holds all of its programs: Debian keeps them off PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    for folder in [*debian, *map(Path, os.environ.get("PATH", "").split(os.pathsep))]:
        if all((folder / program).is_file() for program in _PROGRAMS):
            return folder
    raise NoPostgres("PostgreSQL was not found (set PARLEY_TEST_POSTGRES_URL)")


def _run(command: Sequence[str]) -> None:
    prefix = ["runuser", "-u", _USER, "--"] if os.getuid() == 0 else []
    try:
        # Not piped: the server inherits what it is started with, and a pipe would never end.
        subprocess.run(
            [*prefix, *command],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START_WITHIN_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as problem:
        raise NoPostgres(f"{Path(command[0]).name} failed: {type(problem).__name__}") from None


def _execute(server: str, statement: sql.Composed) -> None:
    try:
        with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)
    except psycopg.Error as problem:
        raise NoPostgres(f"PostgreSQL: {str(problem).splitlines()[0]}") from None
