"""Processes of a run: pinned to one core, watched through /proc, and ended with all their children."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.numbers import Stat, family_of, parse_rss_kb, parse_stat

ROOT = Path(__file__).resolve().parents[1]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class NotStarted(Exception):
    """A process ended, or did not listen in time; the text says which and what it printed last."""


@dataclass
class Started:
    """A running process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def rss_kb(self) -> int:
        return sum(_rss_kb(pid) for pid in _family(self.process.pid, _stats()))


def cpu_ms_of(processes: Sequence[Started]) -> list[float]:
    """Return the processor time that each has used so far, with its threads and its children."""
    # Read once for all of them: who measures is also the load, and is late meanwhile.
    stats = _stats()
    ticks = [sum(stats[pid].ticks for pid in _family(each.process.pid, stats)) for each in processes]
    return [count * 1000 / _TICKS_PER_S for count in ticks]


def start(
    command: Sequence[str], *, core: int, port: int, log: Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Started:
    """Start a process that will listen on `port`, on one core and in a group of its own."""

    def pin() -> None:
        os.sched_setaffinity(0, {core})

    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=pin,
        )
    return Started(process, port, log)


async def listening(started: Started, within_s: float) -> Started:
    """Return once the port takes connections; raises NotStarted, and leaves nothing running."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if started.process.poll() is not None:
            raise NotStarted(f"ended with code {started.process.returncode}: {last_line(started.log)}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", started.port), 1):
            return started
        await asyncio.sleep(0.2)
    stop(started)
    raise NotStarted(f"did not listen within {within_s:.0f} s: {last_line(started.log)}")


def stop(started: Started, patience_s: float = 8.0) -> None:
    """End a process and its group: asked first, killed if it does not listen."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(patience_s)
            return


@contextlib.contextmanager
def ending(started: Started) -> Iterator[Started]:
    try:
        yield started
    finally:
        stop(started)


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"


def _stats() -> dict[int, Stat]:
    """Read what the kernel says of every process there is."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stats[int(folder.name)] = parse_stat((folder / "stat").read_text())
    return stats


def _family(root: int, stats: Mapping[int, Stat]) -> set[int]:
    return family_of(root, {pid: stat.parent for pid, stat in stats.items()}) & stats.keys()


def _rss_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        return parse_rss_kb(Path(f"/proc/{pid}/status").read_text())
    return 0
