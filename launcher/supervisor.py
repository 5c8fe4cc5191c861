"""Keeps a few services running together: prefixed output, restarts with back-off, one clean end for all."""

import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from launcher.errors import Halt
from launcher.processes import Guardian, ask_to_stop, describe_exit, group_is_alive
from launcher.screen import Screen

# The worker finishes the tasks that it is at; what takes longer than this hangs, and is begun again by the next run.
GRACE_S = 8.0
POLL_INTERVAL_S = 0.1
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
# A service that ran this long was well: its earlier deaths no longer count.
HEALTHY_AFTER_S = 60.0
LAST_LINES = 12
# A line longer than this is printed in pieces rather than kept in memory.
LINE_BYTES_MAX = 65536


@dataclass(frozen=True)
class Service:
    """What to run and what its death means.

    `restarts`: start it again, with back-off, up to len(BACKOFF_S) times in a row.
    `dispensable`: when that did not help, the others go on without it; otherwise all end.
    `drains_s`: asked to stop by SIGTERM it finishes its work for so long; SIGINT tells it not to.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    restarts: bool = False
    dispensable: bool = False
    drains_s: float = 0.0


class Running:
    """One service's present process and the memory of its earlier ones."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.pump: threading.Thread | None = None
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.started_s = 0.0
        self.deaths = 0
        self.restart_at_s: float | None = None


class Supervisor:
    """Runs services until a signal arrives or one that is needed cannot be kept up."""

    def __init__(self, guardian: Guardian, screen: Screen, backoff_s: Sequence[float] = BACKOFF_S) -> None:
        self._guardian = guardian
        self._screen = screen
        self._backoff_s = backoff_s
        self._all: list[Running] = []
        # SimpleQueue, because its put may be called from a signal handler.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        # Whether whoever asked to stop gave the services time to finish what they are at.
        self._may_drain = False

    def catch_signals(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(number)

    def start(self, service: Service) -> None:
        running = Running(service)
        self._all.append(running)
        self._spawn(running)

    def watch(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Look after the services; True when `until()` came true, False when a signal asked to stop.

        Raises Halt when a service that is needed has died for good.
        """
        while True:
            if not self._signals.empty():
                # At the keyboard somebody waits for it; what sends SIGTERM has other machines, or time.
                self._may_drain = self._signals.get() == signal.SIGTERM
                return False
            for running in self._all:
                self._look_after(running)
            if until():
                return True
            time.sleep(POLL_INTERVAL_S)

    def stop(self) -> None:
        """Ask all to end, give them GRACE_S, then kill; another signal in the meantime kills at once."""
        alive = [(running.service, running.process) for running in self._all if running.process]
        processes = [process for _, process in alive]
        for service, process in alive:
            ask_to_stop(process, at_once=bool(service.drains_s) and not self._may_drain)
        drains_s = max((service.drains_s for service, _ in alive), default=0.0) if self._may_drain else 0.0
        deadline_s = time.monotonic() + drains_s + GRACE_S
        while any(map(group_is_alive, processes)) and time.monotonic() < deadline_s and self._signals.empty():
            time.sleep(0.05)
        for running in self._all:
            self._end(running)

    def last_lines_of(self, name: str) -> list[str]:
        return [line for running in self._all if running.service.name == name for line in running.last_lines]

    def _spawn(self, running: Running) -> None:
        service = running.service
        running.restart_at_s, running.started_s = None, time.monotonic()
        running.last_lines.clear()
        running.process = self._guardian.start(
            service.command, env=service.env, cwd=service.cwd, output=subprocess.PIPE
        )
        running.pump = threading.Thread(target=self._pump, args=(running, running.process), daemon=True)
        running.pump.start()

    def _pump(self, running: Running, process: subprocess.Popen[bytes]) -> None:
        stream = process.stdout
        assert stream is not None
        with stream:
            while raw := stream.readline(LINE_BYTES_MAX):
                text = raw.decode("utf-8", "replace").rstrip("\r\n")
                running.last_lines.append(text)
                self._screen.line(text, running.service.name)

    def _look_after(self, running: Running) -> None:
        if running.process is None:
            if running.restart_at_s is not None and time.monotonic() >= running.restart_at_s:
                self._spawn(running)
        elif running.process.poll() is not None:
            self._on_death(running, running.process.returncode)

    def _on_death(self, running: Running, return_code: int) -> None:
        # What it had started must not live on beside its successor (the schedule of a killed worker, say).
        self._end(running)
        service, how = running.service, describe_exit(return_code)
        if time.monotonic() - running.started_s >= HEALTHY_AFTER_S:
            running.deaths = 0
        running.deaths += 1
        if service.restarts and running.deaths <= len(self._backoff_s):
            delay_s = self._backoff_s[running.deaths - 1]
            running.restart_at_s = time.monotonic() + delay_s
            self._screen.line(f"{service.name} stopped ({how}); starting it again in {delay_s:g} s", "parley")
        elif service.dispensable:
            self._screen.line(f"{service.name} stopped {running.deaths} times ({how}); going on without it", "parley")
        else:
            raise Halt(self._epitaph(running, how))

    def _epitaph(self, running: Running, how: str) -> str:
        lines = "\n".join(f"  {line}" for line in running.last_lines)
        said = f"its last lines were:\n{lines}" if lines else "it said nothing."
        return f"The {running.service.name} process stopped ({how}); {said}"

    def _end(self, running: Running) -> None:
        if running.process is not None:
            self._guardian.end(running.process)
            running.process = None
        if running.pump is not None:
            running.pump.join(2.0)
            running.pump = None
