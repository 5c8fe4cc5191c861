"""`./parley test` and `./parley check`: run every part, lanes side by side, and say plainly what came of each."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launcher import install, machine, places
from launcher.processes import Guardian, last_lines
from launcher.screen import Screen
from launcher.tally import Tally, skipped, tally_of_check, tally_of_node, tally_of_pytest

# A part that takes longer hangs; the whole takes a few minutes.
PART_LIMIT_S = 30 * 60
CRASH_LIMIT_S = 6 * 60
SHOWN_LINES = 150
# Folders of tests in which somebody speaks and is waited for. Browsers have three processes with a product each, and a
# whole file in one of them.
REAL_TIME = {
    "browser": ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"],
    "clients": ["-p", "no:xdist"],
}
# Of them, those that wait most of their time and draw nothing meanwhile.
WAITING = {"clients"}
# One process for each processor; more than that many would mostly wait for memory.
MOST_WORKERS = 4
LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports_command as main; sys.exit(main())"

# What makes a skipped test run: shown beside its reason.
REMEDIES = {
    "chromium": "install Chromium, or set PARLEY_CHROMIUM to its path",
    "postgres": "start PostgreSQL and set PARLEY_TEST_POSTGRES_URL (.ci/run shows how)",
    "redis": "start Redis and set PARLEY_TEST_REDIS_URL (.ci/run shows how)",
    "rabbitmq": "start RabbitMQ and set PARLEY_TEST_RABBITMQ_URL (.ci/run shows how)",
    "real clients": "python3 tests/clients/install.py (PyPI and npm; .ci/run does so)",
}


@dataclass
class Part:
    """One process to run and how to count what it did; without a command it is skipped, with `reason`."""

    name: str
    command: Sequence[str] = ()
    count: Callable[[Path, int], Tally] = lambda _log, return_code: tally_of_check(return_code)
    reason: str = ""
    limit_s: float = PART_LIMIT_S
    tally: Tally = field(default_factory=Tally)
    took_s: float = 0.0


class Runner:
    """Runs lanes of parts side by side, each part with its own log and its own data folder."""

    def __init__(self, guardian: Guardian, screen: Screen, logs: Path, data: Path) -> None:
        self._guardian, self._screen, self._logs, self._data = guardian, screen, logs, data
        self._running: list[str] = []
        self._stopped = False

    def run(self, lanes: Sequence[Sequence[Part]]) -> None:
        self._stopped = False
        threads = [threading.Thread(target=self._run_lane, args=(lane,), daemon=True) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                if running := ", ".join(self._running):
                    self._screen.progress("running the tests and checks", running)
                time.sleep(0.2)
        finally:
            self._stopped = True
            self._screen.finish_progress()

    def _run_lane(self, lane: Sequence[Part]) -> None:
        for part in lane:
            if not self._stopped:
                self._run_part(part)

    def _run_part(self, part: Part) -> None:
        started_s = time.monotonic()
        part.tally = self._measure(part) if part.command else skipped(part.reason)
        part.took_s = time.monotonic() - started_s
        self._screen.line(summary_row(part))

    def _measure(self, part: Part) -> Tally:
        log = self.log_of(part)
        data = self._data / part.name.replace(" ", "-")
        data.mkdir()
        # What the processes of a run make once for all of them (tests/migrated.py).
        env = environment_for_tests(data) | {"PARLEY_TEST_SHARED": str(self._data)}
        with log.open("wb") as output:
            process = self._guardian.start(part.command, env=env, cwd=places.ROOT, output=output)
            self._running.append(part.name)
            try:
                return_code = process.wait(part.limit_s)
            except subprocess.TimeoutExpired:
                output.write(f"\nparley: still running after {part.limit_s} s, so it was ended.\n".encode())
                return_code = 1
            finally:
                self._running.remove(part.name)
                self._guardian.end(process)
        return part.count(log, return_code)

    def log_of(self, part: Part) -> Path:
        return self._logs / f"{part.name.replace(' ', '-')}.log"


def environment_for_tests(data_dir: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The tests see Parley's defaults, never the settings (or keys) of the installation they run beside."""
    ours = set(places.read_env_file(places.ROOT / ".env.example"))
    kept = {name: value for name, value in environ.items() if name not in ours}
    # An empty variable counts as not set, and .env does not override one that exists.
    emptied = dict.fromkeys(places.read_env_file(places.ROOT / ".env"), "")
    chosen = {"PARLEY_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1", "ORT_DISABLE_TELEMETRY": "1"}
    # Some shells forbid Python to keep what it has compiled: each of hundreds of processes would do it all again.
    chosen["PYTHONDONTWRITEBYTECODE"] = ""
    if chromium := machine.find_chromium():
        chosen["PARLEY_CHROMIUM"] = chromium
    return {**kept, **emptied, **chosen}


