"""What the launcher prints: lines with the name of who said them, and one live line while something takes long."""

import contextlib
import os
import sys
import threading
import time
from typing import TextIO

# Without a terminal there is no live line: say now and then that work goes on, so that a log shows it too.
QUIET_INTERVAL_S = 10.0
NAME_WIDTH = 7
COLOURS = {"web": "36", "worker": "33", "models": "35", "parley": "32"}


class Screen:
    """Thread-safe writer to one stream; colour and the live line only on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._colour = self._terminal and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()
        self._live = ""
        self._stage = ""
        self._stage_started_s = 0.0
        self._next_word_s = 0.0

    def line(self, text: str, name: str = "") -> None:
        """Print one line, prefixed with the process's name when it has one."""
        with self._lock:
            live, self._live = self._live, ""
            self._write(("\r\033[K" if live else "") + self._prefix(name) + text + "\n")
            if live:
                self._show(live)

    def progress(self, stage: str, detail: str = "") -> None:
        """Say that `stage` goes on and for how long; call it several times a second."""
        with self._lock:
            now_s = time.monotonic()
            fresh = stage != self._stage
            if fresh:
                self._stage, self._stage_started_s, self._next_word_s = stage, now_s, now_s + QUIET_INTERVAL_S
            elapsed = f"{now_s - self._stage_started_s:.0f} s"
            text = f"{stage} ... {', '.join(part for part in (detail, elapsed) if part)}"
            if self._terminal:
                if text != self._live:
                    self._show(text)
            elif fresh:
                self._write(f"{stage} ...\n")
            elif now_s >= self._next_word_s:
                self._next_word_s = now_s + QUIET_INTERVAL_S
                self._write(text + "\n")

    def finish_progress(self) -> None:
        with self._lock:
            if self._live:
                self._write("\r\033[K")
            self._live = self._stage = ""

    def _show(self, text: str) -> None:
        self._live = text
        self._write("\r\033[K" + text)

    def _prefix(self, name: str) -> str:
        if not name:
            return ""
        label = f"{name:{NAME_WIDTH}}|"
        return f"\033[{COLOURS.get(name, '34')}m{label}\033[0m " if self._colour else f"{label} "

    def _write(self, text: str) -> None:
        # Nobody may be reading any more (a closed window, `| head`), but what runs must still end cleanly.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
