"""Start and end processes so that none is left behind, whatever happens to the launcher."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

WINDOWS = sys.platform == "win32"
HERE = Path(__file__).resolve().parent


class Guardian:
    """Starts every process in a group of its own; a helper process ends those groups if this one is killed.

    On Windows there is no helper: processes end when asked to, but a launcher killed there leaves them running.
    """

    def __init__(self, keep_open: Sequence[int] = ()) -> None:
        """`keep_open`: file descriptors the helper holds too, such as a lock that must outlive a killed launcher."""
        self._pipe = -1
        self._helper: subprocess.Popen[bytes] | None = None
        if not WINDOWS:
            self._start_helper(keep_open)

    def _start_helper(self, keep_open: Sequence[int]) -> None:
        read_end, self._pipe = os.pipe()
        self._helper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(HERE / "guardian.py")],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
        os.close(read_end)

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start `command` with its two output streams joined into `output` (a file or subprocess.PIPE)."""
        common: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": output,
            "stderr": subprocess.STDOUT,
            "env": dict(env),
            "cwd": cwd,
        }
        if sys.platform == "win32":
            return subprocess.Popen(command, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP, **common)
        announced = [sys.executable, "-I", "-S", str(HERE / "announce.py"), str(self._pipe), *command]
        return subprocess.Popen(announced, start_new_session=True, pass_fds=(self._pipe,), **common)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill what is left of a process and of everything it started, and reap it."""
        kill_group(process)
        process.wait()
        self._tell(f"-{process.pid}\n")

    def _tell(self, line: str) -> None:
        if self._pipe >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, line.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._helper is not None:
            if error is None:
                self._tell("done\n")
            os.close(self._pipe)
            self._pipe = -1
            self._helper.wait()


def ask_to_stop(process: subprocess.Popen[bytes], *, at_once: bool = False) -> None:
    """Let the process end in its own way. Only its main process is asked: it knows in which order its own must go.

    `at_once`: by SIGINT, for one that would take its time otherwise.
    """
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.send_signal(signal.SIGINT if at_once else signal.SIGTERM)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def group_is_alive(process: subprocess.Popen[bytes]) -> bool:
    alive = process.poll() is None
    if sys.platform == "win32" or alive:
        return alive
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def run_logged(
    command: Sequence[str],
    log: Path,
    tick: Callable[[], None],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    grace_s: float = 5.0,
) -> int:
    """Run a short-lived command with its output added to `log`, calling `tick` several times a second.

    It shares the launcher's process group, so Ctrl-C reaches it; any other end of the wait ends it too.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, env=env
        )
        try:
            while process.poll() is None:
                tick()
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(grace_s)
                process.kill()
                process.wait()
        return process.returncode


def describe_exit(return_code: int) -> str:
    """Say how a process ended, in words: "exit code 1", "killed by SIGKILL"."""
    if return_code >= 0:
        return f"exit code {return_code}"
    try:
        return f"killed by {signal.Signals(-return_code).name}"
    except ValueError:
        return f"killed by signal {-return_code}"


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log; only its last 64 kB are read, however long it is."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65536))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]
