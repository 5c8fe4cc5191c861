"""When a delivery that failed is tried again, and when an endpoint is given up."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_MINUTE, _HOUR = 60, 3600

# Pauses after the first attempt, the second, and so on: eleven attempts in a little more than a day.
PAUSES_S = (
    30,
    2 * _MINUTE,
    10 * _MINUTE,
    30 * _MINUTE,
    1 * _HOUR,
    2 * _HOUR,
    4 * _HOUR,
    6 * _HOUR,
    6 * _HOUR,
    6 * _HOUR,
)
# A round that could not even be tried that often, because its endpoint asked for pauses, ends after two days.
LONGEST_ROUND = timedelta(days=2)
# So that what failed together does not come back together.
_JITTER = 0.1
# How long a server that is away, or that asks for patience without saying how much, is left alone by all deliveries:
# twice as long each time, so that a dead one with thousands of events waiting does not keep the workers busy.
_AWAY_S = 60
_LONGEST_AWAY_S = _HOUR
_LONGEST_RETRY_AFTER_S = 6 * _HOUR

# Days without anything arriving, and attempts in a row that failed, after which an endpoint is switched off.
FAILING_FOR = timedelta(days=3)
FAILURES_LEAST = 20


def pause_after(attempts: int) -> int | None:
    """Return the seconds to wait after so many attempts of a round; None when that was the last."""
    if attempts > len(PAUSES_S):
        return None
    pause_s = PAUSES_S[attempts - 1]
    return pause_s + round(pause_s * random.uniform(0, _JITTER))


def away_s(failures: int) -> int:
    """Return the seconds to leave an endpoint alone that failed so often in a row before, and now is away."""
    return int(min(_AWAY_S * 2 ** min(failures, 10), _LONGEST_AWAY_S))


def retry_after_s(headers: Mapping[str, str], now: datetime) -> int | None:
    """Read Retry-After, in seconds or as a date, bounded; None when there is none that makes sense."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), _LONGEST_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0, round((moment - now).total_seconds())), _LONGEST_RETRY_AFTER_S)


def is_given_up(failing_since: datetime, failures: int, now: datetime) -> bool:
    """Say whether an endpoint has failed for so long and so often that asking on is no use."""
    return failures >= FAILURES_LEAST and now - failing_since >= FAILING_FOR
