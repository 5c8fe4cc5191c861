"""The processes of an installation, each to be ended and started again: Redis, the worker, and the web processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from launcher.run import Plan, worker_command
from tests.crash.web_process import ROOT

_READY_WITHIN_S = 20.0
_GONE_WITHIN_S = 20.0


class Service:
    """One process with a log of its own. `start` may be called again after `end`."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], folder: Path) -> None:
        self._command, self._env = command, dict(env)
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)

    def end(self, number: signal.Signals) -> bool:
        """Send a signal; return whether the process went by itself, and did not have to be killed."""
        process, self._process = self._process, None
        if process is None:
            return True
        process.send_signal(number)
        try:
            process.wait(_GONE_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        return True


class Redis(Service):
    """As .ci/run starts it: in memory only, so that a restart forgets everything."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
        super().__init__("redis", ["redis-server", *options, "--dir", str(folder)], os.environ, folder)

    def start(self) -> None:
        super().start()
        deadline = time.monotonic() + _READY_WITHIN_S
        while not _listens(self.port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Redis did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)


def worker(data_dir: Path, env: Mapping[str, str], folder: Path) -> Service:
    """The worker that `./parley run` starts, with the schedule."""
    plan = Plan("127.0.0.1", 0, data_dir, None, worker=True, server="uvicorn", has_openai_key=True, debug=False)
    command = [sys.executable, "-m", *worker_command(plan)]
    quiet = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONWARNINGS": "ignore:You're running the worker"}
    return Service("worker", command, {**env, **quiet}, folder)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
