"""The ledger under twenty writers: operations a second and how long one takes, on one wallet and on twenty.

Every writer runs whole calls through billing.ledger itself, on a database as a new installation has it: open a hold,
then three times capture and extend, then settle. What follows a movement in the product (is a refill due, was a
threshold crossed?) follows here too. The writers are threads of two processes, as a machine with two workers has them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.ledger_writers import READY
from bench.numbers import percentile
from bench.postgres import NoPostgres, a_database
from bench.processes import ROOT

WRITERS = 20
_PROCESSES = 2
_WARM_UP_S = 1.0
# An operation that began within the window is waited for, however long it takes to have the database.
_PATIENCE_S = 90.0
_PREPARE_WITHIN_S = 300.0
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"

_PREPARE = """
import os, django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0, interactive=False)
from accounts.organisations import create_organisation
from billing import ledger
for number in range({wallets}):
    organisation = create_organisation(f"Bench {{number}}", None)
    ledger.grant(organisation.pk, 10**9 * ledger.MICRO, key=f"bench:{{number}}", description="To measure with")
    print(organisation.pk)
"""


@dataclass(frozen=True)
class Load:
    """What twenty writers came to: on so many wallets, within `window_s`."""

    database: str
    wallets: int
    window_s: float
    millis: Mapping[str, list[float]]
    failed: int

    @property
    def operations_per_s(self) -> float:
        return len(self._all) / self.window_s

    @property
    def p50_ms(self) -> float:
        return percentile(self._all, 0.5)

    @property
    def p99_ms(self) -> float:
        return percentile(self._all, 0.99)

    def p99_ms_of(self, operation: str) -> float:
        return percentile(self.millis.get(operation, []), 0.99)

    @property
    def _all(self) -> list[float]:
        return [value for values in self.millis.values() for value in values]


@dataclass
class Ledger:
    """Every load that was measured, and what was not."""

    loads: list[Load] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class WritersFailed(Exception):
    """A process of the bench ended badly; the text is the last it said."""


def measure(window_s: float, folder: Path) -> Ledger:
    """Measure both databases, as far as they are there."""
    found = Ledger()
    for name in (SQLITE, POSTGRESQL):
        try:
            with _database(name) as url:
                environment = _environment(folder / name, url)
                wallets = _prepare(environment)
                for count in (1, WRITERS):
                    found.loads.append(_load(name, wallets[:count], window_s, environment))
        except (NoPostgres, WritersFailed) as problem:
            found.remarks.append(f"{name}: not measured: {problem}")
    return found


@contextmanager
def _database(name: str) -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database; an empty one stands for the SQLite file in the data folder."""
    with ExitStack() as stack:
        yield stack.enter_context(a_database()) if name == POSTGRESQL else ""


def _environment(folder: Path, database_url: str) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    # As an operator runs it: with the checks of DEBUG off, and nothing of the shell's own Parley.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRIPE_", "PARLEY_"))}
    return kept | {
        "PARLEY_DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "DEBUG": "false",
        "LOG_LEVEL": "ERROR",
        "SECRET_KEY": "bench-only-and-long-enough-to-satisfy-every-check-of-it",
    }


def _prepare(environment: Mapping[str, str]) -> list[str]:
    command = [sys.executable, "-c", _PREPARE.format(wallets=WRITERS)]
    return _output(command, environment, _PREPARE_WITHIN_S).split()


def _load(name: str, wallets: list[str], window_s: float, environment: Mapping[str, str]) -> Load:
    timing = ["--warm-up-s", str(_WARM_UP_S), "--window-s", str(window_s)]
    writers = [wallets[number % len(wallets)] for number in range(WRITERS)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_writers([*timing, "--wallets", *writers[number::_PROCESSES]], environment))
            for number in range(_PROCESSES)
        ]
        for process in processes:
            if process.stdout is None or process.stdout.readline().strip() != READY:
                raise WritersFailed(_last_words(process))
        answers = [json.loads(answer) for answer in _let_go(processes, _WARM_UP_S + window_s + _PATIENCE_S)]
    millis: dict[str, list[float]] = {}
    for answer in answers:
        for operation, micros in answer["micros"].items():
            millis.setdefault(operation, []).extend(value / 1000 for value in micros)
    return Load(name, len(wallets), window_s, millis, sum(answer["failed"] for answer in answers))


@contextmanager
def _writers(arguments: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.ledger_writers", *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _let_go(processes: list[subprocess.Popen[str]], within_s: float) -> list[str]:
    """Let every process begin, and return what each has to say in the end."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    with ThreadPoolExecutor(len(processes)) as threads:
        said = [threads.submit(process.communicate, timeout=within_s) for process in processes]
    try:
        answers = [each.result()[0] for each in said]
    except subprocess.TimeoutExpired:
        raise WritersFailed(f"the writers were not done within {within_s:.0f} s") from None
    for process, answer in zip(processes, answers, strict=True):
        if process.returncode or not answer:
            raise WritersFailed(f"exit code {process.returncode}")
    return answers


def _last_words(process: subprocess.Popen[str]) -> str:
    process.kill()
    lines = [line for line in process.communicate()[1].splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"exit code {process.returncode}"


def _output(command: list[str], environment: Mapping[str, str], within_s: float) -> str:
    try:
        run = subprocess.run(
            command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, timeout=within_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise WritersFailed(f"nothing was heard within {within_s:.0f} s") from None
    if run.returncode:
        last = [line for line in run.stderr.splitlines() if line.strip()][-1:]
        raise WritersFailed(last[0][:200] if last else f"exit code {run.returncode}")
    return run.stdout
