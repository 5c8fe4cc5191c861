"""Waiting for something to become true. Evaluated from outside: the pages' security policy forbids it within."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], limit_s: float = 30.0) -> Any:
    """Return the first true value of `condition`; fail when the limit is over."""
    end = time.monotonic() + limit_s
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"still not true after {limit_s} s"
        time.sleep(0.05)
