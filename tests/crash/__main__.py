"""`./parley chaos`: break everything around live calls, and see that the books are right and how long callers waited.

First the tests marked `crash`, which kill processes step after step; then rounds in which the web server is ended in
the middle of calls; then a storm (storm/run.py) in which models, networks, web processes, Redis and the worker break.
Loopback only; ten minutes or so. SQLite always; PostgreSQL
when PARLEY_TEST_POSTGRES_URL names a server on which databases may be made; Redis when its program is installed.
Exit code 0 if all of it left the books as they should be, however long it took; with --aims, and no aim was missed.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from launcher import testing
from launcher.machine import free_port
from launcher.screen import Screen
from launcher.testing import environment_for_tests
from tests.crash.machine import this_machine
from tests.crash.storm.table import as_markdown, as_text

ROOT = Path(__file__).resolve().parent.parent.parent
# Beyond its share of rounds: migrating, starting, and the round that was under way.
CAMPAIGN_EXTRA_S = 120
# Starting, ending the calls, stopping, and reading the books.
STORM_EXTRA_S = 200
# What --report replaces of a page: from here to its end.
REPORT_HEADING = "## The last run kept here"
MANY = "100000"


def main() -> int:
    arguments = argparse.ArgumentParser(prog="parley chaos", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=80, help="how long to play rounds, all databases together")
    arguments.add_argument("--storm-seconds", type=float, default=90, help="how long the storm lasts")
    arguments.add_argument("--only", choices=["tests", "rounds", "storm"], help="leave the others out")
    arguments.add_argument("--strict", action="store_true", help="count a skipped test as a failure of the run")
    arguments.add_argument("--aims", action="store_true", help="count an aim that was missed as a failure of the run")
    arguments.add_argument("--logs", type=Path, help="leave the logs of the storm's processes in this folder")
    arguments.add_argument("--report", type=Path, help="write what came of the storm at the end of this page")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6), help="when the servers are ended")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = os.environ.get("PARLEY_TEST_POSTGRES_URL", "")
    databases = ["sqlite", "postgresql"] if server else ["sqlite"]
    print(f"seed {options.seed}, {', '.join(databases)}", flush=True)
    codes = []
    if options.only in (None, "tests"):
        codes.append(testing.kill(options.strict, Screen()))
    if options.only in (None, "rounds"):
        codes.append(rounds(databases, server, options.seconds, options.seed))
    if options.only in (None, "storm"):
        codes.append(storm(databases[-1], server, options))
    return max(codes)


def rounds(databases: list[str], server: str, seconds: float, seed: int) -> int:
    rows: list[dict[str, Any]] = []
    for name in databases:
        with database(name, server) as url:
            rows += campaign(name, url, seconds / len(databases), seed)
    if not server:
        print("PARLEY_TEST_POSTGRES_URL is not set: SQLite only.")
    return report(rows)


def storm(name: str, server: str, options: argparse.Namespace) -> int:
    """Let a storm blow in a process of its own; print what came of it and return the exit code."""
    seconds, seed = options.storm_seconds, options.seed
    has_redis = shutil.which("redis-server") is not None
    left_out = [] if server else ["PostgreSQL (PARLEY_TEST_POSTGRES_URL is not set): SQLite in its place"]
    left_out += [] if has_redis else ["Redis (redis-server is not installed)"]
    print(f"\nstorm: seed {seed}, {name}, {'Redis' if has_redis else 'no Redis'}, {seconds:g} s", flush=True)
    with database(name, server) as url, tempfile.TemporaryDirectory(prefix="parley-storm-") as folder:
        env = environment(Path(folder), url) | storm_environment(has_redis)
        module = [sys.executable, "-m", "tests.crash.storm.run", "--folder", folder]
        try:
            done = run([*module, "--seconds", str(seconds), "--seed", str(seed)], env, seconds + STORM_EXTRA_S)
        except subprocess.TimeoutExpired as late:
            done = subprocess.CompletedProcess(late.cmd, -signal.SIGKILL)
        if options.logs is not None:
            shutil.copytree(folder, options.logs, ignore=shutil.ignore_patterns("broker*", "*.sqlite3*", "media*"))
        if done.returncode != 0:
            print(f"the storm ended with exit code {done.returncode}\n\n0 passed, 1 failed")
            return 1
        result = json.loads(done.stdout.splitlines()[-1])
        audit = run([sys.executable, "manage.py", "audit_ledger"], env, CAMPAIGN_EXTRA_S)
        if audit.returncode != 0:
            result["problems"].append(f"audit_ledger: {audit.stdout.strip()}")
    return storm_report(result, left_out, f"seed {seed}, {name}, {seconds:g} s", options.report, aims=options.aims)


def storm_environment(has_redis: bool) -> dict[str, str]:
    return {
        "REDIS_URL": f"redis://127.0.0.1:{free_port('127.0.0.1')}/0" if has_redis else "",
        "TEXT_FALLBACK_MODEL": "storm-text",
        "LOCAL_MODELS_URL": "http://127.0.0.1:1/v1",
        "DRAIN_S": "8",
        # More than usual, so that calls meet models that break, and are not kept away from all of them at once.
        "BREAKER_FAILURES": "20",
    }


def storm_report(
    result: dict[str, Any], left_out: list[str], how: str, report_file: Path | None, *, aims: bool = False
) -> int:
    """Print what came of a storm and return the exit code: books that are wrong fail, and with `aims` missed aims."""
    facts, problems = result["facts"], result["problems"]
    lines = ["", *as_text(result["rows"]), "", *facts]
    lines += [f"left out: {what}" for what in left_out]
    missed = [row["cause"] for row in result["rows"] if row["aim"] == "MISSED"]
    lines += [f"MISSED: p95 under 2 s for {cause}" for cause in missed]
    lines += problems
    print("\n".join(lines))
    if report_file is not None:
        head = [f"{this_machine()}; {how}.", *(f"Left out: {what}." for what in left_out), ""]
        table = [*head, *as_markdown(result["rows"]), "", *(f"- {fact}" for fact in [*facts, *problems])]
        kept = report_file.read_text().partition(REPORT_HEADING)[0] if report_file.exists() else ""
        report_file.write_text(f"{kept}{REPORT_HEADING}\n\n" + "\n".join(table) + "\n")
    is_failed = bool(problems or (aims and missed))
    print(f"\n{0 if is_failed else 1} passed, {1 if is_failed else 0} failed")
    return int(is_failed)


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
    finally:
        # With what it has started: a worker that is killed leaves its schedule running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
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