def python(*arguments: str) -> list[str]:
    return [str(places.venv_python()), *arguments]


def check_parts() -> list[Part]:
    return [
        Part("ruff", python("-m", "ruff", "check", ".")),
        Part("ruff format", python("-m", "ruff", "format", "--check", ".")),
        Part("imports", python("-c", LINT_IMPORTS)),
        Part("django", python("manage.py", "check")),
        Part("migrations", python("manage.py", "makemigrations", "--check", "--dry-run")),
        Part("mypy", python("-m", "mypy")),
    ]


def javascript_part() -> Part:
    files = sorted(str(path) for path in (places.ROOT / "tests" / "js").rglob("*.test.*js"))
    node = machine.find_node()
    if not node:
        return Part("javascript", reason="no Node.js: install it, or the playwright package that carries one")
    if not files:
        return Part("javascript", reason="tests/js holds no tests")
    return Part("javascript", [node, "--test", "--test-reporter=tap", *files], count_node)


def count_node(log: Path, return_code: int) -> Tally:
    return tally_of_node(log.read_text(encoding="utf-8", errors="replace"), return_code)


def pytest_part(name: str, reports: Path, arguments: Sequence[str]) -> Part:
    report = reports / f"{name.replace(' ', '-')}.xml"
    report.unlink(missing_ok=True)
    command = python("-m", "pytest", "-q", "-o", "junit_family=xunit2", f"--junitxml={report}", *arguments)
    return Part(name, command, lambda _log, return_code: tally_of_pytest(report, return_code))


def bulk_part(reports: Path) -> Part:
    return pytest_part("tests", reports, ["-m", "not crash", *shared_by_workers()])


def crash_part(reports: Path) -> Part:
    """The tests that kill real processes step after step, each of which has a quick relative in `bulk_part`."""
    # -vv: a log that says which of them ran, for whoever finds that they took too long.
    part = pytest_part("kills", reports, ["-vv", "-m", "crash", *shared_by_workers()])
    part.limit_s = CRASH_LIMIT_S
    return part


def shared_by_workers() -> list[str]:
    ignored = [f"--ignore=tests/{name}" for name in REAL_TIME]
    # Work is stolen from whoever has more of it left: some tests take a minute, most a hundredth of a second.
    return ["-n", str(workers()), "--dist", "worksteal", *ignored, "tests"]


def workers(processors: int | None = None) -> int:
    """Return how many processes share the tests: two on small machines, where much of a test is waiting."""
    return max(2, min(MOST_WORKERS, processors or os.cpu_count() or 1))


def real_time_parts(reports: Path) -> list[Part]:
    """Real time and real audio, a part for each folder."""
    found = {name: options for name, options in REAL_TIME.items() if (places.ROOT / "tests" / name).is_dir()}
    return [pytest_part(name, reports, [*options, f"tests/{name}"]) for name, options in found.items()]


