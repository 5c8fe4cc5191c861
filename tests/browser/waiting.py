"""Waiting for something to become true. Evaluated from outside: the pages' security policy forbids it within."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], limit_s: float = 30.0, seen: Callable[[], object] = lambda: "") -> Any:
    """Return the first true value of `condition`; fail when the limit is over, and say what is `seen` then."""
    end = time.monotonic() + limit_s
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"still not true after {limit_s} s {seen()}"
        time.sleep(0.05)
