"""One process of writers: threads that run whole calls on the ledger until the time is up, and say how long each took.

Started by bench.ledger with a database that is prepared. It prints READY, waits for a line on its input, and then
prints one line of JSON: {"micros": {operation: [...]}, "failed": calls that could not get the database in time}.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import django

# Of one call: a first hold, then turns that are each held for and captured, then the settlement.
_TURNS = 3
_TURN_MICRO = 1_000
READY = "ready"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.ledger_writers")
    parser.add_argument("--wallets", nargs="+", type=UUID, required=True, help="one a thread")
    parser.add_argument("--warm-up-s", type=float, required=True)
    parser.add_argument("--window-s", type=float, required=True)
    return parser.parse_args(arguments)


class Writer:
    """One thread's calls; only what began within the window is counted."""

    def __init__(self, organisation_id: UUID, counts_from: float, ends_at: float) -> None:
        self._organisation_id = organisation_id
        self._counts_from, self._ends_at = counts_from, ends_at
        self.micros: dict[str, list[int]] = defaultdict(list)
        self.failed = 0

    def run(self) -> None:
        from django.db import DatabaseError, connection

        try:
            while time.monotonic() < self._ends_at:
                try:
                    self._call()
                except DatabaseError:
                    # A lock that could not be had in time: part of the result.
                    self.failed += 1
        finally:
            connection.close()

    def _call(self) -> None:
        from django.utils import timezone

        from billing import ledger

        key = uuid4().hex
        hold = self._timed(
            "open_hold",
            ledger.open_hold,
            self._organisation_id,
            _TURN_MICRO,
            key=key,
            reference=f"bench:{key}",
            expires_at=timezone.now() + timedelta(hours=1),
        )
        for turn in range(1, _TURNS + 1):
            self._timed("capture", ledger.capture, hold.id, _TURN_MICRO, key=f"r{turn}")
            self._timed("extend_hold", ledger.extend_hold, hold.id, to_amount_micro=(turn + 1) * _TURN_MICRO)
        self._timed("settle_hold", ledger.settle_hold, hold.id)

    def _timed(self, name: str, operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
        began = time.monotonic()
        result = operation(*args, **options)
        if self._counts_from <= began < self._ends_at:
            self.micros[name].append(int((time.monotonic() - began) * 1_000_000))
        return result


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    print(READY, flush=True)
    sys.stdin.readline()
    counts_from = time.monotonic() + options.warm_up_s
    writers = [Writer(wallet, counts_from, counts_from + options.window_s) for wallet in options.wallets]
    with ThreadPoolExecutor(len(writers)) as threads:
        for done in [threads.submit(writer.run) for writer in writers]:
            done.result()
    micros: dict[str, list[int]] = defaultdict(list)
    for writer in writers:
        for name, values in writer.micros.items():
            micros[name] += values
    print(json.dumps({"micros": micros, "failed": sum(writer.failed for writer in writers)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