def chosen_part(reports: Path, arguments: Sequence[str]) -> Part:
    """What the person asked for, in pytest's own words."""
    alone = any(word.startswith(("-n", "--pdb", *(f"tests/{name}" for name in REAL_TIME))) for word in arguments)
    return pytest_part("tests", reports, [*([] if alone else ["-n", "2"]), *arguments])


def summary_row(part: Part) -> str:
    verdict = "FAILED" if part.tally.failed else "passed" if part.tally.passed or not part.tally.skipped else "SKIPPED"
    return f"  {part.name:12} {verdict:8} {part.took_s:6.1f} s   {part.tally}"


def summary(parts: Sequence[Part], strict: bool) -> list[str]:
    """The closing lines; the very last is 'N passed, N failed, N skipped'."""
    total = sum((part.tally for part in parts), Tally())
    lines = ["", *map(summary_row, parts)]
    lines += [f"  SKIPPED {count} x {reason}{remedy(reason)}" for reason, count in total.reasons.most_common()]
    if strict and total.skipped:
        lines.append("With --strict, what is skipped counts as a failure of the run.")
    return [*lines, "", str(total)]


def remedy(reason: str) -> str:
    return next((f" -> {how}" for word, how in REMEDIES.items() if word in reason.lower()), "")


def exit_code(parts: Sequence[Part], strict: bool) -> int:
    total = sum((part.tally for part in parts), Tally())
    return 1 if total.failed or (strict and total.skipped) or not total.passed else 0


def prepare(screen: Screen) -> Path:
    """Install what the tests need and make a place for their logs, which is returned."""
    machine.check_glibc()
    install.ensure([install.PRODUCT, install.MODELS, install.TOOLS], screen)
    logs = places.data_dir() / "test-logs"
    logs.mkdir(exist_ok=True)
    return logs


def test(arguments: Sequence[str], strict: bool, screen: Screen) -> int:
    """Everything, or with `arguments` only what pytest makes of them; the exit code says whether all of it passed."""
    logs = prepare(screen)
    if arguments:
        return run_stages([[[chosen_part(logs, arguments)]]], strict, screen, logs)
    return run_stages(stages_of_all(logs), strict, screen, logs)


def stages_of_all(reports: Path) -> list[list[list[Part]]]:
    """Who waits does so beside what computes; browsers come after all else, so that they do not stutter."""
    real_time = real_time_parts(reports)
    waiting = [[part] for part in real_time if part.name in WAITING]
    browsers = [[part] for part in real_time if part.name not in WAITING]
    return [[[javascript_part(), *check_parts()], [bulk_part(reports)], *waiting], browsers]


def kill(strict: bool, screen: Screen) -> int:
    """Run the tests that `test` leaves to `./parley chaos`; the exit code says whether all of them passed."""
    logs = prepare(screen)
    return run_stages([[[crash_part(logs)]]], strict, screen, logs)


def check(screen: Screen) -> int:
    logs = prepare(screen)
    return run_stages([[check_parts()]], strict=True, screen=screen, logs=logs)


def run_stages(stages: Sequence[Sequence[Sequence[Part]]], strict: bool, screen: Screen, logs: Path) -> int:
    """Run the stages one after the other, the lanes of a stage side by side, the parts of a lane in order."""
    parts = [part for lanes in stages for lane in lanes for part in lane]
    with tempfile.TemporaryDirectory(prefix="parley-test-") as data, Guardian() as guardian:
        runner = Runner(guardian, screen, logs, Path(data))
        for lanes in stages:
            runner.run(lanes)
    for part in parts:
        if part.tally.failed:
            show_failure(part, runner.log_of(part), screen)
    for line in summary(parts, strict):
        screen.line(line)
    return exit_code(parts, strict)


def show_failure(part: Part, log: Path, screen: Screen) -> None:
    screen.line(f"\n=== {part.name} failed; all of it is in {log}")
    for line in last_lines(log, SHOWN_LINES):
        screen.line(line)
