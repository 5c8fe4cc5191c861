"""`./parley chaos`: end the web server in the middle of calls, many times, and see that the books are right.

Loopback only, five minutes at most. SQLite always; PostgreSQL when PARLEY_TEST_POSTGRES_URL names a server on which
databases may be made. Exit code 0 if every round left the books as they should be.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from launcher.testing import environment_for_tests

ROOT = Path(__file__).resolve().parent.parent.parent
# Beyond its share of rounds: migrating, starting, and the round that was under way.
CAMPAIGN_EXTRA_S = 120
MANY = "100000"


def main() -> int:
    arguments = argparse.ArgumentParser(prog="parley chaos", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=200, help="how long to play rounds, all databases together")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6), help="when the servers are ended")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = os.environ.get("PARLEY_TEST_POSTGRES_URL", "")
    databases = ["sqlite", "postgresql"] if server else ["sqlite"]
    print(f"seed {options.seed}, {', '.join(databases)}", flush=True)
    rows: list[dict[str, Any]] = []
    for name in databases:
        with database(name, server) as url:
            rows += campaign(name, url, options.seconds / len(databases), options.seed)
    if not server:
        print("PARLEY_TEST_POSTGRES_URL is not set: SQLite only.")
    return report(rows)


@contextlib.contextmanager
def database(name: str, server: str) -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database; "" is SQLite's."""
    if name == "sqlite":
        yield ""
        return
    import psycopg

    chaos = f"parley_chaos_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {chaos}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{chaos}"))
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {chaos} WITH (FORCE)")


def campaign(name: str, url: str, seconds: float, seed: int) -> list[dict[str, Any]]:
    """Play rounds on one database in a process of its own; then let `manage.py audit_ledger` have the last word."""
    with tempfile.TemporaryDirectory(prefix="parley-chaos-", ignore_cleanup_errors=True) as folder:
        env = environment(Path(folder), url)
        module = [sys.executable, "-m", "tests.crash.campaign", "--name", name]
        command = [*module, "--seconds", str(seconds), "--seed", str(seed)]
        done = run(command, env, seconds + CAMPAIGN_EXTRA_S)
        if done.returncode != 0:
            return [broken(name, f"the campaign ended with exit code {done.returncode}")]
        rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        audit = run([sys.executable, "manage.py", "audit_ledger"], env, CAMPAIGN_EXTRA_S)
        if audit.returncode != 0:
            rows.append(broken(name, f"audit_ledger: {audit.stdout.strip()}"))
        return rows


def run(command: list[str], env: dict[str, str], limit_s: float) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit_s)
    except BaseException:
        # With the web server it has started.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return subprocess.CompletedProcess(command, process.returncode, output)


def environment(data_dir: Path, url: str) -> dict[str, str]:
    return {
        **environment_for_tests(data_dir),
        "DATABASE_URL": url,
        "DEBUG": "false",
        "SECRET_KEY": uuid.uuid4().hex * 2,
        "LOG_LEVEL": "ERROR",
        # So that the models of OpenAI are on offer; the address is the mock's.
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_REALTIME_URL": "ws://127.0.0.1:1/",
        "CALL_STARTS_PER_IP": f"{MANY}/m",
        "CALL_STARTS_PER_AGENT": f"{MANY}/m",
        "CONCURRENT_CALLS_PER_IP": MANY,
        "CONCURRENT_CALLS_PER_AGENT": MANY,
        "CONCURRENT_CALLS_PER_ORGANISATION": MANY,
    }


def broken(name: str, problem: str) -> dict[str, Any]:
    return {"database": name, "server": "-", "signal": "-", "rounds": 1, "failed": 1, "problems": [problem]}


COLUMNS = (
    "database", "server", "signal", "rounds", "calls", "in_mid_answer", "answers", "settled_by_server",
    "settled_by_sweep", "failed",
)  # fmt: skip


def report(rows: list[dict[str, Any]]) -> int:
    """Print the table, what was wrong, and the closing line; return the exit code."""
    cells = [[column.replace("_", " ") for column in COLUMNS]]
    cells += [[str(row.get(column, "-")) for column in COLUMNS] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print()
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        for problem in row["problems"]:
            print(f"{row['database']} {row['server']} {row['signal']}: {problem}")
    failed = sum(row["failed"] for row in rows)
    print(f"\n{sum(row['rounds'] for row in rows) - failed} passed, {failed} failed")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
