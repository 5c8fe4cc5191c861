"""The web server as its own process, started by the command that `./parley run` uses, to be ended in any way."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from launcher.machine import free_port
from launcher.run import Plan, answers, web_command

ROOT = Path(__file__).resolve().parent.parent.parent
READY_WITHIN_S = 60
GONE_WITHIN_S = 30


class WebProcess:
    """Use as `with WebProcess("daphne", data_dir, env) as web`: it answers on `web.port` inside the block."""

    def __init__(self, server: str, data_dir: Path, env: Mapping[str, str], *, log: Path | None = None) -> None:
        self.port = free_port("127.0.0.1")
        plan = Plan(
            host="127.0.0.1",
            port=self.port,
            data_dir=data_dir,
            models_port=None,
            worker=False,
            server=server,
            has_openai_key=True,
            debug=False,
        )
        self.websocket_url = f"ws://127.0.0.1:{self.port}/v1/voice/widget"
        self.origin = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", *web_command(plan)]
        ours = {"DJANGO_SETTINGS_MODULE": "config.settings", "PARLEY_DATA_DIR": str(data_dir), "PORT": str(self.port)}
        self._env = {**env, **ours}
        self._log = log or data_dir / f"web-{server}.log"

    def __enter__(self) -> "WebProcess":
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not answers(f"{self.origin}/healthz"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"The web server did not start:\n{self.log()[-4000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def end_if_running(self, number: signal.Signals) -> bool:
        """As `end`; a process that has not been started, or is gone already, needs no signal."""
        process = getattr(self, "_process", None)
        return process is None or process.poll() is not None or self.end(number)

    def end(self, number: signal.Signals) -> bool:
        """Send a signal; return whether the process went by itself, and did not have to be killed."""
        self._process.send_signal(number)
        try:
            self._process.wait(GONE_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def log(self) -> str:
        return self._log.read_text(errors="replace")
