"""Ends what the launcher started if the launcher is killed; a script of its own, started by launcher/processes.py.

It reads its standard input, a pipe held open by the launcher: "+PID" names a process group, "-PID" one that is gone,
"done" means that the launcher ended everything itself. The end of the pipe without "done" means that it was killed.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_S = 8.0


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        if line == "done\n":
            return
        if line[0] == "+":
            groups.add(int(line))
        else:
            groups.discard(-int(line))
    end(groups)


def end(groups: set[int]) -> None:
    send(groups, signal.SIGTERM)
    deadline_s = time.monotonic() + GRACE_S
    while groups and time.monotonic() < deadline_s:
        time.sleep(0.05)
        groups = {group for group in groups if is_alive(group)}
    send(groups, signal.SIGKILL)


def send(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
